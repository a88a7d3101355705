"""How well a patch joins what was there before it.

Across the border of a patch the light should change no more than it does across the other cell borders
around. What is compared are strips of a few pixels on both sides of a line, smoothed along it: a branch or a
roof that ends there is no matter, a sky that is lighter on one side is a seam. A patch that does not join is
drawn again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from nuwa_cli.infinity.geometry import Rect
from nuwa_cli.infinity.source import Levels

_STRIP = 4  # pixels on each side of a line
_GOOD_JOINT = 2.0  # levels; 3 of 4 lines through true pictures have less

_ATTEMPTS = 3

T = TypeVar("T")


def best_joined(
    attempt: Callable[[int], tuple[T, Levels]], patch: Rect, cell: int
) -> tuple[T, Levels]:
    """The first drawing of a patch that joins, or of three the one that joins best.

    Args:
        attempt: makes drawing 0, 1, …: what it is, and levels (H, W, 3) of the patch's window.
        patch: cells of the window.
    """
    best: tuple[T, Levels, float] | None = None
    for number in range(_ATTEMPTS):
        drawn, levels = attempt(number)
        size = joint_step(levels, patch, cell)
        if best is None or size < best[2]:
            best = drawn, levels, size
        if size <= _GOOD_JOINT:
            break
    assert best is not None
    return best[:2]


def joint_step(levels: Levels, patch: Rect, cell: int) -> float:
    """By how many levels of 255 the light steps at the borders of a patch, beyond what is usual around.

    Args:
        levels: (H, W, 3) of the patch's window.
        patch: cells of the window; where it touches the window's edge there is nothing to join.
    """
    rows, columns = patch.slices
    across = _excess(levels, rows, (columns.start, columns.stop), cell)
    down = _excess(levels.swapaxes(0, 1), columns, (rows.start, rows.stop), cell)
    return max(across, down)


def _excess(levels: Levels, along: slice, borders: tuple[int, int], cell: int) -> float:
    """The same for upright borders, given as columns of cells, of rows of cells `along`."""
    part = levels[along.start * cell : along.stop * cell]
    columns = range(1, part.shape[1] // cell)
    is_joint = np.array([column in borders for column in columns])
    if is_joint.all() or not is_joint.any():
        return 0.0
    steps = np.stack([_steps(part, column * cell, cell) for column in columns])
    usual = np.median(steps[~is_joint], axis=0)  # a sky fades, towards one side
    sizes = np.abs(steps - usual).mean(axis=(1, 2))
    return max(float(sizes[is_joint].max() - np.median(sizes[~is_joint])), 0.0)


def _steps(levels: Levels, column: int, smooth: int) -> Levels:
    """Steps of light (n, 3) from the strip before a column of pixels to the strip after it, each the
    mean of `smooth` rows."""
    strip = min(_STRIP, smooth // 2)
    after = levels[:, column : column + strip].mean(axis=1)
    before = levels[:, column - strip : column].mean(axis=1)
    steps: Levels = (after - before).reshape(-1, smooth, 3).mean(axis=1)
    return steps
