"""The arbitrary direction controller (NUWA-Infinity, arXiv 2207.09814): which patch comes when, and what
it sees.

The canvas is filled patch by patch. Each step looks through a window of the model's square, of which at
least half is known already, and fills the patch at its far side. First the source's own rows grow to the
right and left, then everything grows up and down over the full width. Opposite directions take turns,
band by band, so that a picture that is stopped early has grown evenly.

    right                      down, second patch of a band
    ┌────────┬────────┐        ┌─────────────────┐
    │ known  │ patch  │        │      known      │
    │        │        │        ├────────┬────────┤
    │        │        │        │ known  │ patch  │
    └────────┴────────┘        └────────┴────────┘

A band is half a window deep. The first patch of a band is as long as the window, the next ones half as
long, so that they see the band's beginning beside them. All is arithmetic: a canvas of any length takes no
memory, and every step can be asked which cells it fills and every cell which step fills it.

Invariants: every cell outside the source is filled exactly once; every window lies in the canvas, is
known outside its patch before the step, and known everywhere after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nuwa_cli.infinity.geometry import Canvas, Rect

Direction = Literal["right", "left", "down", "up"]

SOURCE = -1
"""Owner of the cells that are given."""

Owners = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Step:
    """One patch to fill, and the window to look through; rectangles of canvas cells."""

    index: int
    window: Rect
    patch: Rect
    direction: Direction


@dataclass(frozen=True)
class Region:
    """All that grows in one direction. Bands follow each other along the direction, patches of a band
    from top to bottom or from left to right."""

    direction: Direction
    rect: Rect
    side: int  # cells of a window
    first: int  # step of its pair's first patch
    opposite: int  # bands of the other direction of the pair
    is_second: bool  # of the pair: its bands come after those of the other

    @property
    def depth(self) -> int:
        """Cells that a band is deep."""
        return self.side // 2

    @property
    def is_sideways(self) -> bool:
        return self.direction in ("right", "left")

    @property
    def length(self) -> int:
        """Cells along the direction."""
        return self.rect.width if self.is_sideways else self.rect.height

    @property
    def breadth(self) -> int:
        """Cells across."""
        return self.rect.height if self.is_sideways else self.rect.width

    @property
    def num_bands(self) -> int:
        return -(-self.length // self.depth)

    @property
    def num_across(self) -> int:
        return 1 - (-(self.breadth - self.side) // self.depth)

    @property
    def num_steps(self) -> int:
        return self.num_bands * self.num_across

    def turn(self, band: Any) -> Any:
        """Which turn of its pair a band (or an array of them) has."""
        shared = min(self.num_bands, self.opposite)
        return np.where(band < shared, 2 * band + self.is_second, shared + band)

    def patch(self, band: int, across: int) -> Rect:
        """The cells of one patch."""
        near, far = band * self.depth, min((band + 1) * self.depth, self.length)
        start = 0 if across == 0 else self.side + (across - 1) * self.depth
        stop = min(self.side + across * self.depth, self.breadth)
        if self.direction in ("left", "up"):
            near, far = self.length - far, self.length - near
        if self.is_sideways:
            return Rect(self.rect.top + start, self.rect.left + near, stop - start, far - near)
        return Rect(self.rect.top + near, self.rect.left + start, far - near, stop - start)

    def band_rect(self, bands: int) -> Rect:
        """The cells of the first so many bands."""
        length, rect = min(bands * self.depth, self.length), self.rect
        top = rect.bottom - length if self.direction == "up" else rect.top
        left = rect.right - length if self.direction == "left" else rect.left
        if self.is_sideways:
            return Rect(rect.top, left, rect.height, length)
        return Rect(top, rect.left, length, rect.width)

    def num_complete(self, is_complete: Callable[[Rect], bool]) -> int:
        """How many bands, from the source on, hold only patches that are complete."""
        for band in range(self.num_bands):
            if not all(is_complete(self.patch(band, n)) for n in range(self.num_across)):
                return band
        return self.num_bands

    def window(self, patch: Rect) -> Rect:
        """The window of a patch: known cells on the side that it grows from, and before it across."""
        behind_rows, behind_columns = patch.bottom - self.side, patch.right - self.side
        if self.is_sideways:
            left = patch.left if self.direction == "left" else behind_columns
            return Rect(behind_rows, left, self.side, self.side)
        top = patch.top if self.direction == "up" else behind_rows
        return Rect(top, behind_columns, self.side, self.side)

    def owners(self, rows: Owners, columns: Owners) -> Owners:
        """Steps that fill cells of this region, for rows (h,) and columns (w,) inside it: (h, w)."""
        rows, columns = rows - self.rect.top, columns - self.rect.left
        along, across = (columns, rows) if self.is_sideways else (rows, columns)
        if self.direction in ("left", "up"):
            along = self.length - 1 - along
        turns = self.turn(along // self.depth)
        places = np.maximum(across - self.side + self.depth, 0) // self.depth
        index = self.first + turns[:, None] * self.num_across + places
        return index.T if self.is_sideways else index


class Controller:
    """The order of all steps of one canvas."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        source, side = canvas.source, canvas.side
        beside = Rect(source.top, source.right, source.height, canvas.columns - source.right)
        before = Rect(source.top, 0, source.height, source.left)
        below = Rect(source.bottom, 0, canvas.rows - source.bottom, canvas.columns)
        above = Rect(0, 0, source.top, canvas.columns)
        sideways = _pair("right", beside, "left", before, side, first=0)
        self._num_sideways = sum(region.num_steps for region in sideways)
        upright = _pair("down", below, "up", above, side, first=self._num_sideways)
        self.regions = (*sideways, *upright)

    def __len__(self) -> int:
        return sum(region.num_steps for region in self.regions)

    def __iter__(self) -> Iterator[Step]:
        return (self.step(index) for index in range(len(self)))

    def step(self, index: int) -> Step:
        """One step by its number, 0 … len - 1."""
        assert 0 <= index < len(self), index
        pair = self.regions[:2] if index < self._num_sideways else self.regions[2:]
        turn, across = divmod(index - pair[0].first, pair[0].num_across)
        shared = min(region.num_bands for region in pair)
        if turn < 2 * shared:
            region, band = pair[turn % 2], turn // 2
        else:
            region, band = max(pair, key=lambda region: region.num_bands), turn - shared
        patch = region.patch(band, across)
        return Step(index, region.window(patch), patch, region.direction)

    def owners(self, rect: Rect) -> Owners:
        """Which step fills each cell of the part of a rectangle that lies in the canvas, `SOURCE` for
        those that are given: int64 (h, w)."""
        inside = rect.overlap(self.canvas.cells)
        owners = np.full((inside.height, inside.width), SOURCE, dtype=np.int64)
        for region in self.regions:
            part = inside.overlap(region.rect)
            if part.area:
                rows, columns = (np.arange(span.start, span.stop) for span in part.slices)
                owners[part.seen_from(inside).slices] = region.owners(rows, columns)
        return owners

    def known_after(self, rect: Rect) -> int:
        """The step after which all of a rectangle (its part in the canvas) is known."""
        return int(self.owners(rect).max(initial=SOURCE))

    def joints(self) -> tuple[list[int], list[int]]:
        """Columns and rows of cells where a patch begins beside another patch, or beside the source."""
        columns: set[int] = set()
        rows: set[int] = set()
        for region in self.regions:
            bands = [region.patch(band, 0) for band in range(region.num_bands)]
            patches = bands + [region.patch(0, n) for n in range(region.num_across) if bands]
            columns |= {edge for patch in patches for edge in (patch.left, patch.right)}
            rows |= {edge for patch in patches for edge in (patch.top, patch.bottom)}
        whole = self.canvas.cells
        return sorted(columns - {0, whole.right}), sorted(rows - {0, whole.bottom})


def _pair(
    name: Direction, rect: Rect, other: Direction, other_rect: Rect, side: int, *, first: int
) -> tuple[Region, Region]:
    """Two opposite regions that take turns."""
    one = Region(name, rect, side, first, 0, False)
    two = Region(other, other_rect, side, first, one.num_bands, True)
    return Region(name, rect, side, first, two.num_bands, False), two
