"""Outputs that `--update` leaves alone: which they are, and that they are told in their place.

They are results like those that are drawn, so stdout names all outputs of a run in the order of its jobs,
whichever of them were made now.
"""

from __future__ import annotations

from collections.abc import Sequence

from nuwa_cli.cli.recipes.recall import recorded
from nuwa_cli.cli.work.inputs import Source
from nuwa_cli.cli.work.work import Work


class Current:
    """Which outputs of a work are what would be made now."""

    def __init__(self, work: Work, sources: Sequence[Source]) -> None:
        """`sources` are the files that it is made from. Raises InputError."""
        self._work = work
        self._indices = _up_to_date(work, sources) if work.output.update else []
        self._untold = list(self._indices)

    def others(self) -> list[int]:
        """Outputs that are to be drawn."""
        return [index for index in range(len(self._work.jobs)) if index not in self._indices]

    def tell(self, before: int | None = None) -> None:
        """Tell those in front of an output that is about to be told, or all that are left."""
        while self._untold and (before is None or self._untold[0] < before):
            index = self._untold.pop(0)
            prompt, seed = self._work.jobs[index]
            facts = {"prompt": prompt, "seed": seed, "up_to_date": True}
            self._work.voice.result(self._work.paths[index], facts)


def _up_to_date(work: Work, sources: Sequence[Source]) -> list[int]:
    from nuwa_cli.cli.recipes.up_to_date import Freshness

    fresh = Freshness(work.task, work.model.model, sources, work.prerequisites())
    current = []
    for index, (path, (prompt, seed)) in enumerate(zip(work.paths, work.jobs, strict=True)):
        if fresh.is_current(path, recorded(work.task, work.values_of(index), prompt, seed)):
            work.voice.note(f"'{path}': up to date")
            current.append(index)
    return current
