"""A batch from its files to its last line: read, check, do, keep the books.

The books are the result list, which is always ahead of what is said on stdout, and behind the files by no
more than the jobs in hand.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.batch.agenda import Agenda, Planned
from nuwa_cli.cli.batch.manifest import SCHEMA, Outcome, Results, results_path
from nuwa_cli.cli.batch.planning import Plan, failure_of, plan_jobs
from nuwa_cli.cli.batch.reading import Value, read_entries
from nuwa_cli.cli.batch.running import Errand, Prepared, perform
from nuwa_cli.cli.batch.spreading import Hands, errand_of, spread
from nuwa_cli.cli.main_errors import complain
from nuwa_cli.cli.work.output import Output, Progress
from nuwa_cli.errors import BatchError, InputError
from nuwa_cli.media.atomic import check_output, make_folder
from nuwa_cli.media.journal_lines import open_lines

if TYPE_CHECKING:
    from nuwa_cli.cli.batch.command import BatchOptions

_WINDOW = 64  # jobs that are drawn together


class Books:
    """The `Office` of a batch: results, what is said, and what a failure means for the rest."""

    def __init__(
        self,
        results: Results,
        agenda: Agenda,
        voice: Output,
        progress: Progress,
        *,
        keep_going: bool,
    ) -> None:
        self.failures: list[dict[str, Any]] = []
        self.progress = progress
        self._results, self._agenda, self._voice = results, agenda, voice
        self._keep_going = keep_going
        self._lines: dict[int, int] = {}  # of jobs that ended

    def begin(self, window: Sequence[Planned]) -> None:
        """Jobs are about to be done."""
        self._results.start([one.job for one in window])

    def skip(self, standing: Sequence[tuple[Planned, dict[str, Any]]]) -> None:
        """Jobs are done already."""
        self._results.skip([(one.job, line) for one, line in standing])
        for one, line in standing:
            self._say(one, line["outputs"], "skipped")

    def finish(self, one: Planned, outcome: Outcome) -> None:
        """A job ended. Raises its error, unless the others are to go on."""
        job = one.job
        self._lines[job.number] = job.line
        self._results.end(job, outcome)
        for note in outcome.notes:
            self._voice.note(f"line {job.line}: {note}")
        if outcome.is_done:
            self._say(one, outcome.outputs, "done")
        else:
            self.failures.append(
                {"job": job.number, "line": job.line, "exit": outcome.exit, "error": outcome.error}
            )
            error = failure_of(job, outcome)
            if not self._keep_going:
                raise error
            complain(str(error))
            self.progress.next()
        for doomed, culprit in self._agenda.settle(job.number, is_done=outcome.is_done):
            why = (
                f"line {self._lines[culprit]} failed, whose file it reads; mend that, then --resume"
            )
            self.finish(doomed, Outcome(exit=InputError.exit_code, error=why))

    def _say(self, one: Planned, outputs: Sequence[dict[str, Any]], status: str) -> None:
        for output in outputs:
            facts = {name: value for name, value in output.items() if name != "path"}
            numbers = {"job": one.job.number, "line": one.job.line, "status": status}
            self._voice.result(Path(output["path"]), {**numbers, **facts})
        self.progress.next()


def run_batch(
    files: Sequence[Path], options: BatchOptions, *, defaults: Mapping[str, Value]
) -> None:
    """Do all jobs of all files; `defaults` are for those jobs that say nothing of them.

    Raises UsageError for what cannot be meant, BatchError when jobs failed and the others went on, and
    otherwise the error of the first job that failed.
    """
    started = time.monotonic()
    voice = Output(as_json=options.json, as_events=options.json_stream, quiet=options.quiet)
    entries = read_entries(files)
    path = options.manifest or results_path(files[0])
    with contextlib.ExitStack() as stack:
        stack.enter_context(_folder(options.output))
        results = None
        if options.resume or not options.dry_run:
            lines = open_lines(path, SCHEMA, resume=options.resume, force=options.force)
            results = Results(stack.enter_context(lines))
        hands = _Hands(options, str(defaults.get("device", "auto")))
        if not options.dry_run and options.ray is None:
            hands.start(stack, len(entries))  # they get ready while the jobs are checked
        plan = plan_jobs(
            entries,
            defaults=defaults,
            folder=options.output,
            force=options.force,
            keep_going=options.keep_going,
            results=results if options.resume else None,
        )
        if options.dry_run:
            _forecast(plan, voice)
            return
        assert results is not None
        with voice.progress(plan.total, "job") as progress:
            agenda = Agenda(plan.todo)
            books = Books(results, agenda, voice, progress, keep_going=options.keep_going)
            try:
                books.skip(plan.standing)
                for one, outcome in plan.refused:
                    books.finish(one, outcome)
                hands.start(stack, len(plan.todo))
                if hands.several is None:
                    _do_alone(agenda, books, plan.prepared)
                else:
                    plan.prepared.clear()  # they read their inputs themselves
                    spread(agenda, books, hands.several)
            finally:
                counts = Counter(skipped=len(plan.standing), failed=len(books.failures))
        done = plan.total - counts["skipped"] - counts["failed"]
        voice.finish(
            "batch",
            jobs=plan.total,
            done=done,
            **counts,
            failures=books.failures,
            manifest=str(path),
            seconds=round(time.monotonic() - started, 3),
        )
        if books.failures:
            raise BatchError(f"batch: {counts['failed']} of {plan.total} jobs failed; see '{path}'")


class _Hands:
    """Who draws: this process, unless several help."""

    def __init__(self, options: BatchOptions, device: str) -> None:
        self.several: Hands | None = None
        self._options, self._device = options, device

    def start(self, stack: contextlib.ExitStack, jobs: int) -> None:
        """Start those that help with so many jobs, unless they were started; the stack ends them."""
        if self.several is not None:
            return
        if self._options.ray is not None:
            from nuwa_cli.cli.batch.ray_cluster import Cluster

            cluster = Cluster(self._options.ray, self._options.workers)
            self.several = stack.enter_context(cluster)
            return

        from nuwa_cli.cli.batch.workers import Workers, workers_for

        count = self._options.workers or workers_for(jobs, self._device)
        if count > 1:
            self.several = stack.enter_context(Workers(count))


def _do_alone(agenda: Agenda, books: Books, prepared: dict[int, Prepared]) -> None:
    while window := agenda.take(_WINDOW):
        by_number = {one.job.number: one for one in window}
        base, share = books.progress.finished, len(window) / max(1, books.progress.total)

        def tell(
            errand: Errand, outcome: Outcome, by_number: dict[int, Planned] = by_number
        ) -> None:
            books.finish(by_number[errand.number], outcome)

        def show(fraction: float, base: int = base, share: float = share) -> None:
            books.progress.show(base / books.progress.total + fraction * share)

        books.begin(window)
        perform([errand_of(one) for one in window], tell, prepared, show)


def _forecast(plan: Plan, voice: Output) -> None:
    for one, line in plan.standing:
        for output in line["outputs"]:
            voice.result(Path(output["path"]), {"job": one.job.number, "status": "skipped"})
    for one in plan.todo:
        for path in one.paths:
            facts = {"job": one.job.number, "line": one.job.line, "command": one.job.command}
            voice.result(Path(path), {**facts, "status": "to do"})
    for one, outcome in plan.refused:
        complain(str(failure_of(one.job, outcome)))
    voice.finish("batch", jobs=plan.total, dry_run=True)
    if plan.refused:
        raise BatchError(f"batch: {len(plan.refused)} of {plan.total} jobs cannot be done")


@contextlib.contextmanager
def _folder(path: Path | None) -> Iterator[None]:
    """Make the folder of all outputs; if it stays empty it goes again."""
    is_new = path is not None and not path.exists()
    if path is not None and is_new:
        check_output(path, force=False)
        make_folder(path)
    try:
        yield
    finally:
        if path is not None and is_new:
            with contextlib.suppress(OSError):
                path.rmdir()
