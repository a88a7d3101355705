"""Jobs in this process: each checked by its own command, then drawn together.

A job is run by its command as if the user had called it, but what it says is caught and its drawing is
put off; when a window of jobs has come so far, all of it is drawn at once with one model. Commands that
draw patch by patch do so at once. What a job would have ended with, status and message, is its outcome:
nothing of one job reaches another.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.batch.manifest import Outcome, file_facts
from nuwa_cli.cli.main_errors import exit_status
from nuwa_cli.errors import InputError

if TYPE_CHECKING:
    from nuwa_cli.cli.work.output import Captured
    from nuwa_cli.cli.work.runs import Run

Tell = Callable[["Errand", Outcome], None]


@dataclass(frozen=True)
class Errand:
    """What is needed to do a job: its number, its command line, the files that it names, and those
    that it will make, as far as they are known."""

    number: int
    argv: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Errand:
        """What `dataclasses.asdict` made of one."""
        names = ("argv", "inputs", "paths")
        return cls(found["number"], *(tuple(found[name]) for name in names))


@dataclass
class Prepared:
    """A job whose command was run up to the drawing."""

    runs: list[Run]
    said: Captured
    paths: tuple[str, ...]
    is_complete: bool  # nothing was left out because it was only a check

    @property
    def nbytes(self) -> int:
        """Memory that waits in it."""
        return sum(run.nbytes for run in self.runs)


def rehearse(errand: Errand) -> tuple[Prepared, BaseException | None]:
    """Check a job: run its command, but load no model and write no file.

    The error is what the job would end with now; its files may be known all the same.
    """
    from nuwa_cli.cli.work.output import captured
    from nuwa_cli.cli.work.rehearsal import Rehearsed, deferred

    failure: BaseException | None = None
    is_complete = True
    with captured() as said, deferred(rehearsal=True) as found:
        try:
            call(errand.argv)
        except Rehearsed:
            is_complete = False
        except Exception as error:
            failure = error
    paths = tuple(str(path) for work in found.works for path in work.paths)
    is_complete = is_complete and not found.is_partial
    return Prepared(list(found), said, paths, is_complete), failure


def perform(
    errands: Sequence[Errand],
    tell: Tell,
    prepared: dict[int, Prepared] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Do jobs; `tell` is called with the outcome of each as soon as it has one."""
    from nuwa_cli.cli.work.drawing import draw_runs

    owners: dict[int, tuple[Errand, Prepared, float]] = {}
    runs: list[Run] = []
    for errand in errands:
        started = time.monotonic()
        try:
            ready = (prepared or {}).pop(errand.number, None) or _prepare(errand)
        except Exception as error:
            tell(errand, failed(error, errand, time.monotonic() - started))
            continue
        if not ready.runs:  # drawn at once, or up to date
            tell(errand, _finished(errand, ready, time.monotonic() - started))
        for run in ready.runs:
            owners[id(run)] = (errand, ready, time.monotonic() - started)
        runs += ready.runs

    last = time.monotonic()

    def done(run: Run, error: BaseException | None) -> None:
        nonlocal last
        errand, ready, spent = owners.pop(id(run))
        seconds = spent + time.monotonic() - last
        last = time.monotonic()
        if error is None:
            tell(errand, _finished(errand, ready, seconds))
        else:
            tell(errand, failed(error, errand, seconds))

    if runs:
        draw_runs(runs, done, on_progress)


def failed(error: BaseException, errand: Errand, seconds: float = 0.0) -> Outcome:
    """The outcome of a job that ended with an exception: the status and line of its command."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = exit_status(error, list(errand.argv))
    message = said.getvalue().strip().removeprefix("nuwa: ")
    return Outcome(exit=status or 1, error=message or type(error).__name__, seconds=seconds)


def call(argv: Sequence[str]) -> None:
    """Run one command line in this process, with the settings of files and variables; its exceptions
    are the caller's."""
    import typer

    from nuwa_cli.cli.app import parser
    from nuwa_cli.cli.settings.files import NO_SETTINGS, load_settings

    settings = NO_SETTINGS
    try:
        settings = load_settings(parser(), argv)
        defaults = settings.default_map
        with parser().make_context("nuwa", list(settings.argv), default_map=defaults) as context:
            parser().invoke(context)
    except typer.Exit as leave:
        if leave.exit_code:
            raise InputError(f"{argv[0]}: ended with status {leave.exit_code}") from leave
    except Exception as error:
        settings.blame(error)
        raise


def _prepare(errand: Errand) -> Prepared:
    from nuwa_cli.cli.work.output import captured
    from nuwa_cli.cli.work.rehearsal import deferred

    with captured() as said, deferred() as found:
        call(errand.argv)
    paths = tuple(str(path) for work in found.works for path in work.paths)
    return Prepared(list(found), said, paths, is_complete=True)


def _finished(errand: Errand, ready: Prepared, seconds: float) -> Outcome:
    try:
        said = {result["path"]: result for result in ready.said.results}
        outputs = [{**said.get(one["path"], {}), **one} for one in file_facts(ready.paths)]
        for output in outputs:
            output.pop("recipe", None)  # the file carries it
        inputs = [one for path in errand.inputs for one in _known(path)]
    except InputError as error:
        return failed(error, errand, seconds)
    notes = list(ready.said.notes)
    return Outcome(outputs=outputs, inputs=inputs, notes=notes, seconds=seconds)


def _known(path: str) -> list[dict[str, Any]]:
    try:
        return file_facts([path])
    except InputError:  # an option that names a file and did not need it
        return []
