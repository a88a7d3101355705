"""`--sheet` of a run, and `nuwa sheet`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.cli.looking.sheet import SheetFile
from nuwa_cli.errors import OutputError, UsageError
from nuwa_cli.media.probe import probe
from nuwa_cli.media.video import write_video

Run = Callable[..., Any]


def picture(path: Path, value: int, side: int = 32) -> None:
    Image.new("RGB", (side, side), (value, value // 2, 0)).save(path)


def test_a_run_with_a_sheet(tiny: Run, work: Path) -> None:
    done = tiny("t2i", "a dog", "草", "-n", "2", "--seed", "4", "-o", "x.png", "--sheet", "all.png")
    assert done.status == 0, done.stderr
    assert done.paths == [*(f"x-{index:04d}.png" for index in range(4)), "all.png"]
    sheet = np.asarray(Image.open(work / "all.png"))
    first = np.asarray(Image.open(work / "x-0000.png"))
    side = first.shape[0]
    assert np.array_equal(sheet[12 : 12 + side, 12 : 12 + side], first)
    recipe = probe(work / "all.png")["recipe"]
    assert (recipe["command"], recipe["of"]) == ("sheet", "t2i")
    assert [(entry["prompt"], entry["seed"]) for entry in recipe["outputs"]] == [
        *(("a dog", seed) for seed in (4, 5)),
        *(("草", seed) for seed in (4, 5)),
    ]
    assert "tokens" not in json.dumps(recipe)
    assert recipe["model"]["name"]


def test_a_sheet_is_checked_before_anything_is_drawn(tiny: Run, work: Path) -> None:
    words = ("t2i", "a dog", "-o", "x.png", "--sheet")
    tiny(*words, "x.png").check_refusal(2, "is an output as well")
    tiny(*words, "all.gif").check_refusal(2, "no picture format")
    tiny(*words, "none/all.png").check_refusal(4, "folder does not exist")
    picture(work / "all.png", 1)
    tiny(*words, "all.png").check_refusal(4, "exists")
    assert [entry.name for entry in work.iterdir()] == ["all.png"]


def test_the_command(inside: Run, work: Path) -> None:
    for index in range(5):
        picture(work / f"p{index}.png", 40 * index)
    frames = np.full((9, 32, 32, 3), np.arange(9)[:, None, None, None] * 20, np.uint8)
    write_video(work / "c.gif", frames, 5.0)
    names = [f"p{index}.png" for index in range(5)]
    done = inside("sheet", *names, "c.gif", "-o", "s.png", "--json")
    assert done.status == 0, done.stderr
    (result,) = json.loads(done.stdout)["outputs"]
    assert (result["path"], result["cells"]) == ("s.png", 6)
    assert [entry["name"] for entry in result["recipe"]["outputs"]] == [*names, "c.gif"]
    sheet = np.asarray(Image.open(work / "s.png"))
    assert sheet.shape[1] == 12 + 6 * 32 + 5 * 2 + 12
    assert (sheet[12:44, 12 + 40 : 12 + 72] == (40, 20, 0)).all()
    inside("sheet", *names, "-o", "s.png").check_refusal(4, "exists")
    row = inside("sheet", *names, "-o", "s.png", "--force", "--columns", "5", "--no-metadata")
    assert row.paths == ["s.png"]
    assert Image.open(work / "s.png").width == 12 + 5 * 32 + 4 * 8 + 12
    assert probe(work / "s.png")["recipe"] is None


def test_refusals(inside: Run, work: Path) -> None:
    picture(work / "a.png", 9)
    inside("sheet", "a.png", "-o", "a.png", "--force").check_refusal(2, "is an output as well")
    inside("sheet", "a.png", "-o", "s.png", "--columns", "0").check_refusal(2, "columns '0'")
    inside("sheet", "none.png", "-o", "s.png").check_refusal(3, "none.png")
    inside("sheet", "a.png", "-o", "-").check_refusal(2, "-")
    assert not (work / "s.png").exists()


def test_thumbnails_only(tmp_path: Path) -> None:
    """Memory does not grow with the size of the outputs."""
    sheet = SheetFile(tmp_path / "s.png", 1000)
    sheet.add(np.zeros((40, 512, 512, 3), np.uint8), prompt="x", seed=1)
    ((frames, label),) = sheet._entries
    assert frames.shape == (6, 89, 89, 3)
    assert label == "1 · x"


def test_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="as well"):
        SheetFile(tmp_path / "a.png", 1, others=[tmp_path / "a.png"])
    with pytest.raises(OutputError, match="folder"):
        SheetFile(tmp_path / "no" / "a.png", 1)
