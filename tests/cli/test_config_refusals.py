"""What settings may not do, and what is said about it: one line, status 2, the file named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from nuwa_cli.cli.settings.names import all_commands, settings_of

Run = Callable[..., Any]


@pytest.fixture
def project(work: Path) -> Path:
    return work / "nuwa.toml"


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "nuwa" / "config.toml"
    path.parent.mkdir()
    return path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("frmes = 3", "unknown key 'frmes'; did you mean frames?"),
        ("[t2v]\nfrmes = 3", "unknown key 't2v.frmes'; did you mean frames?"),
        ("[t2i]\nframes = 3", "unknown key 't2i.frames'"),
        ("[t2w]\nframes = 3", "unknown table 't2w'; did you mean t2"),
        ("[preset.draft]\nseed = 1", "preset is an option"),
        ("[presets.draft]\nsed = 1", "did you mean seed?"),
        ("presets = 3", "presets is no table"),
        ("t2v = 3", "is a command; write [t2v]"),
        ("frames = [1, 2]", "takes a text or a number"),
        ("frames = true", "takes a text or a number"),
        ("frames = 2020-01-01", "takes a text or a number"),
        ("quiet = 1", "give true or false"),
        ("seed = 1\nseed = 2", "no valid TOML"),
        ("seed = ", "no valid TOML"),
        ("[a" * 3000, "no valid TOML"),
        ("x = " + "[" * 5000, "no valid TOML"),
        (b"seed = '\xff'", "not UTF-8"),
        (b"#" * (1 << 21), "larger than"),
    ],
)
def test_a_file_that_is_wrong(inside: Run, project: Path, text: str | bytes, why: str) -> None:
    project.write_bytes(text if isinstance(text, bytes) else text.encode())
    refused = inside("t2v", "a dog", "-o", "a.mp4")
    refused.check_refusal(2, why)
    assert "config 'nuwa.toml'" in refused.stderr
    assert inside("t2v", "--help").status == 0
    assert inside("config", "path").status == 0


@pytest.mark.parametrize("key", ["output", "force", "dry-run", "sheet", "preview", "depfile"])
def test_what_belongs_to_one_run(inside: Run, project: Path, own: Path, key: str) -> None:
    for path in (project, own):
        path.write_text(f"{key} = true\n" if key in ("force", "dry-run") else f'{key} = "x.png"\n')
        inside("t2i", "a", "-o", "a.png").check_refusal(2, f"{key} belongs to one run")
        path.unlink()


@pytest.mark.parametrize("key", ["no-metadata", "json", "update", "json-stream"])
def test_what_is_not_for_a_project(inside: Run, project: Path, own: Path, key: str) -> None:
    own.write_text(f"{key} = true\n")
    assert f"{key} = true" in inside("config", "show", "t2i").stdout
    project.write_text(f"{key} = true\n")
    inside("t2i", "a", "-o", "a.png").check_refusal(2, "not for the file of a project")


@pytest.mark.parametrize("word", ["-o x.png", "-fq", "--force", "--output=x.png", "-n 2 -f"])
def test_an_alias_of_a_project_writes_nothing(
    inside: Run, project: Path, own: Path, word: str
) -> None:
    text = f"[aliases]\ndog = \"t2i 'a dog' {word}\"\n"
    project.write_text(text)
    inside("info", "x.png").check_refusal(2, "belongs to one run")
    project.unlink()
    own.write_text(text)
    inside("info", "x.png").check_refusal(3, "x.png")  # the file of the user may


def test_a_variable_cannot_name_an_output(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUWA_OUTPUT", "a.png")
    inside("t2i", "a dog").check_refusal(2, "missing option")


def test_the_model_of_a_project(
    inside: Run, project: Path, own: Path, work: Path, tmp_path: Path, model_folder: Path
) -> None:
    """Entering a folder must not be enough to fetch a model, or to load one from elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    for model in ("somebody/model", "../elsewhere", str(tmp_path / "elsewhere"), "gone"):
        project.write_text(f'model = "{model}"\n')
        inside("t2i", "a", "-o", "a.png", "--dry-run").check_refusal(2, "neither one that ships")
    (work / "models").mkdir()
    (work / "models" / "tiny").symlink_to(model_folder)  # leads out of the project
    project.write_text('model = "models/tiny"\n')
    inside("t2i", "a", "-o", "a.png", "--dry-run").check_refusal(2, "neither one that ships")
    (work / "models" / "tiny").unlink()
    (work / "models" / "tiny").mkdir()
    for path in model_folder.iterdir():
        (work / "models" / "tiny" / path.name).write_bytes(path.read_bytes())
    assert inside("t2i", "a", "-o", "a.png", "--dry-run").status == 0
    project.unlink()
    own.write_text(f'model = "{model_folder}"\n')
    assert inside("t2i", "a", "-o", "a.png", "--dry-run").status == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("frames = 0", "frames '0' (nuwa.toml): out of range"),
        ("seed = -1", "seed '-1' (nuwa.toml): give 0"),
        ('frames = "many"', "(nuwa.toml); see: nuwa t2v --help"),
        ('dtype = "float8"', "(nuwa.toml)"),
        ('max-memory = "much"', "max-memory 'much' (nuwa.toml): give a size"),
    ],
)
def test_the_file_is_named_where_its_value_is_wrong(
    inside: Run, project: Path, text: str, why: str
) -> None:
    project.write_text(text)
    inside("t2v", "a dog", "-o", "a.mp4").check_refusal(2, why)


def test_what_is_typed_is_not_blamed_on_a_file(
    inside: Run, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_text("frames = 8")
    refused = inside("t2v", "a dog", "-o", "a.mp4", "--frames", "0")
    refused.check_refusal(2, "frames '0': out of range")
    monkeypatch.setenv("NUWA_T2V_FPS", "0")
    inside("t2v", "a dog", "-o", "a.mp4").check_refusal(2, "fps '0.0' (NUWA_T2V_FPS)")


def test_a_file_of_somebody_else_is_not_read(inside: Run, project: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    project.write_text("seed = 5")
    os.chown(project, 12345, -1)
    assert "seed = 5" not in inside("config", "show").stdout
    assert "belongs to somebody else" in inside("config", "path").stdout


def test_what_is_no_file_is_not_waited_for(inside: Run, project: Path) -> None:
    os.mkfifo(project)
    assert inside("config", "show").status == 0
    assert "no regular file" in inside("config", "path").stdout


def test_no_home_and_no_folder(
    inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.delenv("HOME", raising=False)
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert inside("config", "path").status == 0
    assert inside("config", "show").status == 0


def commands(group: Any) -> Iterator[Any]:
    for command in getattr(group, "commands", {}).values():
        yield command
        yield from commands(command)


def test_no_option_that_names_a_file_can_be_set() -> None:
    """By the type of every option of the program, not by a list that somebody forgets."""

    from nuwa_cli.cli.app import parser

    group = parser()
    seen = 0
    for command in commands(group):
        callback = getattr(command, "callback", None)
        hints = get_type_hints(callback) if callback is not None else {}
        for setting in settings_of(command).values():
            if "Path" in str(hints.get(setting.name, "")):
                assert setting.is_of_one_run, (command.name, setting.key)
                seen += 1
    assert seen > 10
    assert {"t2v", "models verify"} <= set(all_commands(group))
