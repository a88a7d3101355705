"""How the process ends: every exception becomes one line on stderr and an exit status.

    NuwaError            its own status (2 … 7)       wrong option or argument    2
    out of memory        5                            interrupt, terminate        130, 143, 129
    closed pipe          141, silent                  anything else               1 + crash log

Nothing here may fail: it is what is left when everything else has.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import nuwa_cli
from nuwa_cli.errors import NuwaError
from nuwa_cli.media.atomic import discard_unfinished

_MAX_LINE = 240
_TAIL = 100
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_AGAIN_AFTER = 0.05  # seconds
_PATIENCE = 1.0  # seconds that an import may go on after a signal
_SAME_SIGNAL = 0.3  # seconds; a shell or `make` may send one Ctrl-C twice
_HELP = frozenset(("--help", "-h", "--version"))
_LEAST_BYTES = 256 << 20  # of address space: numpy, Pillow and FFmpeg
_CLOSED_PIPE = 128 + 13
_MEMORY = re.compile(
    "can't allocate memory|cannot allocate memory|not enough memory|failed to map segment|"
    "can't start new thread|bad_alloc|cannot allocate",
    re.IGNORECASE,
)
_BIDI_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


class Terminated(BaseException):
    """A signal asks the process to end; not an Exception, so that no handler swallows it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextlib.contextmanager
def termination_signals() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into exceptions, so that every `finally` runs.

    Not in the middle of an import: an exception that is thrown through the start of a C++ library
    aborts the process. The signal is then looked at again a moment later. A second signal, and a
    first one whose import does not end, end the process at once; only temporary files are removed.
    """
    handler = _Handler()
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    previous = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, before in previous:
            signal.signal(number, before)


class _Handler:
    """What the first signal and later ones do."""

    def __init__(self) -> None:
        self._asked_at: float | None = None
        self._has_raised = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        since = now - self._asked_at
        if self._has_raised:
            if since > _SAME_SIGNAL:
                _end_at_once(number)
            return
        if not _is_importing(frame):
            self._has_raised = True
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
        if since > _PATIENCE:
            _end_at_once(number)
        again = threading.Timer(_AGAIN_AFTER, os.kill, (os.getpid(), number))
        again.daemon = True
        again.start()


def _end_at_once(number: int) -> None:
    discard_unfinished()
    os._exit(128 + number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def can_run(argv: list[str]) -> bool:
    """Whether the process is one that libraries can be loaded into; otherwise it has been said why.

    They do not raise where memory or the working folder is missing, they end the process. Help is
    given in any case.
    """
    if not _HELP.isdisjoint(argv):
        return True
    try:
        os.getcwd()
    except OSError:
        complain("working folder: does not exist any more; change to one that does")
        return False
    limit = _address_space()
    if limit is None:
        return True
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread would reserve its own buffers
    if limit < _LEAST_BYTES:
        complain(
            f"memory: this process may have {limit >> 20} MiB of address space, "
            f"at least {_LEAST_BYTES >> 20} are needed; raise the limit (ulimit -v)"
        )
    return limit >= _LEAST_BYTES


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def leave(status: int) -> None:
    """End the process with a status; a signal during the end kills it silently."""
    for name in _SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    discard_unfinished()
    sys.exit(status)


def exit_status(error: BaseException, argv: list[str]) -> int:
    """Explain an exception on stderr and return the status to leave with."""
    if isinstance(error, SystemExit):
        if isinstance(error.__context__, BrokenPipeError):  # the parser ends itself on that
            return _closed_pipe()
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    if isinstance(error, Terminated):
        return 128 + error.number
    if isinstance(error, BrokenPipeError):
        return _closed_pipe()
    if isinstance(error, NuwaError):
        complain(str(error))
        return error.exit_code
    if _is_usage(error):
        return _usage(error)
    if is_out_of_memory(error):
        complain("memory: not enough for this run; give fewer --frames or a smaller --best-of")
        return 5
    log = _write_crash_log(error, argv)
    where = f"log: '{log}'" if log else "no log could be written"
    complain(f"internal error {type(error).__name__} ({where}); please report it")
    return 1


def complain(message: str) -> None:
    """One line on stderr, control characters escaped, bounded length."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):  # it may be full, or closed meanwhile
        sys.stderr.write(f"nuwa: {one_line(message)}\n")
        sys.stderr.flush()


def one_line(text: str) -> str:
    """`text` on one line of bounded length that cannot move the cursor of a terminal."""
    if len(text) > 2 * _MAX_LINE:
        text = text[:_MAX_LINE] + text[-_MAX_LINE:]
    text = "".join(_visible(character) for character in text)
    if len(text) <= _MAX_LINE:
        return text
    # What is long is a name or a prompt in the middle; why and what to do stand at the end.
    return f"{text[: _MAX_LINE - _TAIL - 1]}…{text[-_TAIL:]}"


def _visible(character: str) -> str:
    is_control = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
    if is_control or character in _BIDI_CONTROLS:
        return character.encode("unicode_escape", "surrogatepass").decode()
    return character


def _is_usage(error: BaseException) -> bool:
    # The parser's exceptions live in a package that has moved between versions of Typer.
    return isinstance(error, Exception) and callable(getattr(error, "format_message", None))


def _usage(error: Any) -> int:
    context: Any = getattr(error, "ctx", None)
    if (
        type(error).__name__ == "NoArgsIsHelpError" and context is not None
    ):  # a group without a command: show what it has
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{context.get_help()}\n")
        return 2
    message = str(error.format_message()).replace("Value error, ", "")
    message = " ".join(message.split()).rstrip(".")
    command = context.command_path if context is not None else "nuwa"
    complain(f"{message[:1].lower()}{message[1:]}; see: {command} --help")
    return 2


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether memory was the reason, also where a library hides it: in an import that cannot map
    its code, a thread that cannot start, an error that was raised while handling the first."""
    while error is not None:
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            return True
        if isinstance(error, (ImportError, OSError, RuntimeError, SystemError)) and (
            type(error).__name__ == "OutOfMemoryError" or _MEMORY.search(str(error))
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


def _closed_pipe() -> int:
    # The interpreter flushes stdout once more at its end; give it somewhere to write.
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return _CLOSED_PIPE


def _write_crash_log(error: BaseException, argv: list[str]) -> Path | None:
    import traceback

    lines = [
        f"nuwa {nuwa_cli.__version__}, python {sys.version.split()[0]}, {sys.platform}",
        f"arguments: {argv!r}",
        *traceback.format_exception(error),
    ]
    try:
        state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        path = Path(state) / "nuwa" / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines), encoding="utf-8", errors="backslashreplace")
    except (OSError, RuntimeError):
        return None
    return path
