"""Large pictures: what their format allows, what they would take, and one output after the other.

A PNG is streamed and needs the memory of a few rows. JPEG and WebP are written from memory, so they
have a limit besides that of their format.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nuwa_cli.cli.growing.job import Habits, Job, sizes
from nuwa_cli.cli.growing.stop import stopping
from nuwa_cli.cli.looking.show import Display
from nuwa_cli.cli.work.inputs import Source
from nuwa_cli.cli.work.runs import stale_jobs, tell_current
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import UsageError
from nuwa_cli.media.png_stream import Rows
from nuwa_cli.media.probe import MAX_PIXELS
from nuwa_cli.media.reading import read_picture
from nuwa_cli.media.strip_store import check_space

if TYPE_CHECKING:
    from nuwa_cli.api import Extension, NuwaPipeline

Start = Callable[["NuwaPipeline", str, int], "Extension"]
"""(pipeline, prompt, seed) → a picture that was planned."""

MAX_SIDES = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}
"""Pixels a side that a format, or the library that writes it, can hold."""


def check_format(path: Path, height: int, width: int) -> None:
    """Raise UsageError for pictures that only a PNG can be, OutputError when the disk is too full."""
    suffix = path.suffix.lower()
    most = MAX_SIDES.get(suffix)
    if most is not None and max(height, width) > most:
        raise UsageError(
            f"output '{path}': {suffix} holds at most {most} pixels a side, this is {width}x{height}; "
            "write a .png"
        )
    if most is not None and height * width > MAX_PIXELS:
        raise UsageError(
            f"output '{path}': {suffix} is written from memory, up to {MAX_PIXELS // 10**6} million "
            "pixels; write a .png"
        )
    check_space(path, height, width)


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
    """Load the model and make every output of `size` (height, width); with --dry-run say what it
    would take. `given` (H, W, 3) is the input whose pixels stand in the result, `sources` are the files
    it was read from."""
    if work.form is not None:
        raise UsageError(
            "output '-': a picture that is drawn patch by patch goes to a file; give a file name"
        )
    work.refuse_together_only("is not for pictures that are drawn patch by patch")
    for path in work.paths:
        check_format(path, *size)
    jobs, current = stale_jobs(work, sources)
    if not jobs:
        tell_current(work, current)
        work.finish()
        return
    pipeline = work.load(more_prompts)
    if work.output.dry_run:
        for path, (prompt, seed) in jobs:
            _estimate(work, path, pipeline, start, prompt, seed)
        work.voice.finish(work.task, dry_run=True)
        return
    with (
        stopping(work.voice.note, is_patient=habits.keep_partial) as stop,
        work.voice.progress(len(jobs), "picture") as progress,
    ):
        for path, (prompt, seed) in jobs:
            started = time.monotonic()
            extension = start(pipeline, prompt, seed)
            job = Job(work, path, extension, habits, stop, progress)
            facts = job.make(given)
            progress.next()
            seconds = round(time.monotonic() - started, 3)
            about = {"prompt": prompt, "seed": seed, "seconds": seconds}
            work.voice.result(path, {**about, **facts, "recipe": job.recipe})
            if work.output.show:
                with progress.aside():
                    Display(work.voice.note).show(read_picture(path).pixels[None], str(path))
            stop.check()
    tell_current(work, current)
    work.finish(pipeline)


def _estimate(
    work: Work, path: Path, pipeline: NuwaPipeline, start: Start, prompt: str, seed: int
) -> None:
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
    size = f"{extension.width}x{extension.height}"
    work.voice.note(f"'{path}': {size} pixels, {steps} steps, about {seconds:.0f} s")
    facts = {"prompt": prompt, "seed": seed, **sizes(extension), "estimated_seconds": seconds}
    work.voice.result(path, facts)
