"""Settings from files, variables, presets and aliases: who wins, and where a value comes from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
Places = dict[str, Path]


@pytest.fixture
def places(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Where settings of each rank can be put, for commands that run in `work`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'system'}:/nowhere")
    for name in [name for name in os.environ if name.startswith("NUWA_")]:
        monkeypatch.delenv(name)
    found = {
        "project": work / "nuwa.toml",
        "user": tmp_path / "own" / "nuwa" / "config.toml",
        "system": tmp_path / "system" / "nuwa" / "config.toml",
    }
    for path in found.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    return found


def settings(run: Run, *command: str) -> dict[str, tuple[Any, str]]:
    """Key → (value, source), as `nuwa config show` says."""
    done = run("config", "show", *command, "--json")
    assert done.status == 0, done
    return {
        row["key"]: (row["value"], row["source"]) for row in json.loads(done.stdout)["settings"]
    }


def outputs(run: Run, *words: str) -> list[dict[str, Any]]:
    done = run(*words, "--dry-run", "--json")
    assert done.status == 0, done
    found: list[dict[str, Any]] = json.loads(done.stdout)["outputs"]
    return found


def test_the_nearer_place_wins(
    inside: Run, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUWA_T2V_SEED", "5")
    monkeypatch.setenv("NUWA_SEED", "4")
    for seed, rank in enumerate(("system", "user", "project"), 1):
        places[rank].write_text(f"seed = {seed}\n")
    assert settings(inside, "t2v")["seed"] == ("5", "environment")
    assert settings(inside, "t2i")["seed"] == ("4", "environment")
    monkeypatch.delenv("NUWA_T2V_SEED")
    monkeypatch.delenv("NUWA_SEED")
    for seed, rank in ((3, "project"), (2, "user"), (1, "system")):
        assert settings(inside, "t2v")["seed"] == (str(seed), rank)
        places[rank].unlink()
    assert settings(inside, "t2v")["seed"] == ("0", "built-in")


def test_a_flag_wins_and_a_setting_counts(tiny: Run, places: Places) -> None:
    places["project"].write_text("seed = 3\n[t2i]\nnum = 2\n")
    assert [one["seed"] for one in outputs(tiny, "t2i", "a dog", "-o", "a.png")] == [3, 4]
    assert [one["seed"] for one in outputs(tiny, "t2i", "a", "-o", "a.png", "--seed", "9")] == [
        9,
        10,
    ]
    assert [one["seed"] for one in outputs(tiny, "t2v", "a dog", "-o", "a.mp4")] == [3]


def test_a_table_of_a_command_wins_over_the_top(inside: Run, places: Places) -> None:
    places["user"].write_text("frames = 4\nbest_of = 2\n[t2v]\nframes = 8\n")
    assert settings(inside, "t2v")["frames"][0] == "8"
    assert settings(inside, "predict")["frames"][0] == "4"
    assert settings(inside, "t2v")["best-of"][0] == "2"
    assert "frames" not in settings(inside, "t2i")


def test_the_table_in_pyproject(inside: Run, places: Places, work: Path) -> None:
    shared = work.parent / "pyproject.toml"
    shared.write_text('[project]\nname = "x"\n[tool.nuwa]\nseed = 6\n')
    (work / "pyproject.toml").write_text('[project]\nname = "speaks of nothing"\n')
    assert settings(inside, "t2i")["seed"] == ("6", "project")
    places["project"].write_text("seed = 7\n")
    assert settings(inside, "t2i")["seed"] == ("7", "project")


def test_files_can_be_left_out(
    inside: Run, tiny: Run, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    places["user"].write_text("seed = 3\n")
    places["project"].write_text("this is no TOML")
    assert inside("t2i", "a", "-o", "a.png", "--dry-run").status == 2
    assert outputs(tiny, "--no-config", "t2i", "a", "-o", "a.png")[0]["seed"] == 0
    monkeypatch.setenv("NUWA_NO_CONFIG", "1")
    assert outputs(tiny, "t2i", "a", "-o", "a.png")[0]["seed"] == 0
    monkeypatch.setenv("NUWA_SEED", "8")  # files are left out, variables are not
    assert outputs(tiny, "t2i", "a", "-o", "a.png")[0]["seed"] == 8


def test_presets(tiny: Run, inside: Run, places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    places["user"].write_text(
        "seed = 3\n[presets.draft]\nseed = 1\n[presets.draft.t2v]\nseed = 2\n[presets.other]\n"
    )
    typed = ["-o", "a.png", "--preset", "draft"]
    assert outputs(tiny, "t2i", "a", *typed)[0]["seed"] == 1  # typed: above the file
    assert outputs(tiny, "t2v", "a", "-o", "a.mp4", "--preset=draft")[0]["seed"] == 2
    assert outputs(tiny, "t2i", "a", *typed, "--seed", "9")[0]["seed"] == 9
    monkeypatch.setenv("NUWA_PRESET", "draft")
    assert outputs(tiny, "t2i", "a", "-o", "a.png")[0]["seed"] == 3  # not typed: below the file
    inside("t2i", "a", "-o", "a.png", "--preset", "drat").check_refusal(2, "did you mean draft?")


def test_aliases(tiny: Run, places: Places) -> None:
    places["user"].write_text(
        "[aliases]\n"
        "dog = \"t2i 'a dog on the beach' -n 2\"\n"
        'seven = "dog --seed 7"\n'
        't2v = "t2i hidden"\n'
    )
    made = outputs(tiny, "seven", "-o", "a.png")
    assert [(one["prompt"], one["seed"]) for one in made] == [
        ("a dog on the beach", s) for s in (7, 8)
    ]
    assert outputs(tiny, "t2v", "a cat", "-o", "a.mp4")[0]["prompt"] == "a cat"


@pytest.mark.parametrize(
    ("aliases", "word", "why"),
    [
        ('me = "me -n 2"', "me", "leads to itself"),
        ('a = "b"\nb = "a"', "a", "leads to itself"),
        ('a = "t2j x"', "a", "no command; did you mean t2"),
        ('a = "t2i \'x"', "t2i", "quotation"),
        ('a = ""', "t2i", "empty"),
        ("a = 3", "t2i", "no text"),
    ],
)
def test_an_alias_that_leads_nowhere(
    inside: Run, places: Places, aliases: str, word: str, why: str
) -> None:
    places["user"].write_text(f"[aliases]\n{aliases}\n")
    inside(word, "x", "-o", "a.png").check_refusal(2, why)


def test_show_is_toml_and_names_the_origin(
    inside: Run, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    places["project"].write_text(
        'fps = 8\n[t2v]\nframes = 16\n[presets.draft]\n[aliases]\nd = "t2i"\n'
    )
    monkeypatch.setenv("NUWA_SEED", "random")
    shown = inside("config", "show", "--origin").stdout
    assert 'seed = "random"  # NUWA_SEED\n' in shown
    assert "fps = 8  # nuwa.toml\n" in shown
    assert "t2v.frames = 16  # nuwa.toml\n" in shown
    again = tomllib.loads(shown)
    assert again["t2v"] == {"frames": 16}
    assert again["aliases"] == {"d": "t2i"}
    assert again["presets"] == {"draft": {}}
    whole = tomllib.loads(inside("config", "show", "t2v").stdout)
    assert (whole["frames"], whole["fps"], whole["model"]) == (16, 8, "storybook")
    inside("config", "show", "t2x").check_refusal(2, "did you mean t2")


def test_init_writes_an_example_that_is_right(inside: Run, places: Places) -> None:
    assert inside("config", "init").status == 0
    text = places["user"].read_text()
    assert tomllib.loads(text) == {}
    inside("config", "init").check_refusal(4, "exists")
    assert inside("config", "init", "--project").paths == ["nuwa.toml"]
    lines = [line.removeprefix("# ") for line in text.splitlines()]
    places["user"].write_text("\n".join(line for line in lines if "=" in line or line[:1] == "["))
    assert settings(inside, "t2v")["frames"] == ("16", "user")
    assert "draft" in json.loads(inside("config", "show", "--json").stdout)["presets"]


def test_nothing_is_parsed_where_nothing_is(places: Places, work: Path) -> None:
    """Neither files nor help cost anything: no TOML parser without a file, none for --help with one."""
    code = (
        "import sys\nfrom nuwa_cli.cli.app import run\n"
        "run(sys.argv[1:])\nassert 'tomllib' not in sys.modules\n"
    )

    def check(*words: str) -> None:
        command = [sys.executable, "-c", code, *words]
        done = subprocess.run(command, cwd=work, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr

    check("t2i", "a", "-o", "nowhere/a.png")
    places["project"].write_text("this is no TOML")
    check("t2i", "--help")
