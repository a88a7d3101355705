"""The nearby context pool (NUWA-Infinity, arXiv 2207.09814): what later patches need to know, and no more.

For each known cell it keeps the token, which the encoder sees as canvas and which is decoded to pixels when
the neighbours are known too, and low-level pixels, 4 × 4 samples, which are the completion engine's second
perspective. Cells are selected, added and removed by rectangle. They are stored in pages that come and go
with what is known in them, so memory follows the cells that are kept, not the canvas.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuwa_cli.infinity.geometry import Rect
from nuwa_cli.ops.samples import SAMPLES

UNKNOWN = -1

Tokens = np.ndarray[Any, np.dtype[np.int64]]
Samples = np.ndarray[Any, np.dtype[np.uint8]]
"""(h, w, 4, 4, 3): samples of each cell."""


@dataclass(frozen=True)
class Cells:
    """Cells of a rectangle; samples of unknown ones mean nothing."""

    tokens: Tokens  # int64 (h, w), -1 = unknown
    samples: Samples

    @classmethod
    def unknown(cls, height: int, width: int) -> Cells:
        """A rectangle of which nothing is known."""
        return cls(
            np.full((height, width), UNKNOWN, dtype=np.int64),
            np.zeros((height, width, SAMPLES, SAMPLES, 3), dtype=np.uint8),
        )

    def part(self, rect: Rect) -> Cells:
        """A rectangle of it, counted from its own corner; shares memory."""
        return Cells(self.tokens[rect.slices], self.samples[rect.slices])

    def put(self, rect: Rect, cells: Cells) -> None:
        """Write cells into a rectangle, counted from the own corner."""
        self.tokens[rect.slices] = cells.tokens
        self.samples[rect.slices] = cells.samples


class ContextPool:
    """Known cells of a canvas of any size."""

    def __init__(self, page: int) -> None:
        """`page`: cells along a page, about the side of a window."""
        self.page = page
        self._pages: dict[tuple[int, int], Cells] = {}

    @property
    def num_cells(self) -> int:
        """How many cells are kept."""
        return sum(int((page.tokens != UNKNOWN).sum()) for page in self._pages.values())

    def select(self, rect: Rect) -> Cells:
        """The cells of a rectangle, a copy."""
        found = Cells.unknown(rect.height, rect.width)
        for key, part in self._parts(rect):
            page = self._pages.get(key)
            if page is not None:
                found.put(part.seen_from(rect), page.part(self._within(key, part)))
        return found

    def add(self, rect: Rect, cells: Cells) -> None:
        """Keep the known cells of a rectangle."""
        for key, part in self._parts(rect):
            page = self._pages.setdefault(key, Cells.unknown(self.page, self.page))
            page.put(self._within(key, part), cells.part(part.seen_from(rect)))

    def remove(self, rect: Rect) -> None:
        """Forget the cells of a rectangle."""
        for key, part in self._parts(rect):
            page = self._pages.get(key)
            if page is not None:
                page.tokens[self._within(key, part).slices] = UNKNOWN
                if (page.tokens == UNKNOWN).all():
                    del self._pages[key]

    def _parts(self, rect: Rect) -> Iterator[tuple[tuple[int, int], Rect]]:
        """Pages that a rectangle touches, and the part of it in each."""
        for row in range(rect.top // self.page, -(-rect.bottom // self.page)):
            for column in range(rect.left // self.page, -(-rect.right // self.page)):
                yield (row, column), rect.overlap(self._rect((row, column)))

    def _within(self, key: tuple[int, int], part: Rect) -> Rect:
        return part.seen_from(self._rect(key))

    def _rect(self, key: tuple[int, int]) -> Rect:
        return Rect(key[0] * self.page, key[1] * self.page, self.page, self.page)
