"""What a command says: results on stdout, everything else on stderr.

stdout carries one path a line, or one JSON document, and nothing else. Notes and progress go to
stderr: a bar on a terminal, a plain line every ten seconds otherwise, so that a fast run in a
script is silent.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nuwa_cli.cli.main_errors import complain
from nuwa_cli.errors import OutputError
from nuwa_cli.media.atomic import check_output
from nuwa_cli.media.naming import Kind, existing_frames, is_sequence, numbered, output_names

RESULT_SCHEMA = "nuwa.result/1"

_PLAIN_INTERVAL = 10.0  # seconds between progress lines that are no bar


class Output:
    """The voice of one command, human or JSON, loud or quiet."""

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        self._as_json = as_json
        self._quiet = quiet
        self._results: list[dict[str, Any]] = []

    def note(self, message: str) -> None:
        """One line on stderr, unless quiet."""
        if not self._quiet:
            complain(message)

    def result(self, path: Path, facts: dict[str, Any]) -> None:
        """A finished file: its path at once, or its facts in the document at the end."""
        self._results.append({"path": str(path), **facts})
        if not self._as_json:
            # Bytes, because a file name need not be valid text.
            _write_stdout(os.fsencode(path) + b"\n")

    def finish(self, command: str, **facts: Any) -> None:
        """End of the run: the JSON document, if one was asked for."""
        if self._as_json:
            print_json(
                {
                    "schema": RESULT_SCHEMA,
                    "command": command,
                    "outputs": self._results,
                    **facts,
                }
            )

    @contextlib.contextmanager
    def progress(self, total: int, unit: str) -> Iterator[Progress]:
        """Progress over `total` outputs; yields an object to report steps to."""
        if self._quiet:
            yield Progress(total, unit)
        elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            with _bar() as bar:
                yield BarProgress(total, unit, bar)
        else:
            yield PlainProgress(total, unit)


class Progress:
    """Fraction done of a run of several outputs; silent in itself."""

    def __init__(self, total: int, unit: str) -> None:
        self.total = total
        self.unit = unit
        self.finished = 0

    def step(self, done: int, of: int) -> None:
        """`done` of the `of` steps of the current output are made."""
        self.show((self.finished + done / max(of, 1)) / self.total)

    def next(self) -> None:
        """The current output is complete."""
        self.finished += 1
        self.show(self.finished / self.total)

    def show(self, fraction: float) -> None:
        """Display the fraction of the whole run."""


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


def prepare_outputs(output: Path, kind: Kind, count: int, *, force: bool) -> list[Path]:
    """Name and check every output before the slow part.

    The folder of a frame sequence is part of the output and need not exist; any other must. Raises
    UsageError for a name that means nothing, OutputError for one that cannot be written.
    """
    paths = output_names(output, kind, count)
    for path in paths:
        if kind == "video" and is_sequence(path):
            _check_sequence(path, force=force)
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
