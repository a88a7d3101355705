"""`predict` on the tiny model: pictures that start to move, clips that go on, and refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]


def noise(height: int, width: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def pixels_of(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


@pytest.fixture
def still(work: Path) -> Any:
    """A picture of the model's size in `a.png`; returns its pixels."""
    Image.fromarray(noise(32, 32)).save(work / "a.png")
    return noise(32, 32)


@pytest.fixture
def clip(work: Path) -> list[Any]:
    """Five frames of the model's size as `f/00.png` …"""
    (work / "f").mkdir()
    frames = [noise(32, 32, seed) for seed in range(5)]
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(work / "f" / f"{index:02d}.png")
    return frames


def test_a_picture_is_set_in_motion(both: Run, model_folder: Path, work: Path, still: Any) -> None:
    words = ("predict", "a.png", "a dog runs", "--model", model_folder, "--json", "--seed", "2")
    done = both(*words, "-o", "f/%d.png", "--frames", "4", "--fps", "12")
    assert (done.status, done.stderr) == (0, ""), done
    (output,) = json.loads(done.stdout)["outputs"]
    assert (output["frames"], output["fps"], output["width"]) == (4, 12, 32)
    frames = [pixels_of(work / "f" / f"{index}.png") for index in range(4)]
    assert (frames[0] == still).all()
    assert (frames[1] != still).any()
    recipe = output["recipe"]
    assert recipe["inputs"][0]["name"] == "a.png"
    assert recipe["options"]["frames"] == 4
    assert recipe["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")


def test_a_clip_goes_on_from_its_last_frames(tiny: Run, work: Path, clip: list[Any]) -> None:
    for context, words in ((3, ()), (2, ("--context", "2")), (5, ("--context", "9"))):
        name = f"{context}/%d.png"
        done = tiny("predict", "f/%02d.png", "-o", name, "--frames", "7", *words)
        assert done.status == 0, done
        assert f"goes on from the last {context} frames" in done.stderr
        made = [pixels_of(work / str(context) / f"{index}.png") for index in range(7)]
        for index in range(context):
            assert (made[index] == clip[5 - context + index]).all()
        assert (made[context] != clip[-1]).any()


@pytest.mark.usefixtures("still")
def test_sizes_prompts_and_seeds(tiny: Run, work: Path) -> None:
    Image.fromarray(noise(40, 60)).save(work / "wide.png")
    done = tiny("predict", "wide.png", "-o", "w.gif", "-n", "2")
    assert done.paths == ["w-0000.gif", "w-0001.gif"]
    assert done.stderr.startswith("nuwa: input: 60x40 fitted to 32x32: cropped 10 pixels")
    assert (work / "w-0000.gif").read_bytes() != (work / "w-0001.gif").read_bytes()
    made = []
    for index, words in enumerate(((), ("a dog",), ("a dog", "--best-of", "2"), ())):
        name = f"{index}.gif"
        assert tiny("predict", "a.png", *words, "-o", name, "-q", "--no-metadata").status == 0
        made.append((work / name).read_bytes())
    assert made[0] == made[3] != made[1]


USAGE = [
    (("predict", "a.png"), "missing option '-o'"),
    (("predict", "a.png", "", "-o", "b.mp4"), "prompt ''"),
    (("predict", "a.png", "-o", "b.png"), "no clip format"),
    (("predict", "a.png", "-o", "b.mp4", "--frames", "1"), "nothing is left to predict"),
    (("predict", "f", "-o", "b.mp4"), "3 are given already"),
    (("predict", "f", "-o", "b.mp4", "--frames", "4", "--context", "5"), "give at least 6"),
    (("predict", "f", "-o", "b.mp4", "--context", "0"), "context '0'"),
    (("predict", "a.png", "-o", "b.mp4", "--best-of", "2"), "no prompt to judge by"),
    (("predict", "a.png", "-o", "b.mp4", "--fit", "x"), "'--fit'"),
]
INPUT = [
    (("predict", "none.png", "-o", "b.mp4"), "none.png"),
    (("predict", "text.mp4", "-o", "b.mp4"), "text.mp4"),
    (("predict", "empty", "-o", "b.mp4"), "there are no pictures"),
]


@pytest.mark.usefixtures("still", "clip")
@pytest.mark.parametrize(
    ("words", "status", "why"),
    [(words, 2, why) for words, why in USAGE] + [(words, 3, why) for words, why in INPUT],
    ids=lambda value: str(value)[:60],
)
def test_refusals(
    tiny: Run,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    why: str,
) -> None:
    (work / "text.mp4").write_text("no clip")
    (work / "empty").mkdir()
    before = sorted(work.rglob("*"))
    monkeypatch.setattr("nuwa_cli.api.engine.load_model", None)
    tiny(*words, "-q").check_refusal(status, why)
    assert sorted(work.rglob("*")) == before
