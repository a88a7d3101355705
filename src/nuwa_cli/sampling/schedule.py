"""Which positions are decoded together: exact wavefronts of 3D Nearby Attention.

With effective radii (e_s, e_h, e_w), every hop from a position to one it sees goes back in

    wave(k, i, j) = j + (e_w + 1)·i + (e_w + 1)(e_h + 1)·k,

so the logits at a position depend on tokens of earlier waves only, through any number of layers. All
positions of a wave are decoded in one step, and the sample equals raster order (`decode.md` §1.1). It is
also the earliest schedule possible: some chain of hops lowers the wave by one at a time.

An axis of radius 0 has no hops and drops out of the formula (its coefficient is 0). Frames are never
reordered: with e_s = 0 the frames are independent, but are still taken one behind the other, which keeps
the cache at one frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.neighborhood import Extent

DecodeOrder = Literal["wavefront", "raster"]

Position = tuple[int, int, int]
"""(frame, row, column)."""


@dataclass(frozen=True)
class Schedule:
    """The waves of a grid under an extent."""

    grid: GridShape
    extent: Extent
    order: DecodeOrder = "wavefront"

    @property
    def coefficients(self) -> Position:
        """Waves per frame, per row and per column."""
        if self.order == "raster":
            return (self.grid.tokens_per_frame, self.grid.width, 1)
        _, reach_rows, reach_columns = self.extent.radius_within(self.grid)
        column = 1 if reach_columns else 0
        row = reach_columns + 1 if reach_rows else 0
        return (row * reach_rows + column * reach_columns + 1, row, column)

    def wave_of(self, position: Position) -> int:
        """The step that decodes a position."""
        return sum(c * x for c, x in zip(self.coefficients, position, strict=True))

    @property
    def num_steps(self) -> int:
        """How many steps the whole grid takes."""
        last = (self.grid.frames - 1, self.grid.height - 1, self.grid.width - 1)
        return self.wave_of(last) + 1

    @property
    def frames_in_flight(self) -> int:
        """At most how many frames are begun and not finished."""
        return min(self._frame_span // self.coefficients[0] + 1, self.grid.frames)

    @property
    def _frame_span(self) -> int:
        """From the first wave of a frame to its last."""
        return self.wave_of((0, self.grid.height - 1, self.grid.width - 1))

    def waves(self) -> Iterator[list[Position]]:
        """The positions of each step, in raster order."""
        for step in range(self.num_steps):
            yield self._wave(step)

    def _wave(self, step: int) -> list[Position]:
        per_frame, per_row, per_column = self.coefficients
        newest = min(step // per_frame, self.grid.frames - 1)
        oldest = max(-(-(step - self._frame_span) // per_frame), 0)
        positions = []
        for frame in range(oldest, newest + 1):
            rest_of_frame = step - per_frame * frame
            for row in _solutions(rest_of_frame, per_row, self.grid.height):
                rest = rest_of_frame - per_row * row
                if per_column and 0 <= rest < self.grid.width:
                    positions.append((frame, row, rest))
                elif not per_column and rest == 0:
                    positions += [(frame, row, column) for column in range(self.grid.width)]
        return positions


def _solutions(rest: int, per_row: int, height: int) -> range:
    """Rows that may hold a cell of this wave: those that leave something for the columns."""
    if per_row == 0:
        return range(height)
    return range(min(rest // per_row + 1, height))
