"""How a run ends when something breaks that nobody planned for, and what is said meanwhile."""

from __future__ import annotations

import importlib
import io
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nuwa_cli.cli import main_errors
from nuwa_cli.cli.main_errors import exit_status, one_line
from nuwa_cli.cli.work import work as work_module
from nuwa_cli.cli.work.output import Output, PlainProgress
from nuwa_cli.errors import BatchError, EnvironmentFault, MismatchError

Run = Callable[..., Any]


def fail_with(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_a_bug_is_one_line_and_a_log(
    inside: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(work_module, "prepare_outputs", fail_with(KeyError("x\ny")))
    done = inside("t2i", "a secret dog", "-o", "a.png")
    assert done.status == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("nuwa: internal error KeyError (log: '")
    (log,) = (tmp_path / "user").rglob("crash-*.txt")
    assert str(log) in done.stderr
    text = log.read_text()
    assert "a secret dog" in text
    assert "KeyError" in text
    assert "Traceback" in text


def test_a_bug_without_a_place_for_the_log(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    monkeypatch.setattr(work_module, "prepare_outputs", fail_with(ValueError("x")))
    done = inside("t2i", "a dog", "-o", "a.png")
    assert (done.status, done.stderr.count("\n")) == (1, 1)
    assert "no log could be written" in done.stderr


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (EnvironmentFault("memory: none; wait"), 5),
        (BatchError("batch: 1 of 2 failed; see above"), 6),
        (MismatchError("file: differs; look"), 7),
        (MemoryError(), 5),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), 5),
        (BrokenPipeError(), 141),
    ],
)
def test_statuses(
    inside: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int
) -> None:
    keep = os.dup(1)  # a closed pipe ends with stdout pointing to nowhere
    try:
        monkeypatch.setattr(work_module, "prepare_outputs", fail_with(error))
        done = inside("t2i", "a dog", "-o", "a.png")
    finally:
        os.dup2(keep, 1)
        os.close(keep)
    assert done.status == status
    assert "Traceback" not in done.stderr


def test_messages_cannot_move_the_cursor() -> None:
    shown = one_line("a\nb\x1b[2J\u202e\ud800\u2028" + "x" * 1000 + "; do this")
    assert shown.startswith(r"a\nb\x1b[2J\u202e\ud800\u2028xxx")
    assert shown.endswith("xxx; do this")
    assert len(shown) <= 240
    assert one_line("家族 👩‍👩‍👧 é") == "家族 👩‍👩‍👧 é"


def test_stderr_may_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr("sys.stderr", closed)
    assert exit_status(MismatchError("x"), []) == 7


def test_progress_in_a_log(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """A plain line every ten seconds, with the time left; none in the first ten."""
    clock = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    progress = PlainProgress(2, "clip")
    for second in range(30):
        clock[0] = float(second)
        progress.step(second, 30)
    progress.next()
    assert capsys.readouterr().err.splitlines() == [
        "nuwa: 0/2 clips, 17 % done, about 50 s left",
        "nuwa: 0/2 clips, 33 % done, about 40 s left",
    ]


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with Output(as_json=False, quiet=False).progress(2, "picture") as progress:
        progress.step(1, 2)
        progress.next()
    shown = terminal.getvalue()
    assert "picture 1/2" in shown
    assert "━" in shown
    quiet = Terminal()
    monkeypatch.setattr("sys.stderr", quiet)
    with Output(as_json=False, quiet=True).progress(2, "picture") as progress:
        progress.step(1, 2)
    assert quiet.getvalue() == ""


def test_a_signal_during_an_import_waits_for_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thrown through the start of a C++ library, an exception would abort the process."""
    (tmp_path / "signalled_while_imported.py").write_text(
        "import os, signal, time\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "for _ in range(10):\n"
        "    time.sleep(0.01)\n"
        "IS_COMPLETE = True\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with main_errors.termination_signals(), pytest.raises(main_errors.Terminated) as caught:
        module = importlib.import_module("signalled_while_imported")
        assert module.IS_COMPLETE
        time.sleep(5)
    assert caught.value.number == signal.SIGHUP
    assert sys.modules["signalled_while_imported"].IS_COMPLETE
