"""What pictures and clips that grow have in common: which outputs are stale, what they would take, and one
after the other from the model to the line that names it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.growing.stop import Stop, stopping
from nuwa_cli.cli.looking.show import Display
from nuwa_cli.cli.work.current import Current
from nuwa_cli.cli.work.inputs import Source
from nuwa_cli.cli.work.output import Progress
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import UsageError
from nuwa_cli.media.video import Frames

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline

Facts = dict[str, Any]
Make = Callable[["NuwaPipeline", int, Stop, Progress], Facts]
"""(pipeline, index, stop, progress) → facts of the output, which is written."""
Estimate = Callable[["NuwaPipeline", str, int], tuple[str, Facts]]
"""(pipeline, prompt, seed) → what it would take, in words and as facts."""
Seen = Callable[[Path], tuple[Frames, float | None]]
"""The frames of a finished file, and their speed."""


def draw_each(
    work: Work,
    sources: Sequence[Source],
    *,
    unit: str,
    make: Make,
    estimate: Estimate,
    seen: Seen,
    is_patient: bool,
    more_prompts: Sequence[str] = (),
) -> None:
    """Load the model and make every output that is not up to date; with --dry-run say what it would take.

    With `is_patient` a signal waits until `make` can be left. Raises UsageError for what only outputs of
    the model's own size can have.
    """
    work.refuse_together_only(f"is not for {unit}s that are drawn piece by piece")
    if work.output.show and work.form is not None:
        raise UsageError(
            f"show: a {unit} that is drawn piece by piece is not kept; give a file name"
        )
    current = Current(work, sources)
    to_do = current.others()
    if not to_do:
        current.tell()
        work.finish()
        return
    pipeline = work.load(more_prompts)
    if work.output.dry_run:
        for index in to_do:
            prompt, seed = work.jobs[index]
            line, facts = estimate(pipeline, prompt, seed)
            work.voice.note(f"'{work.paths[index]}': {line}")
            work.voice.result(work.paths[index], {"prompt": prompt, "seed": seed, **facts})
        work.voice.finish(work.task, dry_run=True)
        return
    with (
        stopping(work.voice.note, is_patient=is_patient) as stop,
        work.voice.progress(len(to_do), unit) as progress,
    ):
        for index in to_do:
            started = time.monotonic()
            path, (prompt, seed) = work.paths[index], work.jobs[index]
            facts = make(pipeline, index, stop, progress)
            progress.next()
            seconds = round(time.monotonic() - started, 3)
            current.tell(before=index)
            work.voice.result(path, {"prompt": prompt, "seed": seed, "seconds": seconds, **facts})
            if work.output.show:
                frames, fps = seen(path)
                with progress.aside():
                    Display(work.voice.note).show(frames, str(path), fps)
            stop.check()
    current.tell()
    work.finish(pipeline)


def count_of(number: int, what: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{number} {what}{'' if number == 1 else 's'}"
