"""All jobs are checked before the first one runs.

Every job is rehearsed: its command runs up to the drawing, so options, prompts, names of files and inputs
are judged by the very code that will draw. An input that an earlier job makes is not there yet; its job is
checked as far as it comes, and again when its turn is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nuwa_cli.cli.batch.agenda import Files, Planned
from nuwa_cli.cli.batch.manifest import Outcome, Results
from nuwa_cli.cli.batch.reading import MAX_JOBS, Entry, Value
from nuwa_cli.cli.batch.running import Errand, Prepared, failed, rehearse
from nuwa_cli.cli.batch.translation import Job, translate
from nuwa_cli.errors import (
    EnvironmentFault,
    InputError,
    MismatchError,
    NuwaError,
    OutputError,
    UsageError,
)
from nuwa_cli.media.naming import fill_some

_MAX_WAITING = 256 * 1024**2  # bytes of inputs that are read and wait to be drawn
_OVERHEAD = 16 * 1024  # of a job that waits, about
_BY_STATUS = {
    error.exit_code: error
    for error in (UsageError, InputError, OutputError, EnvironmentFault, MismatchError)
}


@dataclass
class Plan:
    """What is to do, what stands already, and what failed its check."""

    todo: list[Planned] = field(default_factory=list)
    standing: list[tuple[Planned, dict[str, Any]]] = field(default_factory=list)
    refused: list[tuple[Planned, Outcome]] = field(default_factory=list)
    prepared: dict[int, Prepared] = field(default_factory=dict)
    waiting_bytes: int = 0  # of what is prepared
    standing_numbers: set[int] = field(default_factory=set)

    @property
    def total(self) -> int:
        """All jobs."""
        return len(self.todo) + len(self.standing) + len(self.refused)


def plan_jobs(
    entries: Sequence[Entry],
    *,
    defaults: Mapping[str, Value],
    folder: Path | None,
    force: bool,
    keep_going: bool,
    results: Results | None,
) -> Plan:
    """Check every job. `results` are those of the run that is resumed.

    Raises UsageError for entries that mean nothing and for two jobs that make one file; and what the
    first job that cannot be done would end with, unless `keep_going`.
    """
    plan, files = Plan(), Files()

    def resolve(text: str) -> str:
        """An input that an earlier job makes in the folder of all is meant before one that is not."""
        if folder is None or Path(text).is_absolute() or files.maker(text) is not None:
            return text
        inside = str(folder / text)
        return inside if files.maker(inside) is not None else text

    for entry in entries:
        for job in translate(
            entry, plan.total, defaults=defaults, folder=folder, force=force, resolve=resolve
        ):
            if plan.total >= MAX_JOBS:
                raise UsageError(f"{entry.place}: more than {MAX_JOBS} jobs; split them")
            _plan(plan, files, job, results, keep_going=keep_going)
    return plan


def failure_of(job: Job, outcome: Outcome) -> NuwaError:
    """The error of a failed job, of the class that its status means."""
    return _BY_STATUS.get(outcome.exit, NuwaError)(f"{job.place}: {outcome.error}")


def _plan(plan: Plan, files: Files, job: Job, results: Results | None, *, keep_going: bool) -> None:
    needs = files.needed_by(job)
    if results is not None and needs <= plan.standing_numbers:
        line = results.standing(job)
        if line is not None:
            paths = [output["path"] for output in line["outputs"]]
            plan.standing.append((files.add(job, paths), line))
            plan.standing_numbers.add(job.number)
            return

    may_replace = False
    prepared, error = rehearse(Errand(job.number, job.argv))
    if isinstance(error, OutputError) and results is not None and job.may_force:
        again, error_again = rehearse(Errand(job.number, job.forced()))
        if all(results.may_replace(job, path) for path in again.paths if Path(path).exists()):
            prepared, error, may_replace = again, error_again, True
    if isinstance(error, InputError) and needs:
        error = None
    planned = files.add(job, prepared.paths or _named(job), may_replace=may_replace)
    if error is None:
        plan.todo.append(planned)
        size = plan.waiting_bytes + prepared.nbytes + _OVERHEAD
        if prepared.is_complete and not needs and size <= _MAX_WAITING:
            plan.prepared[job.number] = prepared
            plan.waiting_bytes = size
        return
    outcome = failed(error, Errand(job.number, job.argv))
    if not keep_going:
        raise failure_of(job, outcome)
    plan.refused.append((planned, outcome))


def _named(job: Job) -> list[str]:
    """The output of a job whose command did not come as far as naming it, if it names one file."""
    _, has_field = fill_some(
        job.output, dict.fromkeys(("seed", "slug", "prompt", "index", "n"), "")
    )
    return [] if has_field or "%" in job.output else [job.output]
