"""Jobs spread over several hands, be they processes or hosts.

Hands are given windows of ready jobs, each of one command, and tell outcomes as they come. What a
dead hand held is given to others, job by job so that one that kills its hand takes no other with it, and
with leave to replace what the dead one may have written. A job whose hands died `tries` times has failed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nuwa_cli.cli.batch.agenda import Agenda, Planned
from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.running import Errand
from nuwa_cli.cli.forecast.plan import TOGETHER
from nuwa_cli.errors import EnvironmentFault

_MAX_WINDOW = 32
_SHARES = 2  # windows that each hand gets of what is ready, so that all end at about the same time
_MAX_STILLBORN = 3  # hands in a row that died before they did anything


class Office(Protocol):
    """Who keeps the books."""

    def begin(self, window: Sequence[Planned]) -> None:
        """Jobs are about to be done."""

    def finish(self, one: Planned, outcome: Outcome) -> None:
        """A job ended; may raise to end the batch."""


@dataclass(frozen=True)
class Event:
    """A hand has an outcome, or died."""

    hand: int
    number: int = -1
    outcome: Outcome | None = None
    death: str = ""


class Hands(Protocol):
    """Several workers, numbered from 0."""

    count: int
    tries: int

    def give(self, hand: int, errands: Sequence[Errand]) -> None:
        """Hand over jobs; a dead hand is started again first."""

    def wait(self) -> list[Event]:
        """What happened next, at least one event."""


def errand_of(one: Planned, *, again: bool = False) -> Errand:
    """What a worker needs to know of a job."""
    job = one.job
    argv = job.forced() if again or one.may_replace else job.argv
    return Errand(job.number, argv, job.inputs, one.paths)


def spread(agenda: Agenda, office: Office, hands: Hands) -> None:
    """Do all jobs. Raises EnvironmentFault when no hand lives, and what the office raises."""
    held: list[dict[int, Planned]] = [{} for _ in range(hands.count)]
    deaths: dict[int, int] = {}
    again: list[Planned] = []
    stillborn = 0
    while agenda or again or any(held):
        for hand in range(hands.count):
            if held[hand]:
                continue
            window = [again.pop(0)] if again else agenda.take(_size(agenda, hands), alike=True)
            if not window:
                break
            office.begin(window)
            held[hand] = {one.job.number: one for one in window}
            errands = [errand_of(one, again=one.job.number in deaths) for one in window]
            hands.give(hand, errands)
        for event in hands.wait():
            if event.outcome is not None:
                stillborn = 0
                office.finish(held[event.hand].pop(event.number), event.outcome)
                continue
            stillborn += 1
            if stillborn > _MAX_STILLBORN * hands.count:
                raise EnvironmentFault(
                    f"workers: {event.death}, again and again; give fewer of them"
                )
            lost, held[event.hand] = held[event.hand], {}
            for number, one in lost.items():
                deaths[number] = deaths.get(number, 0) + 1
                if deaths[number] < hands.tries:
                    again.append(one)
                else:
                    why = f"worker: {event.death}, {hands.tries} times; try this job alone"
                    office.finish(one, Outcome(exit=EnvironmentFault.exit_code, error=why))


def _size(agenda: Agenda, hands: Hands) -> int:
    ready = agenda.count_ready(_MAX_WINDOW * _SHARES * hands.count)
    share = max(TOGETHER, math.ceil(ready / (_SHARES * hands.count)))
    return max(1, min(share, math.ceil(ready / hands.count)))
