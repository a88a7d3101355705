"""What `nuwa info` says of recipes, and clips that went to stdout."""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuwa_cli.cli.app import run
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import RECIPE_SCHEMA
from nuwa_cli.media.probe import probe

Run = Callable[..., Any]


@pytest.fixture
def clip(tiny: Run, work: Path) -> str:
    """A clip that was made of a picture in another folder."""
    (work / "in").mkdir()
    write_image(work / "in" / "p q.png", np.full((24, 40, 3), 90, dtype=np.uint8))
    words = ("predict", "in/p q.png", 'a dog\'s "run"', "--frames", "3", "--top-k", "9")
    assert tiny(*words, "-q", "-o", "a.gif").status == 0
    return "a.gif"


def test_for_a_reader(inside: Run, clip: str) -> None:
    lines = inside("info", clip).stdout.splitlines()
    assert lines[0].startswith("a.gif: gif 32x32, ")
    assert "  command: predict" in lines
    assert '  prompt: a dog\'s "run"' in lines
    assert "  top_k: 9" in lines
    assert "  tokens: 3x4x4" in lines
    assert any(line.startswith("  input: p q.png (sha256 ") for line in lines)
    (line,) = [line for line in lines if line.startswith("  replay: ")]
    words = shlex.split(line.removeprefix("  replay: "))
    assert words[:4] == ["nuwa", "predict", "p q.png", 'a dog\'s "run"']
    assert words[4:] == [
        *("--model", "tiny", "--frames", "3", "--seed", "0", "--top-k", "9"),
        *("-o", "a-replay.gif"),
    ]


def test_for_a_program(inside: Run, work: Path, clip: str) -> None:
    write_image(work / "none.png", np.zeros((4, 4, 3), dtype=np.uint8))
    document = json.loads(inside("info", "--json", clip, "none.png").stdout)
    assert document["schema"] == "nuwa.info/1"
    entry, other = document["files"]
    assert (other["recipe"], "replay" in other) == (None, False)
    recipe = probe(work / clip)["recipe"]
    assert recipe["tokens"]["data"]
    assert entry["recipe"]["tokens"].keys() == {"shape", "sha256"}
    assert {**entry["recipe"], "tokens": 0} == {**recipe, "tokens": 0}
    assert recipe["arguments"] == {
        "media": "p q.png",
        "prompt": 'a dog\'s "run"',
        "frames": 3,
        "seed": 0,
        "top_k": 9,
    }
    assert entry["replay"][:2] == ["nuwa", "predict"]
    assert str(work) not in json.dumps(recipe)


def test_what_says_where_results_go_is_no_argument(tiny: Run, work: Path) -> None:
    words = ("t2i", "a dog", "-o", "a.png", "-n", "2", "--force", "--json", "--depfile", "a.d")
    assert tiny(*words, "--sheet", "s.png", "--device", "cpu").status == 0
    for index in range(2):
        recipe = probe(work / f"a-000{index}.png")["recipe"]
        assert recipe["arguments"] == {"prompt": "a dog", "seed": index}


def test_a_sweep_is_recorded_value_by_value(tiny: Run, work: Path) -> None:
    words = ("t2i", "a dog", "--sweep", "guidance=1,3", "-o", "a.png", "-q")
    assert tiny(*words).status == 0
    for index, guidance in enumerate((1, 3)):
        recipe = probe(work / f"a-000{index}.png")["recipe"]
        assert recipe["arguments"] == {"prompt": "a dog", "seed": 0, "guidance": guidance}
    assert tiny("replay", "--check", "a-0000.png", "a-0001.png").status == 0


def test_nothing_moves_the_cursor(inside: Run, work: Path) -> None:
    evil = "\x1b[2J\x07\u202e\n\r"
    recipe = {
        "schema": RECIPE_SCHEMA,
        "command": evil,
        "prompt": evil,
        "options": {evil: evil},
        "inputs": [{"name": evil, "sha256": evil}, evil],
        "model": {"name": evil, "sha256": 3},
        "region": {"bounds": [evil] * 4},
        "tokens": evil,
        "outputs": [{"name": evil}, 3],
        "version": evil,
    }
    write_image(work / "a.png", np.zeros((4, 4, 3), dtype=np.uint8), recipe)
    done = inside("info", "a.png")
    assert done.status == 0
    assert all(character.isprintable() or character == "\n" for character in done.stdout)
    assert "  tokens: damaged" in done.stdout
    assert "replay:" not in done.stdout


@pytest.mark.parametrize("form", ["mp4", "webm", "gif"])
def test_clips_that_went_to_stdout_are_checked_as_such(
    inside: Run, model_folder: Path, work: Path, form: str
) -> None:
    """Their container is another one than that of a file."""
    words = ["t2v", "a dog", "--frames", "3", "--model", str(model_folder)]
    with (work / f"a.{form}").open("wb") as file:
        stream = io.TextIOWrapper(file)
        with contextlib.redirect_stdout(stream):
            assert run([*words, "-o", "-", "--format", form]) == 0
        stream.detach()
    assert inside(*words, "-o", f"b.{form}").status == 0
    assert (work / f"a.{form}").read_bytes() != (work / f"b.{form}").read_bytes()
    model = ("--model", model_folder)
    done = inside("replay", "--check", f"a.{form}", f"b.{form}", *model)
    assert done.paths == [f"a.{form}: identical", f"b.{form}: identical"], done
