"""Runs that wait: commands inside `deferred` are read and checked, and drawn later, together.

A batch first rehearses all of its jobs, so that what is wrong with the last one is known before the first is
drawn: then a command that works piece by piece stops where it would load a model (`Rehearsed`), and nothing is
written, a preview of a region neither.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nuwa_cli.cli.work.runs import Run
    from nuwa_cli.cli.work.work import Work


class Rehearsed(Exception):
    """A rehearsal has come as far as it can."""


class Deferred(list["Run"]):
    """Runs that wait to be drawn; `works` are all that were begun."""

    def __init__(self, *, rehearsal: bool) -> None:
        super().__init__()
        self.works: list[Work] = []
        self.rehearsal = rehearsal
        self.is_partial = False  # something was left out that a real run does


_WAITING: ContextVar[Deferred | None] = ContextVar("waiting", default=None)


@contextlib.contextmanager
def deferred(*, rehearsal: bool = False) -> Iterator[Deferred]:
    """Let the runs of commands in the block wait."""
    waiting = Deferred(rehearsal=rehearsal)
    token = _WAITING.set(waiting)
    try:
        yield waiting
    finally:
        _WAITING.reset(token)


def waiting_runs() -> Deferred | None:
    """Where runs wait just now; None where they are drawn at once."""
    return _WAITING.get()


def is_rehearsal() -> bool:
    """Whether nothing may be written now; who asks leaves something out."""
    waiting = _WAITING.get()
    if waiting is None or not waiting.rehearsal:
        return False
    waiting.is_partial = True
    return True
