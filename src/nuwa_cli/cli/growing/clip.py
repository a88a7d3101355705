"""Longer and wider clips from the first step to the file: frames are written as they are drawn.

A clip that is stopped ends with the frames that are drawn so far, where that was asked for. There is no
journal: what a chunk of frames needs to know of the earlier ones is more than their tokens.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nuwa_cli.cli.growing.each import Facts, count_of, draw_each
from nuwa_cli.cli.growing.stop import Stop
from nuwa_cli.cli.main_errors import Terminated
from nuwa_cli.cli.recipes.recall import embedded
from nuwa_cli.cli.work.inputs import Source
from nuwa_cli.cli.work.output import Progress
from nuwa_cli.cli.work.stream_out import send_clip
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.media.naming import is_sequence
from nuwa_cli.media.probe import MAX_PIXELS
from nuwa_cli.media.reading import MAX_CLIP_PIXELS, read_clip
from nuwa_cli.media.video import Frame, Frames, write_video

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline, OnProgress
    from nuwa_cli.api.clip_extension import ClipExtension

Start = Callable[["NuwaPipeline", str, int, "OnProgress"], "ClipExtension"]
"""(pipeline, prompt, seed, progress) → a clip that was planned."""

MAX_SHOWN = 200  # frames that --show looks at
_MAX_SIDE = 16_383  # pixels: no codec of ours holds more
_FROM_MEMORY = (".gif", ".webp", ".apng")


def check_format(path: Path, frames: int, height: int, width: int) -> None:
    """Raise UsageError for clips that no format, or not this one, can be."""
    if not is_sequence(path) and max(height, width) > _MAX_SIDE:
        raise UsageError(
            f"output '{path}': a clip has at most {_MAX_SIDE} pixels a side, this is "
            f"{width}x{height}; write frames/%04d.png"
        )
    if height * width > MAX_PIXELS:
        raise UsageError(
            f"size '{width}x{height}': too large for a clip; give at most {MAX_PIXELS // 10**6} "
            "million pixels a frame"
        )
    if path.suffix.lower() in _FROM_MEMORY and frames * height * width > MAX_CLIP_PIXELS:
        raise UsageError(
            f"output '{path}': {path.suffix} is written from memory, up to "
            f"{MAX_CLIP_PIXELS // 10**6} million pixels of all frames; write a .mp4"
        )


def draw_clips(
    work: Work, start: Start, given: Frames, sources: tuple[Source, ...], *, keep_partial: bool
) -> None:
    """Make every output from the frames (T, H, W, 3) of some files. Raises UsageError, OutputError."""

    def make(pipeline: NuwaPipeline, index: int, stop: Stop, progress: Progress) -> Facts:
        def report(done: int, of: int) -> None:
            progress.step(done, of)
            stop.check()

        clip = start(pipeline, *work.jobs[index], report)
        return _write(work, index, clip, given, keep_partial=keep_partial)

    def estimate(pipeline: NuwaPipeline, prompt: str, seed: int) -> tuple[str, Facts]:
        """Draw one step, which says how long all will take on this machine."""

        def enough(*_: int) -> None:
            raise _Enough

        clip = start(pipeline, prompt, seed, enough)
        started = time.monotonic()
        with contextlib.suppress(_Enough):
            for _ in clip.frames():
                pass
        seconds = round(clip.num_steps * (time.monotonic() - started), 1)
        pixels = f"{count_of(clip.num_frames, 'frame')} of {clip.width}x{clip.height} pixels"
        line = f"{pixels}, {count_of(clip.num_steps, 'step')}, about {seconds:.0f} s"
        return line, {**_sizes(clip), "estimated_seconds": seconds}

    draw_each(
        work,
        sources,
        unit="clip",
        make=make,
        estimate=estimate,
        seen=_seen,
        is_patient=keep_partial,
    )


class _Enough(Exception):
    """One step was drawn."""


def _write(
    work: Work, index: int, clip: ClipExtension, given: Frames, *, keep_partial: bool
) -> Facts:
    """Draw a clip and write it frame by frame. Raises OutputError."""
    path = work.paths[index]
    least = len(given) if clip.num_frames > len(given) else 0
    frames = _Taken(clip.frames(), least if keep_partial else clip.num_frames)
    recipe = embedded(clip.recipe(), work.values_of(index))
    kept = None if work.output.no_metadata else recipe
    try:
        if work.form is not None:
            send_clip(frames, clip.fps, work.form, kept)
        else:
            write_video(path, frames, clip.fps, kept, force=work.force)
    except (KeyboardInterrupt, Terminated):
        work.voice.note(f"{_how_far(frames, clip)}: nothing is written")
        raise
    if frames.interruption is not None:
        work.voice.note(f"{_how_far(frames, clip)}: '{path}' holds them")
        raise frames.interruption
    inside = {} if work.form is not None else _inside(path, given, clip)
    return {**_sizes(clip), **inside, "recipe": recipe}


def _seen(path: Path) -> tuple[Frames, float]:
    clip = read_clip(path, max_frames=MAX_SHOWN)
    return clip.frames, clip.fps


class _Taken:
    """Frames as they are taken; a signal ends them early once more than `least` are there."""

    def __init__(self, frames: Iterable[Frame], least: int) -> None:
        self.count = 0
        self.interruption: BaseException | None = None
        self._frames = frames
        self._least = least

    def __iter__(self) -> Iterator[Frame]:
        try:
            for frame in self._frames:
                self.count += 1
                yield frame
        except (KeyboardInterrupt, Terminated) as error:
            if self.count <= self._least:
                raise
            self.interruption = error


def _how_far(frames: _Taken, clip: ClipExtension) -> str:
    return f"stopped after {frames.count} of {clip.num_frames} frames"


def _inside(path: Path, given: Frames, clip: ClipExtension) -> Facts:
    """Whether the given pixels are in the written file, and the largest difference."""
    top, left = clip.origin
    height, width = given.shape[1:3]
    try:
        written = read_clip(path, max_frames=len(given)).frames
    except InputError:  # larger than what is read at once
        return {}
    written = written[:, top : top + height, left : left + width]
    if written.shape != given.shape:  # an animation shows equal frames as one
        return {}
    difference = int(np.abs(written.astype(np.int16) - given).max())
    return {"inside_identical": not difference, "inside_difference": difference}


def _sizes(clip: ClipExtension) -> Facts:
    top, left = clip.origin
    return {
        "width": clip.width,
        "height": clip.height,
        "frames": clip.num_frames,
        "fps": clip.fps,
        "steps": clip.num_steps,
        "origin": [left, top],
    }
