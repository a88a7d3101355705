"""Clips written frame by frame: the same file as from an array, in the memory of a few frames."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuwa_cli.errors import UsageError
from nuwa_cli.media.metadata import RECIPE_SCHEMA
from nuwa_cli.media.video import write_video

RECIPE = {"schema": RECIPE_SCHEMA, "version": "1", "prompt": "a dog", "seed": 7}


def clip(frames: int, height: int = 31, width: int = 48) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(0)
    return np.repeat(rng.integers(0, 256, (frames, 1, width, 3), dtype=np.uint8), height, axis=1)


@pytest.mark.parametrize("suffix", ["mp4", "webm", "gif", "webp", "apng"])
def test_an_iterator_gives_the_same_file(tmp_path: Path, suffix: str) -> None:
    write_video(tmp_path / f"a.{suffix}", clip(4), 6, RECIPE)
    write_video(tmp_path / f"b.{suffix}", iter(clip(4)), 6, RECIPE)
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "f%03d.png"])
def test_frames_are_taken_one_by_one(tmp_path: Path, name: str) -> None:
    """What has been written is let go: of any number of frames only a few exist at a time."""
    taken: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def frames() -> Iterator[Any]:
        for pixels in clip(12):
            frame = pixels.copy()
            taken.append(weakref.ref(frame))
            yield frame
            del frame
            gc.collect()
            alive.append(sum(frame() is not None for frame in taken))

    gc.freeze()  # what other tests have left need not be looked through for every frame
    write_video(tmp_path / name, frames(), 6)
    assert len(alive) == 12 and max(alive) <= 3


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "f%02d.png"])
def test_a_source_that_fails_leaves_nothing(tmp_path: Path, name: str) -> None:
    def frames() -> Iterator[Any]:
        yield from clip(3)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / name, frames(), 6)
    assert list(tmp_path.glob("*.*")) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "f%02d.png"])
def test_no_frame_is_no_clip(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="nothing to write"):
        write_video(tmp_path / name, iter(()), 6)
    assert list(tmp_path.glob("*.*")) == []
