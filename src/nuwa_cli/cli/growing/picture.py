"""Large pictures: what their format allows, what they would take, and how one is made.

A PNG is streamed, to its file or to stdout, and needs the memory of a few rows. JPEG and WebP are written from
memory, so they have a limit besides that of their format.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nuwa_cli.cli.growing.each import Facts, count_of, draw_each
from nuwa_cli.cli.growing.job import Habits, Job, sizes
from nuwa_cli.cli.growing.stop import Stop
from nuwa_cli.cli.work.inputs import Source
from nuwa_cli.cli.work.output import Progress
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import UsageError
from nuwa_cli.media.png_stream import Rows
from nuwa_cli.media.probe import MAX_PIXELS
from nuwa_cli.media.reading import read_picture
from nuwa_cli.media.strip_store import check_space
from nuwa_cli.media.video import Frames

if TYPE_CHECKING:
    from nuwa_cli.api import Extension, NuwaPipeline

Start = Callable[["NuwaPipeline", str, int], "Extension"]
"""(pipeline, prompt, seed) → a picture that was planned."""

MAX_SIDES = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Pixels a side that a format, or the library that writes it, can hold."""


def check_format(path: Path, height: int, width: int, form: str | None = None) -> None:
    """Raise UsageError for pictures that only a PNG can be, OutputError when the disk is too full. `form`
    is the format of what goes to stdout."""
    suffix = path.suffix.lower() if form is None else f".{form}"
    most = MAX_SIDES.get(suffix)
    advice = "write a .png" if form is None else "send a png"
    if most is not None and max(height, width) > most:
        raise UsageError(
            f"output '{path}': {suffix} holds at most {most} pixels a side, this is {width}x{height}; "
            f"{advice}"
        )
    if most is not None and height * width > MAX_PIXELS:
        raise UsageError(
            f"output '{path}': {suffix} is written from memory, up to {MAX_PIXELS // 10**6} million "
            f"pixels; {advice}"
        )
    check_space(path, height, width, is_sent=form is not None)


def draw_large(
    work: Work,
    start: Start,
    size: tuple[int, int],
    *,
    given: Rows | None = None,
    sources: tuple[Source, ...] = (),
    more_prompts: tuple[str, ...] = (),
    habits: Habits,
) -> None:
    """Make every output of `size` (height, width). `given` (H, W, 3) is the input whose pixels stand in the
    result, `sources` are the files it was read from. Raises UsageError, OutputError."""
    if work.form is not None:
        if habits.resume:
            raise UsageError("resume: what goes to stdout keeps no journal; give a file name")
        habits = replace(habits, has_journal=False)
    for path in work.paths:
        check_format(path, *size, work.form)

    def make(pipeline: NuwaPipeline, index: int, stop: Stop, progress: Progress) -> Facts:
        job = Job(work, index, start(pipeline, *work.jobs[index]), habits, stop, progress)
        return {**job.make(given), "recipe": job.recipe}

    def estimate(pipeline: NuwaPipeline, prompt: str, seed: int) -> tuple[str, Facts]:
        """Draw one step, which says how long all will take on this machine."""
        moments = [time.monotonic()]
        extension = start(pipeline, prompt, seed)
        moments.append(time.monotonic())
        for piece in extension.pieces():
            if piece.step >= 0:
                break
        moments.append(time.monotonic())
        steps = extension.num_steps
        seconds = round(moments[1] - moments[0] + steps * (moments[2] - moments[1]), 1)
        pixels = f"{extension.width}x{extension.height}"
        line = f"{pixels} pixels, {count_of(steps, 'step')}, about {seconds:.0f} s"
        return line, {**sizes(extension), "estimated_seconds": seconds}

    draw_each(
        work,
        sources,
        unit="picture",
        make=make,
        estimate=estimate,
        seen=_seen,
        is_patient=habits.keep_partial,
        more_prompts=more_prompts,
    )


def _seen(path: Path) -> tuple[Frames, None]:
    return read_picture(path).pixels[None], None
