"""What a command says: results on stdout, everything else on stderr.

stdout carries one path a line, or one JSON document, or one JSON line an event, and nothing else.
Notes and progress go to stderr: a bar on a terminal, a plain line every ten seconds otherwise, so that
a fast run in a script is silent.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nuwa_cli.cli.main_errors import complain
from nuwa_cli.errors import OutputError
from nuwa_cli.media.atomic import check_output
from nuwa_cli.media.naming import (
    Kind,
    existing_frames,
    is_sequence,
    makes_folder,
    numbered,
    output_names_for,
)

RESULT_SCHEMA = "nuwa.result/1"

_PLAIN_INTERVAL = 10.0  # seconds between progress lines that are no bar
_EVENT_INTERVAL = 0.25
_DRAWN = 0.99  # of a run when everything is drawn: it is still to be written


@dataclass
class Captured:
    """What commands said, instead of the streams."""

    results: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


_SINK: ContextVar[Captured | None] = ContextVar("sink", default=None)


@contextlib.contextmanager
def captured() -> Iterator[Captured]:
    """What commands in the block say is kept, and nothing of it is printed. An `Output` that is made in the
    block goes on so after it."""
    sink = Captured()
    token = _SINK.set(sink)
    try:
        yield sink
    finally:
        _SINK.reset(token)


class Output:
    """The voice of one command: human, one JSON document, or a JSON line an event; loud or quiet."""

    def __init__(self, *, as_json: bool, quiet: bool, as_events: bool = False) -> None:
        self._as_json = as_json
        self._as_events = as_events
        self._quiet = quiet
        self._sink = _SINK.get()
        self._results: list[dict[str, Any]] = []

    def note(self, message: str) -> None:
        """One line on stderr, unless quiet; an event where events are wanted."""
        if self._sink is not None:
            self._sink.notes.append(message)
        elif self._as_events:
            self.event("note", text=message)
        elif not self._quiet:
            complain(message)

    def result(self, path: Path, facts: dict[str, Any], *, line: str | None = None) -> None:
        """A finished file: its path (or another `line`) at once, or its facts in the document at the
        end. What went to stdout has no line."""
        told = {"path": str(path), **facts}
        self._results.append(told)
        if self._sink is not None:
            self._sink.results.append(told)
        elif self._as_events:
            self.event("output", **told)
        elif not self._as_json and str(path) != "-":
            # Bytes, because a file name need not be valid text.
            name = os.fsencode(path)
            if name.startswith(b"-"):  # so that the next program does not take it for an option
                name = b"./" + name
            _write_stdout((name if line is None else line.encode()) + b"\n")

    def event(self, name: str, **facts: Any) -> None:
        """One line of the stream of events, where that is wanted."""
        if self._as_events and self._sink is None:
            text = json.dumps({"event": name, **facts}, ensure_ascii=False)
            _write_stdout(text.encode("utf-8", "surrogateescape") + b"\n")

    def finish(self, command: str, **facts: Any) -> None:
        """End of the run: the JSON document, or the last event."""
        document = {
            "schema": RESULT_SCHEMA,
            "command": command,
            "outputs": self._results,
            **facts,
        }
        if self._sink is not None:
            return
        if self._as_events:
            self.event("result", **document)
        elif self._as_json:
            print_json(document)

    @contextlib.contextmanager
    def progress(self, total: int, unit: str) -> Iterator[Progress]:
        """Progress over `total` outputs; yields an object to report steps to."""
        if self._as_events and self._sink is None:
            yield EventProgress(total, unit, self.event)
        elif self._quiet or self._sink is not None:
            yield Progress(total, unit)
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            with _bar() as bar:
                yield BarProgress(total, unit, bar)
        else:
            yield PlainProgress(total, unit)


class Progress:
    """Fraction done of a run of several outputs, which never goes back; silent in itself."""

    def __init__(self, total: int, unit: str) -> None:
        self.total = total
        self.unit = unit
        self.finished = 0
        self._furthest = 0.0

    def step(self, done: int, of: int) -> None:
        """`done` of the `of` steps of the current output are made."""
        self._advance(min((self.finished + done / max(of, 1)) / self.total, _DRAWN))

    def next(self) -> None:
        """The current output is complete."""
        self.finished += 1
        self._advance(self.finished / self.total)

    def _advance(self, fraction: float) -> None:
        # Outputs that are drawn together are all drawn before the first of them is complete.
        self._furthest = max(self._furthest, fraction)
        self.show(self._furthest)

    def show(self, fraction: float) -> None:
        """Display the fraction of the whole run."""

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Leave the terminal to somebody else for a while."""
        yield


class EventProgress(Progress):
    """An event now and then."""

    def __init__(self, total: int, unit: str, event: Callable[..., None]) -> None:
        super().__init__(total, unit)
        self._event = event
        self._start = self._last = time.monotonic()
        event("start", total=total, unit=unit)

    def show(self, fraction: float) -> None:
        now = time.monotonic()
        if now - self._last >= _EVENT_INTERVAL or fraction >= 1:
            self._last = now
            left = (now - self._start) * (1 - fraction) / fraction if fraction > 0 else None
            self._event(
                "progress",
                fraction=round(fraction, 4),
                finished=self.finished,
                total=self.total,
                seconds_left=None if left is None else round(left, 1),
            )


class PlainProgress(Progress):
    """A line now and then, for logs."""

    def __init__(self, total: int, unit: str) -> None:
        super().__init__(total, unit)
        self._start = self._last = time.monotonic()

    def show(self, fraction: float) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_INTERVAL and 0 < fraction < 1:
            self._last = now
            left = (now - self._start) * (1 - fraction) / fraction
            count = f"{self.finished}/{self.total} {self.unit}s, " if self.total > 1 else ""
            complain(f"{count}{100 * fraction:.0f} % done, about {left:.0f} s left")


class BarProgress(Progress):
    """A bar with the time left, for terminals."""

    def __init__(self, total: int, unit: str, bar: Any) -> None:
        super().__init__(total, unit)
        self._bar = bar
        self._task = bar.add_task(self._label(), total=1.0)

    def show(self, fraction: float) -> None:
        self._bar.update(self._task, completed=fraction, description=self._label())

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()

    def _label(self) -> str:
        if self.total == 1:
            return self.unit
        return f"{self.unit} {min(self.finished + 1, self.total)}/{self.total}"


def print_json(document: dict[str, Any]) -> None:
    """One JSON document on stdout."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    _write_stdout(text.encode("utf-8", "surrogateescape") + b"\n")


def print_line(text: str) -> None:
    """One line on stdout."""
    _write_stdout(text.encode("utf-8", "surrogateescape") + b"\n")


def prepare_outputs(
    output: Path,
    kind: Kind,
    jobs: Sequence[tuple[str, int]],
    *,
    force: bool,
    more: Sequence[Mapping[str, str]] = (),
) -> list[Path]:
    """Name and check every output, one a job (prompt, seed), before the slow part. `more` are
    further fields of each name.

    A folder that the name itself makes (frames/%04d.png, out/) need not exist; any other must. Raises
    UsageError for a name that means nothing, OutputError for one that cannot be written.
    """
    paths = output_names_for(output, kind, jobs, more)
    is_made = makes_folder(output)
    for path in paths:
        if kind == "video" and is_sequence(path):
            _check_sequence(path, force=force)
        elif is_made and not path.parent.exists():
            check_output(path.parent, force=False)  # it will be created: can it be?
        else:
            check_output(path, force=force)
    return paths


def _check_sequence(template: Path, *, force: bool) -> None:
    if not template.parent.exists():
        check_output(template.parent, force=False)  # it will be created: can it be?
        return
    check_output(numbered(template, 0), force=force)
    for frame in () if force else existing_frames(template):
        check_output(frame, force=False)


def prepare_streams() -> None:
    """Make the three standard streams safe to use.

    A closed one is put on the null device: otherwise the next file to be opened, an output perhaps,
    would take its number, and a library's message would land in it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def _write_stdout(content: bytes) -> None:
    if sys.stdout is None:
        raise OutputError("stdout: is closed; leave it open, or send it to /dev/null")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "is closed"
        raise OutputError(f"stdout: {reason.lower()}; the files themselves are complete") from error


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
