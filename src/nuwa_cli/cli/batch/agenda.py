"""Which job may run when: after every earlier job whose file it reads, or that reads what it replaces.

Jobs are otherwise free, so that those that are ready are drawn together. The result of a batch is that
of its jobs one after the other, because an output depends on nothing but its job and its inputs.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nuwa_cli.cli.batch.translation import Job
from nuwa_cli.errors import UsageError
from nuwa_cli.media.naming import is_sequence

_LOOK_AHEAD = 8  # windows, for jobs of one command
_LONGEST = ("extend", "vedit", "predict", "sketch2vid", "t2v")
"""Commands that take longest: begun first, all hands end at about the same time."""


@dataclass(frozen=True)
class Planned:
    """A job that was checked: the files it will make, the numbers of the jobs it waits for, and
    whether it may replace files though its command line does not say so."""

    job: Job
    paths: tuple[str, ...]
    needs: frozenset[int]
    may_replace: bool = False


class Files:
    """Who makes and who reads which file, job after job in their order."""

    def __init__(self) -> None:
        self._makers: dict[str, Job] = {}
        self._folders: dict[str, Job] = {}  # of frame sequences
        self._readers: dict[str, list[int]] = {}

    def maker(self, path: str) -> Job | None:
        """The job that makes a file, or the folder of frames that it is in or that it is."""
        place = os.path.realpath(path)
        folder = self._folders.get(place) or self._folders.get(os.path.dirname(place))
        return self._makers.get(place) or folder

    def needed_by(self, job: Job) -> set[int]:
        """The earlier jobs whose files a job reads."""
        return {maker.number for path in job.inputs if (maker := self.maker(path)) is not None}

    def add(self, job: Job, paths: Sequence[str], *, may_replace: bool = False) -> Planned:
        """Take note of a job. Raises UsageError when another makes the same file."""
        needs = self.needed_by(job)
        for path in paths:
            place = os.path.realpath(path)
            other = self._makers.get(place)
            if other is not None:
                raise UsageError(
                    f"{job.place}: output '{path}' is that of line {other.line} too; "
                    "put {job} into the name"
                )
            needs.update(self._readers.get(place, ()))
            self._makers[place] = job
            if is_sequence(Path(path)):
                self._folders[os.path.dirname(place)] = job
        for path in job.inputs:
            self._readers.setdefault(os.path.realpath(path), []).append(job.number)
        return Planned(job, tuple(paths), frozenset(needs - {job.number}), may_replace)


class Agenda:
    """Jobs that are still to do."""

    def __init__(self, planned: Sequence[Planned]) -> None:
        self._waiting = {one.job.number: one for one in planned}
        self._pending = set(self._waiting)  # waiting or being drawn
        self._wanted = {number for one in planned for number in one.needs}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, limit: int, *, alike: bool = False) -> list[Planned]:
        """Up to `limit` jobs that wait for nothing, in order; with `alike` those of one command: that of
        a job that others wait for, or of one that takes long."""
        ready = list(itertools.islice(self._ready(), _LOOK_AHEAD * limit if alike else limit))
        if alike and ready:
            command = min(ready, key=self._urgency).job.command
            ready = [one for one in ready if one.job.command == command]
        chosen = ready[:limit]
        for one in chosen:
            del self._waiting[one.job.number]
        return chosen

    def count_ready(self, limit: int) -> int:
        """How many jobs wait for nothing, counted up to a limit."""
        return sum(1 for _ in itertools.islice(self._ready(), limit))

    def give_back(self, one: Planned) -> None:
        """A job that was taken waits again."""
        self._waiting[one.job.number] = one

    def settle(self, number: int, *, is_done: bool) -> list[tuple[Planned, int]]:
        """A job ended. If it failed, all that wait for it do: those, each with the job it needs."""
        self._pending.discard(number)
        doomed: list[tuple[Planned, int]] = []
        failed = [] if is_done else [number]
        while failed:
            culprit = failed.pop()
            for one in [one for one in self._waiting.values() if culprit in one.needs]:
                del self._waiting[one.job.number]
                self._pending.discard(one.job.number)
                doomed.append((one, culprit))
                failed.append(one.job.number)
        return doomed

    def _ready(self) -> Iterator[Planned]:
        return (one for one in self._waiting.values() if not one.needs & self._pending)

    def _urgency(self, one: Planned) -> tuple[bool, int]:
        """What sorts first is to be begun first."""
        command = one.job.command
        place = _LONGEST.index(command) if command in _LONGEST else len(_LONGEST)
        return one.job.number not in self._wanted, place
