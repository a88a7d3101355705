"""Any picture or clip of a user as arrays: the one way in for `tasks`, `cli` and `api`.

What a file is, its content says, not its name. A clip is sampled while it is decoded: at `fps` frames
a second the frame shown at each moment is taken, which repeats frames of a slow clip and leaves out
frames of a fast one. Only the frames that are returned are ever held.

Invariant: whatever is in a file, the outcome is an array of bounded size or one InputError.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from nuwa_cli.errors import InputError
from nuwa_cli.media.containers import ContainerSource
from nuwa_cli.media.probe import (
    is_animation,
    is_picture_file,
    no_frames,
    open_container,
    open_picture,
)
from nuwa_cli.media.sources import (
    DEFAULT_RATE,
    AnimationSource,
    PictureSource,
    Pixels,
    Source,
    TimedFrame,
    numbered_pictures,
)
from nuwa_cli.media.stills import Picture, read_picture
from nuwa_cli.media.video import Frames

__all__ = ["MAX_CLIP_PIXELS", "Clip", "Picture", "kind_of", "read_clip", "read_picture"]

MAX_CLIP_PIXELS = 128_000_000
"""Of all frames together: 15 frames of 4K, 60 of full HD."""

_ROUNDING = 0.006  # seconds: times in files are rounded, those of a GIF to hundredths
_SAME_RATE = 0.03  # relative; times in files are rounded


@dataclass(frozen=True)
class Clip:
    """Frames uint8 (T, H, W, 3), how many a second, and what was converted on the way."""

    frames: Frames
    fps: float
    notes: tuple[str, ...] = ()


def kind_of(path: Path) -> Literal["picture", "clip"]:
    """What a path holds. Animations, folders of pictures and patterns such as frames/%04d.png are
    clips. Raises InputError when it is nothing that can be read."""
    if numbered_pictures(path) is not None:
        return "clip"
    if is_picture_file(path):
        with open_picture(path) as picture:
            return "clip" if is_animation(picture) else "picture"
    with open_container(path):
        return "clip"


def read_clip(
    path: Path,
    *,
    fps: float | None = None,
    max_frames: int | None = None,
    start: float = 0.0,
    from_end: bool = False,
) -> Clip:
    """Read an mp4 or webm, an animation, a folder of pictures or a pattern such as frames/%04d.png.

    `start` is in seconds. `fps` resamples; numbered pictures, which know no rate, are taken as
    having it. `from_end` keeps the last `max_frames` instead of the first, the very last included.
    Raises InputError: nothing to read, damaged, one picture only, no frame at `start`, too large.
    """
    source = _open(path, fps)
    if from_end and max_frames is not None:
        moments = _last_moments(source, fps, max_frames, start)
        timed = _sample(source.frames(min(moments, default=start)), moments, hold=math.inf)
    elif fps is not None:
        steady = (start + index / fps for index in itertools.count())
        timed = _sample(source.frames(start), steady, hold=1 / source.rate)
    else:
        timed = _since(source.frames(start), start, hold=1 / source.rate)
    times, frames = _load(path, itertools.islice(timed, max_frames))
    if not frames:
        if start <= 0:
            raise no_frames(path)
        raise InputError(f"file '{path}': has no frame at {start:g} s; give an earlier start")
    notes = list(source.notes)
    if fps is None:
        lasts = times[-1] - times[0]
        fps = (len(times) - 1) / lasts if lasts > 0 else source.rate
    elif abs(source.rate - fps) > _SAME_RATE * fps:
        notes.append(f"{source.rate:.4g} frames a second resampled to {fps:g}")
    return Clip(np.stack(frames), round(fps, 3), tuple(notes))


def _open(path: Path, fps: float | None) -> Source:
    pictures = numbered_pictures(path)
    if pictures is not None:
        return PictureSource(pictures, fps or DEFAULT_RATE)
    if not is_picture_file(path):
        return ContainerSource(path)
    if kind_of(path) == "clip":
        return AnimationSource(path)
    raise InputError(
        f"file '{path}': is one picture; give a clip, an animation, a folder of pictures "
        "or a pattern such as frames/%04d.png"
    )


def _load(path: Path, timed: Iterable[TimedFrame]) -> tuple[list[float], list[Pixels]]:
    """Times and pixels of all frames, or InputError when they are too much to hold."""
    times: list[float] = []
    frames: list[Pixels] = []
    for time, load in timed:
        pixels = load()
        height, width = pixels.shape[:2]
        if (len(frames) + 1) * height * width > MAX_CLIP_PIXELS:
            raise InputError(
                f"file '{path}': too long; give at most {MAX_CLIP_PIXELS // (height * width)} "
                f"frames of {width}x{height}, or smaller ones"
            )
        times.append(time)
        frames.append(pixels)
    return times, frames


def _last_moments(source: Source, fps: float | None, count: int, start: float) -> list[float]:
    """When the last `count` frames appear, or at `fps` the moments up to the very last."""
    if fps is None:
        moments = source.last_times(count)
    else:
        moments = [last - index / fps for last in source.last_times(1) for index in range(count)]
    return sorted(moment for moment in moments if moment > start - _ROUNDING)


def _sample(
    timed: Iterable[TimedFrame], moments: Iterable[float], *, hold: float
) -> Iterator[TimedFrame]:
    """What is shown at each of the rising moments; the last frame is shown for `hold` seconds."""
    waiting = iter(moments)
    moment = next(waiting, math.inf)
    for (_, load), end in _with_next(timed, hold):
        while moment < end:
            yield moment, load
            moment = next(waiting, math.inf)
        if moment == math.inf:
            return


def _since(timed: Iterable[TimedFrame], start: float, *, hold: float) -> Iterator[TimedFrame]:
    """The frame shown at `start` and all that follow."""
    for frame, end in _with_next(timed, hold):
        if end > start:
            yield frame


def _with_next(timed: Iterable[TimedFrame], hold: float) -> Iterator[tuple[TimedFrame, float]]:
    """Each frame and when it is replaced, give or take what times are rounded by."""
    frames = iter(timed)
    frame = next(frames, None)
    while frame is not None:
        following = next(frames, None)
        end = frame[0] + hold if following is None else following[0]
        yield frame, end - min(_ROUNDING, (end - frame[0]) / 4)
        frame = following
