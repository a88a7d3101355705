"""Seam score: are the borders between separately drawn patches any different from the rest?

NUWA-Infinity (2207.09814) shows wide pictures in which no patch border can be seen. Here that is a
number: the gradient across the borders against the gradient across lines that are no border, 1 where
nothing shows, above 1 for a step, below 1 for a blur.

Pictures are made of edges, and some stand on a border by chance: on true renders the plain ratio of
40 borders had a spread of 27 % for columns, and of 100 % for rows, where horizons lie. So

- a gradient counts at most as much as the `_CAP`th percentile of its picture: a tree trunk no more
  than a faint step that is as long;
- a border is compared with the lines near it, on both sides, which cross the same things;
- borders are averaged by their logarithms (the geometric mean).

- a border is compared with other borders of the tokenizer's cells, where its size is given: those show
  a little in every decoded picture (with true tokens their gradient is 1.3 to 2 times that inside a cell), and
  patches begin there.

On the same renders, and against all lines, that leaves 4 % for columns and 11 % for rows, while a
step of two levels of 255 along all of a border scores 4.0 and 2.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nuwa_cli.errors import UsageError

Axis = Literal["column", "row"]
Picture = NDArray[np.uint8]
Levels = NDArray[np.floating[Any]]

_CAP = 90  # percentile of the gradients of a picture
_LEAST_CAP = 2.0  # levels of 255: where nearly everything is flat
_NEAR = 16  # lines on either side that a border is compared with: a cell of the embedded model …
_NEAR_CELLS = 4  # … or borders of cells
_FLOOR = 0.3  # levels, added to both sides of every ratio: flat lines differ by chance alone


@dataclass(frozen=True)
class Seam:
    """One border. `at` = x says that it runs between the columns x - 1 and x (a row likewise);
    `ratio` is its score alone."""

    axis: Axis
    at: int
    ratio: float


def seam_score(
    picture: Picture, columns: Sequence[int], rows: Sequence[int] = (), *, cell: int = 1
) -> float:
    """Score of a picture (H, W, 3) with borders at these columns and rows; 1 is perfect.

    `cell` is the size of a token in pixels; with 1 borders are compared with all lines around. Raises
    UsageError for borders outside the picture, and if there are none.
    """
    return mean_ratio([seam.ratio for seam in seam_table(picture, columns, rows, cell=cell)])


def seam_table(
    picture: Picture, columns: Sequence[int], rows: Sequence[int] = (), *, cell: int = 1
) -> list[Seam]:
    """Every border of a picture (H, W, 3) with its own ratio, the worst first.

    Raises UsageError for borders outside the picture.
    """
    axes: tuple[tuple[Axis, Sequence[int], Picture], ...] = (
        ("column", columns, picture),
        ("row", rows, picture.swapaxes(0, 1)),
    )
    seams = []
    for axis, places, turned in axes:
        if not places:
            continue
        lines = _line_gradients(turned)
        for at in places:
            if not 0 < at <= len(lines):
                raise UsageError(f"border '{axis} {at}': not inside a picture of {len(lines) + 1}")
        seams += [Seam(axis, at, _ratio(lines, at - 1, places, cell)) for at in places]
    return sorted(seams, key=lambda seam: -seam.ratio)


def mean_ratio(ratios: Sequence[float]) -> float:
    """Geometric mean of ratios, of borders or of pictures. Raises UsageError if there are none."""
    if not ratios:
        raise UsageError("seam score: there is no border; extend a picture first")
    return math.exp(sum(map(math.log, ratios)) / len(ratios))


def _line_gradients(picture: Picture) -> Levels:
    """Capped mean absolute gradient, in levels of 255, between neighbouring columns: (W - 1,)."""
    steps = np.abs(np.diff(picture.astype(np.int16), axis=1)).mean(axis=-1)
    if not steps.size:
        return np.zeros(0)
    cap = max(float(np.percentile(steps, _CAP)), _LEAST_CAP)
    lines: Levels = np.minimum(steps, cap).mean(axis=0)
    return lines


def _ratio(lines: Levels, border: int, places: Sequence[int], cell: int) -> float:
    others = {place - 1 for place in places}
    reach = (_NEAR if cell == 1 else _NEAR_CELLS) * cell
    near = [
        index
        for index in range(border - reach, border + reach + 1, cell)
        if index not in others and 0 <= index < len(lines)
    ]
    if not near:
        raise UsageError(f"border '{border + 1}': has nothing but borders around; give fewer")
    elsewhere = float(np.exp(np.log(lines[near] + _FLOOR).mean()))
    return float(lines[border] + _FLOOR) / elsewhere
