"""Water surfaces: swell, the path of a low sun, and the front that hides half a swimmer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nuwa_cli.storybook.landscapes.painting import Canvas, Dice
from nuwa_cli.storybook.landscapes.shapes import (
    GRID_X,
    GRID_Y,
    WIDTH,
    Array,
    Curve,
    f32,
    oval,
    smooth,
)


def swell(
    canvas: Canvas, dice: Dice, rows: Sequence[tuple[float, float]], color: Array, opacity: float
) -> None:
    """Long lens-shaped bands on water, two for each (y, half thickness)."""
    for y, half in rows:
        for _ in range(2):
            x = dice.uniform(0, WIDTH)
            canvas.fill(oval(x, y, 26 * half, half), color, opacity=opacity, soft=half * 0.5)


def glitter(
    canvas: Canvas, color: Array, x: float, top: float, bottom: float, width: float, opacity: float
) -> None:
    """The path of a low sun on water: lens-shaped bars, wider and further apart towards us."""
    y, i = top + 2.0, 0
    while y < bottom:
        near = (y - top) / (bottom - top)
        half, span = 1.2 + 2.6 * near, width * (0.35 + 0.65 * near) * (1.0 if i % 2 else 0.7)
        bar = oval(x + (4 if i % 2 else -4) * near * 2, y, span, half)
        canvas.fill(bar, color, opacity=opacity * (1 - 0.45 * near), soft=0.8)
        y += half * 2.6 + 1.5
        i += 1


def water_front(curve: Curve, depth: float = 46.0) -> Array:
    """Opacity (256, 384) of a water surface before a swimmer: clear at the crest, dense below."""
    rise = GRID_Y - curve(GRID_X)
    edge = np.clip(rise + np.float32(0.5), 0, 1)
    return f32(edge * (0.66 + 0.30 * smooth(0, depth, rise)))
