"""`nuwa extend` for clips, on the tiny model: longer, wider, stopped, refused."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.api.clip_extension import ClipExtension

Run = Callable[..., Any]
COUNT, HEIGHT, WIDTH = 3, 24, 32


@pytest.fixture
def clip(work: Path) -> Any:
    """Three frames of 32x24 as `f/0.png` …; returns their pixels."""
    (work / "f").mkdir()
    shape = (COUNT, HEIGHT, WIDTH, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(work / "f" / f"{index}.png")
    return frames


@pytest.fixture
def signal_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Let the process get a signal when so many frames of a clip were taken, once."""

    def arrange(count: int, number: int = signal.SIGINT) -> None:
        frames = ClipExtension.frames
        waiting = [number]

        def counted(self: ClipExtension) -> Iterator[Any]:
            for index, frame in enumerate(frames(self)):
                if index == count and waiting:
                    os.kill(os.getpid(), waiting.pop())
                    time.sleep(0.01)
                yield frame

        monkeypatch.setattr(ClipExtension, "frames", counted)

    return arrange


def read(work: Path, folder: str) -> Any:
    paths = sorted((work / folder).iterdir(), key=lambda path: int(path.stem))
    return np.stack([np.asarray(Image.open(path)) for path in paths])


def test_a_clip_goes_on_and_grows(tiny: Run, work: Path, clip: Any) -> None:
    words = ("extend", "f", "a dog", "--frames", "7", "--right", "12", "--up", "25%", "--json")
    done = tiny(*words, "-o", "g/%d.png", "--fps", "9")
    assert done.status == 0, done
    (output,) = json.loads(done.stdout)["outputs"]
    assert (output["width"], output["height"], output["frames"]) == (44, 30, 7)
    assert (output["origin"], output["fps"]) == ([0, 6], 9)
    assert output["inside_identical"] is True
    assert output["steps"] > 2
    made = read(work, "g")
    assert made.shape == (7, 30, 44, 3)
    assert (made[:COUNT, 6:, :WIDTH] == clip).all()
    assert output["recipe"]["options"]["frames"] == 7
    assert output["recipe"]["options"]["up"] == 6


@pytest.mark.usefixtures("clip")
def test_formats_seeds_and_estimates(tiny: Run, work: Path) -> None:
    for name in ("b.mp4", "b.gif"):
        done = tiny("extend", "f", "--frames", "5", "-o", name, "--json")
        assert done.status == 0, done
        (output,) = json.loads(done.stdout)["outputs"]
        assert (output["frames"], output["inside_identical"]) == (5, False)
    words = ("extend", "b.mp4", "--left", "2x", "-n", "2", "-q")
    assert tiny(*words, "-o", "c.mp4", "--dry-run").paths == ["c-0000.mp4", "c-0001.mp4"]
    assert tiny(*words, "-o", "c.mp4").status == 0
    assert (work / "c-0000.mp4").read_bytes() != (work / "c-0001.mp4").read_bytes()
    done = tiny("extend", "f", "--frames", "9", "-o", "d.mp4", "--dry-run", "--json")
    (output,) = json.loads(done.stdout)["outputs"]
    assert output["estimated_seconds"] > 0
    assert "9 frames of 32x24 pixels, " in done.stderr
    assert not (work / "d.mp4").exists()


def test_stopped(tiny: Run, work: Path, clip: Any, signal_after: Any) -> None:
    signal_after(5)
    done = tiny("extend", "f", "--frames", "9", "-o", "b.mp4")
    assert (done.status, done.stdout) == (130, "")
    assert "stopped after 5 of 9 frames: nothing is written" in done.stderr
    assert [path.name for path in work.iterdir()] == ["f"]
    assert clip.size


def test_stopped_with_a_part_kept(tiny: Run, work: Path, clip: Any, signal_after: Any) -> None:
    """What was drawn so far is what a whole run begins with."""
    assert tiny("extend", "f", "--frames", "9", "-o", "whole/%d.png", "-q").status == 0
    signal_after(5, signal.SIGTERM)
    done = tiny("extend", "f", "--frames", "9", "-o", "part/%d.png", "--keep-partial")
    assert (done.status, done.stdout) == (143, "")
    assert "of 9 frames: 'part/%d.png' holds them" in done.stderr
    part, whole = read(work, "part"), read(work, "whole")
    assert COUNT < len(part) < len(whole)
    assert (part == whole[: len(part)]).all()
    signal_after(0)
    done = tiny("extend", "f", "--frames", "9", "-o", "b.mp4", "--keep-partial")
    assert done.status == 130
    assert "stopped after 3 of 9 frames: nothing is written" in done.stderr
    assert not (work / "b.mp4").exists()
    assert clip.size


USAGE = [
    (("extend", "f", "-o", "b.mp4"), "nothing to add; say how long with --frames"),
    (("extend", "f", "--frames", "3", "-o", "b.mp4"), "3 are given already"),
    (("extend", "f", "--frames", "2", "--right", "9", "-o", "b.mp4"), "3 are given already"),
    (("extend", "f", "--frames", "0", "-o", "b.mp4"), "frames '0'"),
    (("extend", "f", "--right", "0", "-o", "b.mp4"), "nothing to add"),
    (("extend", "f", "--right", "9", "-o", "b.png"), "no clip format"),
    (("extend", "f", "--right", "9", "--resume", "-o", "b.mp4"), "only pictures keep a journal"),
    (("extend", "f", "--right", "9", "--prompt-at", "3:a", "-o", "b.mp4"), "has one prompt"),
    (("extend", "f", "--right", "20000", "-o", "b.mp4"), "at most 16383 pixels a side"),
    (("extend", "f", "--size", "9000x9000", "-o", "b.mp4"), "too large for a clip"),
    (("extend", "f", "--frames", "5", "--size", "6000x6000", "-o", "b.gif"), "from memory"),
]


@pytest.mark.usefixtures("clip")
@pytest.mark.parametrize(("words", "why"), USAGE, ids=lambda value: str(value)[:60])
def test_refusals_leave_nothing_and_load_nothing(
    tiny: Run, work: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], why: str
) -> None:
    before = sorted(work.rglob("*"))
    monkeypatch.setattr("nuwa_cli.api.engine.load_model", None)
    tiny(*words, "-q").check_refusal(2, why)
    assert sorted(work.rglob("*")) == before
