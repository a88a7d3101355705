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
from typing import Literal, TypedDict

import numpy as np

from nuwa_cli.errors import InputError
from nuwa_cli.media.child import ask
from nuwa_cli.media.containers import ContainerSource
from nuwa_cli.media.probe import (
    Beat,
    check_container,
    is_animation,
    is_picture_file,
    no_frames,
    open_picture,
    rest,
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


class ClipOptions(TypedDict):
    """What `read_clip` is asked for, by the names of its arguments."""

    fps: float | None
    max_frames: int | None
    start: float
    from_end: bool


@dataclass(frozen=True)
class Clip:
    """Frames uint8 (T, H, W, 3), how many a second, and what was converted on the way."""

    frames: Frames
    fps: float
    notes: tuple[str, ...] = ()


def kind_of(path: Path) -> Literal["picture", "clip"]:
    """What a path holds, by its first bytes. Animations, folders of pictures and patterns such as
    frames/%04d.png are clips. Raises InputError when it is nothing that can be read."""
    if numbered_pictures(path) is not None:
        return "clip"
    if is_picture_file(path):
        with open_picture(path) as picture:
            return "clip" if is_animation(picture) else "picture"
    check_container(path)
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
    A container is decoded in a process of its own (`child.py`).
    Raises InputError: nothing to read, damaged, one picture only, no frame at `start`, too large.
    EnvironmentFault when that process cannot be started.
    """
    options: ClipOptions = {
        "fps": fps,
        "max_frames": max_frames,
        "start": start,
        "from_end": from_end,
    }
    if numbered_pictures(path) is not None or is_picture_file(path):
        return read_clip_here(path, options)
    check_container(path)
    answer = ask(path, {"ask": "clip", "options": options}, max_pixels=MAX_CLIP_PIXELS)
    if not answer.frames:
        raise no_frames(path)
    facts = answer.facts
    return Clip(_stack(path, answer.frames), float(facts["fps"]), tuple(map(str, facts["notes"])))


def read_clip_here(path: Path, options: ClipOptions) -> Clip:
    """`read_clip` in this process: for pictures, and for tests of how containers are decoded."""
    reader = ClipReader(path, options)
    frames = list(reader.frames())
    return Clip(_stack(path, frames), reader.fps, tuple(reader.notes))


class ClipReader:
    """The frames of a clip one by one; `fps` and `notes` are complete when they have ended."""

    def __init__(self, path: Path, options: ClipOptions, beat: Beat = rest) -> None:
        self.fps = options["fps"] or 0.0
        self.notes: list[str] = []
        self._path = path
        self._options = options
        self._beat = beat

    def frames(self) -> Iterator[Pixels]:
        """All frames that the options ask for, of bounded size together. Raises InputError."""
        source = _open(self._path, self._options["fps"], self._beat)
        first = last = 0.0
        count = 0
        for time, load in itertools.islice(self._timed(source), self._options["max_frames"]):
            pixels = load()
            height, width = pixels.shape[:2]
            count += 1
            if count * height * width > MAX_CLIP_PIXELS:
                raise InputError(
                    f"file '{self._path}': too long; give at most "
                    f"{MAX_CLIP_PIXELS // (height * width)} frames of {width}x{height}, "
                    "or smaller ones"
                )
            first, last = (time if count == 1 else first), time
            yield pixels
        self._finish(source, count, last - first)

    def _timed(self, source: Source) -> Iterator[TimedFrame]:
        fps, start = self._options["fps"], self._options["start"]
        most = self._options["max_frames"]
        if self._options["from_end"] and most is not None:
            moments = _last_moments(source, fps, most, start)
            return _sample(source.frames(min(moments, default=start)), moments, hold=math.inf)
        if fps is not None:
            steady = (start + index / fps for index in itertools.count())
            return _sample(source.frames(start), steady, hold=1 / source.rate)
        return _since(source.frames(start), start, hold=1 / source.rate)

    def _finish(self, source: Source, count: int, lasts: float) -> None:
        start, fps = self._options["start"], self._options["fps"]
        if not count:
            if start <= 0:
                raise no_frames(self._path)
            raise InputError(
                f"file '{self._path}': has no frame at {start:g} s; give an earlier start"
            )
        self.notes = list(source.notes)
        if fps is None:
            fps = (count - 1) / lasts if lasts > 0 else source.rate
        elif abs(source.rate - fps) > _SAME_RATE * fps:
            self.notes.append(f"{source.rate:.4g} frames a second resampled to {fps:g}")
        self.fps = round(fps, 3)


def _stack(path: Path, frames: list[Pixels]) -> Frames:
    if any(frame.shape != frames[0].shape for frame in frames):
        raise InputError(f"file '{path}': its frames differ in size; re-encode the clip")
    return np.stack(frames)


def _open(path: Path, fps: float | None, beat: Beat) -> Source:
    pictures = numbered_pictures(path)
    if pictures is not None:
        return PictureSource(pictures, fps or DEFAULT_RATE)
    if not is_picture_file(path):
        return ContainerSource(path, beat)
    if kind_of(path) == "clip":
        return AnimationSource(path)
    raise InputError(
        f"file '{path}': is one picture; give a clip, an animation, a folder of pictures "
        "or a pattern such as frames/%04d.png"
    )


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
