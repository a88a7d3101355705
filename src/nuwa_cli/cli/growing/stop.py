"""Stopping between two steps: with `--keep-partial` a signal waits until the current step can be left.

Without it a signal ends the run at once, as everywhere else (`main_errors`). With it the first signal
is remembered and raised by `check`, which the run calls wherever it may be left; what is done so far
can then be written in peace. A second signal ends the run at once.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from nuwa_cli.cli.main_errors import Terminated

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Stop:
    """Whether a signal has asked to stop."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._number: int | None = None
        self._say = say

    def check(self, *_: object) -> None:
        """Raise what the signal would have raised; takes what a callback of progress is given."""
        if self._number is not None:
            raise _interruption(self._number)

    def ask(self, number: int, _: FrameType | None) -> None:
        """The handler of a signal."""
        if self._number is not None:
            raise _interruption(number)
        self._number = number
        self._say("stopping after this step; a second signal stops at once, and nothing is kept")


@contextlib.contextmanager
def stopping(say: Callable[[str], None], *, is_patient: bool) -> Iterator[Stop]:
    """Handle signals in the block; patiently, with a line to `say`, or as outside of it."""
    stop = Stop(say)
    previous = []
    if is_patient:
        numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
        previous = [(number, signal.signal(number, stop.ask)) for number in numbers]
    try:
        yield stop
    finally:
        for number, handler in previous:
            signal.signal(number, handler)


def _interruption(number: int) -> BaseException:
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
