"""`inpaint`, `edit` and `vedit` on the tiny model: what comes back, and what is refused before it is
loaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]
BOX = ("--box", "10,5,20,12")


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


def pixels_of(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


def inside_box() -> Any:
    mask = np.zeros((50, 70), dtype=np.bool_)
    mask[5:17, 10:30] = True
    return mask


@pytest.fixture
def photo(work: Path) -> Any:
    """A picture of 70x50 in `a.png`; returns its pixels."""
    pixels = noise(50, 70)
    Image.fromarray(pixels).save(work / "a.png")
    return pixels


@pytest.fixture
def frames(work: Path) -> list[Any]:
    """A clip of four frames of 40x30 as `f/0.png` …"""
    (work / "f").mkdir()
    clip = [noise(30, 40, seed=index) for index in range(4)]
    for index, frame in enumerate(clip):
        Image.fromarray(frame).save(work / "f" / f"{index}.png")
    return clip


def test_a_box_is_painted(both: Run, model_folder: Path, work: Path, photo: Any) -> None:
    """Outside, every pixel of the PNG is the input's; the JSON says so, and the recipe says how."""
    words = ("edit", "a.png", "a dog runs", *BOX, "--json", "--model", model_folder, "--best-of")
    done = both(*words, "2", "-o", "b.png", "--seed", "3")
    assert done.status == 0, done
    (output,) = json.loads(done.stdout)["outputs"]
    made, mask = pixels_of(work / "b.png"), inside_box()
    assert made.shape == photo.shape
    assert (made[~mask] == photo[~mask]).all()
    assert (made[mask] != photo[mask]).any()
    assert output["outside_identical"] is True
    assert output["outside_difference"] == 0
    assert isinstance(output["score"], float)
    assert done.stderr == (
        "nuwa: region: repainted in a window of 32x32 pixels at 4,0, "
        "which the model sees as 32x32\n"
    )
    recipe = output["recipe"]
    digest = hashlib.sha256((work / "a.png").read_bytes()).hexdigest()
    assert recipe["inputs"] == [{"name": "a.png", "sha256": digest}]
    assert recipe["region"] == {
        "box": ["10,5,20,12"],
        "bounds": [10, 5, 20, 12],
        "share": 0.0686,
    }
    assert recipe["options"]["fit"] == "crop"
    assert recipe["options"]["engine"] == "lip"
    facts = json.loads(both("info", "b.png", "--json").stdout)["files"][0]
    assert facts["recipe"] == recipe
    lines = both("info", "b.png").stdout.splitlines()
    assert f"  input: a.png (sha256 {digest[:12]}…)" in lines
    assert "  region: within 20x12 at 10,5" in lines


@pytest.mark.usefixtures("photo")
@pytest.mark.parametrize("command", ["inpaint", "edit"])
def test_several_results(tiny: Run, work: Path, command: str) -> None:
    done = tiny(command, "a.png", "a dog", *BOX, "-n", "3", "-o", "b.png", "--seed", "5", "-q")
    assert done.paths == ["b-0000.png", "b-0001.png", "b-0002.png"]
    assert done.stderr == ""
    assert tiny(command, "a.png", "a dog", *BOX, "-o", "c.png", "--seed", "6", "-q").status == 0
    assert (work / "c.png").read_bytes() == (work / "b-0001.png").read_bytes()
    assert (work / "c.png").read_bytes() != (work / "b-0000.png").read_bytes()


def test_every_way_to_name_a_region(tiny: Run, work: Path, photo: Any) -> None:
    """All shapes at once, inverted and feathered; the preview shows what a dry run would paint."""
    mask = np.zeros((50, 70), dtype=np.uint8)
    mask[40:, 60:] = 255
    Image.fromarray(mask).save(work / "m.png")
    shapes = (
        *("--box", "0,0,5,5", "--box", "50%,0,10%,10%", "--ellipse", "30,20,20,20"),
        *("--polygon", "60,5 68,5 64,12", "--mask", "m.png", "--mask-preview", "p.png"),
    )
    words = ("inpaint", "a.png", *shapes, "-o", "b.png", "--json")
    assert tiny(*words, "--dry-run").status == 0
    assert {path.name for path in work.iterdir()} == {"a.png", "m.png", "p.png"}
    marked = (pixels_of(work / "p.png") != photo).any(axis=-1)
    assert marked[2, 2] and marked[2, 38] and marked[30, 40] and marked[6, 64] and marked[45, 65]
    assert not marked[20, 10]
    tiny(*words).check_refusal(4, "p.png': exists")
    done = tiny(*words, "--force", "--mask-invert", "--feather", "3")
    (output,) = json.loads(done.stdout)["outputs"]
    assert output["outside_identical"] is True
    made = pixels_of(work / "b.png")
    for row, column in ((2, 2), (2, 38), (30, 40), (6, 64), (45, 65)):
        assert (made[row, column] == photo[row, column]).all()
    assert (made[20, 10] != photo[20, 10]).any()
    region = output["recipe"]["region"]
    assert region["box"] == ["0,0,5,5", "50%,0,10%,10%"]
    assert (region["mask"], region["mask_invert"], region["feather"]) == ("m.png", True, 3)
    assert [entry["name"] for entry in output["recipe"]["inputs"]] == ["a.png", "m.png"]


def test_a_hole_that_is_transparent(tiny: Run, work: Path) -> None:
    """--alpha fills it; transparency outside another region stays."""
    pixels = noise(40, 40, 4)
    pixels[..., 3] = 255
    pixels[10:20, 10:20, 3] = 0
    Image.fromarray(pixels).save(work / "a.png")
    assert tiny("inpaint", "a.png", "--alpha", "-o", "b.png", "-q").status == 0
    filled = pixels_of(work / "b.png")
    assert (filled[..., 3] == 255).all()
    outside = pixels[..., 3] == 255
    assert (filled[outside] == pixels[outside]).all()
    assert tiny("inpaint", "a.png", "--box", "0,0,8,8", "-o", "c.png", "-q").status == 0
    assert (pixels_of(work / "c.png")[8:] == pixels[8:]).all()


@pytest.mark.usefixtures("photo")
def test_lossy_formats_say_so(tiny: Run) -> None:
    done = tiny("inpaint", "a.png", *BOX, "-o", "b.jpg", "--json", "--fit", "stretch")
    (output,) = json.loads(done.stdout)["outputs"]
    assert output["outside_identical"] is False
    assert output["outside_difference"] > 0
    assert output["fit"] == "70x50 fitted to 32x32: stretched"
    assert "'b.jpg': .jpg is lossy and changed pixels outside the region" in done.stderr


def test_clips_keep_frames_and_what_lies_outside(tiny: Run, work: Path, frames: list[Any]) -> None:
    words = ("vedit", "f/%d.png", "a dog", "--json", "--frames", "4")
    done = tiny(*words, "-o", "moved/%d.png")
    assert done.status == 0, done
    (output,) = json.loads(done.stdout)["outputs"]
    assert (output["frames"], output["width"], output["height"]) == (4, 40, 30)
    assert output["outside_identical"] is True
    assert output["recipe"]["options"]["keep_first"] == 1
    assert "'f/%d.png': 4 frames at 6 a second are edited" in done.stderr
    moved = [pixels_of(work / "moved" / f"{index}.png") for index in range(4)]
    assert (moved[0] == frames[0]).all()
    assert all((moved[index] != frames[index]).mean() > 0.5 for index in (1, 2, 3))
    done = tiny(*words, "-o", "painted/%d.png", "--box", "0,0,50%,100%", "--keep-first", "2")
    (output,) = json.loads(done.stdout)["outputs"]
    assert output["outside_identical"] is True
    painted = [pixels_of(work / "painted" / f"{index}.png") for index in range(4)]
    assert all((painted[index] == frames[index]).all() for index in (0, 1))
    for index in (2, 3):
        assert (painted[index][:, 20:] == frames[index][:, 20:]).all()
        assert (painted[index][:, :20] != frames[index][:, :20]).any()


def test_a_mask_that_moves(tiny: Run, work: Path, frames: list[Any]) -> None:
    (work / "m").mkdir()
    for index in range(4):
        mask = np.zeros((30, 40), dtype=np.uint8)
        mask[:, 10 * index : 10 * index + 10] = 255
        Image.fromarray(mask).save(work / "m" / f"{index}.png")
    words = (
        "vedit",
        "f",
        "a dog",
        "--frames",
        "4",
        "--mask",
        "m/%d.png",
        "--mask-preview",
        "p.png",
    )
    done = tiny(*words, "-o", "b/%d.png", "-q")
    assert done.status == 0, done
    for index in range(4):
        same = (pixels_of(work / "b" / f"{index}.png") == frames[index]).all(axis=(0, 2))
        assert same[: 10 * index].all() and same[10 * index + 10 :].all()
        assert not same[10 * index : 10 * index + 10].any()


def test_mp4_in_and_out(tiny: Run) -> None:
    assert tiny("t2v", "a dog", "-o", "a.mp4", "--frames", "6", "--fps", "12").status == 0
    done = tiny("vedit", "a.mp4", "a dog", "-o", "b.mp4", "--json", "--start", "0.1")
    assert done.status == 0, done
    (output,) = json.loads(done.stdout)["outputs"]
    assert output["fps"] == 6
    assert output["outside_identical"] is False  # honest: the codec changed it
    assert "resampled to 6" in done.stderr
    assert "from 0.1 s are edited" in done.stderr


USAGE = [
    (("edit", "a.png", "a dog", "-o", "b.png"), "region: none is given; say what to repaint with"),
    (("inpaint", "a.png", "-o", "b.png"), "--box, --ellipse, --polygon, --mask or --alpha"),
    (("inpaint", "a.png", "--mask-invert", "-o", "b.png"), "region: none is given"),
    (("edit", "a.png", *BOX, "-o", "b.png"), "missing argument 'PROMPT"),
    (("edit", "a.png", "", *BOX, "-o", "b.png"), "prompt ''"),
    (("inpaint", "a.png", "", *BOX, "-o", "b.png"), "prompt ''"),
    (("inpaint", "a.png", *BOX, "-o", "b.png", "--best-of", "2"), "no prompt to judge by"),
    (("inpaint", "a.png", *BOX, "-o", "b.mp4"), "no picture format"),
    (("inpaint", "a.png", *BOX, "-o", "b.png", "--fit", "squeeze"), "'--fit'"),
    (("inpaint", "a.png", *BOX, "-o", "b.png", "--engine", "gan"), "'--engine'"),
    (("inpaint", "a.png", *BOX, "-o", "b.png", "--feather", "-1"), "feather '-1'"),
    (("inpaint", "a.png", *BOX, "-o", "b.png", "--feather", "nan"), "feather 'nan'"),
    (("inpaint", "a.png", "--box", "1,2,3", "-o", "b.png"), "box '1,2,3'"),
    (("inpaint", "a.png", "--box", "90,5,9,9", "-o", "b.png"), "70x50"),
    (("inpaint", "a.png", "--ellipse", "x", "-o", "b.png"), "ellipse 'x'"),
    (("inpaint", "a.png", "--polygon", "1,2 3,4", "-o", "b.png"), "polygon '1,2 3,4'"),
    (("inpaint", "a.png", "--mask", "small.png", "-o", "b.png"), "is 8x8, the picture is 70x50"),
    (("inpaint", "a.png", "--alpha", "-o", "b.png"), "no part of the picture is transparent"),
    (
        ("inpaint", "a.png", "--box", "0,0,100%,100%", "--mask-invert", "-o", "b.png"),
        "inverted nothing",
    ),
    (("inpaint", "a.png", *BOX, "--mask-preview", "p.mp4", "-o", "b.png"), "no picture format"),
    (("vedit", "f", "a dog", "--keep-first", "0", "-o", "b.mp4"), "nothing of the clip would stay"),
    (("vedit", "f", "a dog", "--keep-first", "-1", "-o", "b.mp4"), "keep-first '-1'"),
    (("vedit", "f", "a dog", "--keep-first", "3", "-o", "b.mp4"), "the clip has 3 frames"),
    (("vedit", "f", "a dog", "--start", "-1", "-o", "b.mp4"), "start '-1"),
    (("vedit", "f", "a dog", "--start", "nan", "-o", "b.mp4"), "start 'nan'"),
    (("vedit", "f", "a dog", "--frames", "0", "-o", "b.mp4"), "frames '0'"),
    (("vedit", "f", "a dog", "--mask", "small.png", "-o", "b.mp4"), "the picture is 40x30"),
    (("vedit", "f", "a dog", "-o", "b.png"), "no clip format"),
    (("vedit", "f", "-o", "b.mp4"), "missing argument 'PROMPT"),
]
INPUT = [
    (("edit", "none.png", "a dog", *BOX, "-o", "b.png"), "none.png"),
    (("edit", ".", "a dog", *BOX, "-o", "b.png"), "file '.'"),
    (("edit", "text.png", "a dog", *BOX, "-o", "b.png"), "text.png"),
    (("edit", "half.png", "a dog", *BOX, "-o", "b.png"), "half.png"),
    (("inpaint", "a.png", "--mask", "none.png", "-o", "b.png"), "none.png"),
    (("vedit", "a.png", "a dog", "-o", "b.mp4"), "is one picture"),
    (("vedit", "none/%d.png", "a dog", "-o", "b.mp4"), "none/%d.png"),
    (("vedit", "f", "a dog", "--start", "99", "-o", "b.mp4"), "no frame at 99 s"),
]


@pytest.mark.usefixtures("photo", "frames")
@pytest.mark.parametrize(
    ("words", "status", "why"),
    [(words, 2, why) for words, why in USAGE] + [(words, 3, why) for words, why in INPUT],
    ids=lambda value: str(value)[:60],
)
def test_refusals_leave_nothing_and_load_nothing(
    tiny: Run,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    why: str,
) -> None:
    Image.fromarray(noise(8, 8)).save(work / "small.png")
    (work / "text.png").write_text("no picture")
    (work / "half.png").write_bytes((work / "a.png").read_bytes()[:999])
    before = sorted(work.rglob("*"))
    monkeypatch.setattr("nuwa_cli.api.engine.load_model", None)
    tiny(*words, "-q").check_refusal(status, why)
    assert sorted(work.rglob("*")) == before


def test_outputs_are_checked_before_inputs(tiny: Run, work: Path) -> None:
    (work / "b.png").write_bytes(b"mine")
    tiny("edit", "none.png", "a dog", *BOX, "-o", "b.png").check_refusal(4, "exists; give --force")
    tiny("vedit", "none.mp4", "a dog", "-o", "x/b.mp4").check_refusal(4, "mkdir -p 'x'")
