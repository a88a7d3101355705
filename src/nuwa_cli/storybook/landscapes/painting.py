"""Painting: colors, color fields, the dice of a seed, and the canvas that takes it all.

A picture is a stack of fills. A fill lays a *paint* (one color, or a color for every coordinate)
over a shape, and both are evaluated only inside the box of the shape.

Invariants: colors are float32 in [0, 1], channel first; after `Canvas.fill` with a label, the class
of every pixel that the shape covers by at least one half is that label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuwa_cli.sketches.palette import CLASS_ID
from nuwa_cli.storybook.landscapes.shapes import (
    EVERYWHERE,
    GRID_X,
    GRID_Y,
    HEIGHT,
    WIDTH,
    Array,
    Curve,
    Field,
    Shape,
    smooth,
)

Paint = Array | Field
_EDGE = 0.7  # half width of the ramp at an edge, in pixels


class Dice:
    """The random numbers of one painting: splitmix64, so the same on every machine and version."""

    def __init__(self, name: str, seed: int) -> None:
        self._seed = seed
        state = seed & 0xFFFFFFFFFFFFFFFF
        for byte in name.encode():
            state = (state * 0x100000001B3 + byte + 1) & 0xFFFFFFFFFFFFFFFF
        self._state = state

    def uniform(self, low: float, high: float) -> float:
        """The next number, uniform in [low, high)."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        return low + (high - low) * ((z ^ (z >> 31)) >> 11) * 2.0**-53

    def fork(self, name: str) -> Dice:
        """Dice of their own for an optional part, so that leaving it out moves nothing else."""
        return Dice(name, self._seed)

    def sign(self) -> float:
        """+1 or -1, fair."""
        return 1.0 if self.uniform(0.0, 1.0) < 0.5 else -1.0

    def index(self, count: int) -> int:
        """An integer in [0, count), fair."""
        return min(int(self.uniform(0.0, count)), count - 1)


def rgb(code: str) -> Array:
    """The color `#rrggbb` as float32 (3,) in [0, 1]."""
    value = int(code[1:], 16)
    return np.array([value >> 16, value >> 8 & 255, value & 255], dtype=np.float32) / np.float32(
        255
    )


def mix(a: Array, b: Array, t: Array | float) -> Array:
    """Color `a` (3,) at t = 0, `b` at t = 1; t (h, w) gives (3, h, w), a number gives (3,)."""
    if isinstance(t, (float, int)):
        return a + (b - a) * np.float32(t)
    return a[:, None, None] + (b - a)[:, None, None] * t


def vertical(top: Array, bottom: Array, y0: float, y1: float) -> Field:
    """A straight gradient from `top` at y0 to `bottom` at y1."""
    return lambda _x, y: mix(top, bottom, np.clip((y - y0) / (y1 - y0), 0, 1))


def slanted(a: Array, b: Array, p: tuple[float, float], q: tuple[float, float]) -> Field:
    """A straight gradient from `a` at point p to `b` at point q."""
    dx, dy = q[0] - p[0], q[1] - p[1]
    scale = 1 / (dx * dx + dy * dy)
    return lambda x, y: mix(a, b, np.clip(((x - p[0]) * dx + (y - p[1]) * dy) * scale, 0, 1))


def radial(inner: Array, outer: Array, x0: float, y0: float, radius: float) -> Field:
    """A round gradient from `inner` at the center to `outer` at `radius`."""
    return lambda x, y: mix(inner, outer, smooth(0, radius, np.hypot(x - x0, y - y0)))


def under(curve: Curve, crest: Array, foot: Array, depth: float) -> Field:
    """A gradient that follows a ridge: `crest` on the curve, `foot` at `depth` pixels below it."""
    return lambda x, y: mix(crest, foot, smooth(0, depth, y - curve(x)))


def stops(*points: tuple[float, Array]) -> Field:
    """A vertical gradient through several (y, color) points, rounded so that no point shows."""
    ys = [p[0] for p in points]
    rows = np.arange(-16, HEIGHT + 16)
    hann = np.hanning(33)[1:-1]
    table = np.stack(
        [
            np.convolve(np.interp(rows, ys, [p[1][c] for p in points]), hann / hann.sum(), "same")
            for c in range(3)
        ]
    ).astype(np.float32)[:, 16:-16]
    return lambda _x, y: table[:, y[:, 0].astype(np.int64), None]


class Canvas:
    """Pixels float32 (3, 256, 384) in [0, 1] and their classes uint8 (256, 384)."""

    def __init__(self) -> None:
        self.pixels: Array = np.zeros((3, HEIGHT, WIDTH), dtype=np.float32)
        self.classes: NDArray[np.uint8] = np.full((HEIGHT, WIDTH), CLASS_ID["other"], np.uint8)

    def fill(
        self,
        shape: Shape | None,
        paint: Paint,
        label: str | None = None,
        *,
        opacity: float = 1.0,
        soft: float = 0.0,
    ) -> None:
        """Lay `paint` over `shape` (None: everywhere).

        `label` names the class of the covered pixels; None leaves the classes alone (shading).
        `soft` widens the ramp at the edge by that many pixels to each side.
        """
        box = EVERYWHERE if shape is None else shape.bounds
        reach = _EDGE + soft
        x0, y0 = max(int(box[0] - reach), 0), max(int(box[1] - reach), 0)
        x1, y1 = min(int(box[2] + reach) + 1, WIDTH), min(int(box[3] + reach) + 1, HEIGHT)
        if x0 >= x1 or y0 >= y1:
            return
        x, y = GRID_X[:, x0:x1], GRID_Y[y0:y1]
        color = paint(x, y) if callable(paint) else paint[:, None, None]
        target = self.pixels[:, y0:y1, x0:x1]
        classes = self.classes[y0:y1, x0:x1]
        if shape is None:
            target += (color - target) * np.float32(opacity)
            if label is not None:
                classes[:] = CLASS_ID[label]
            return
        cover = np.clip(shape.distance(x, y) * np.float32(-0.5 / reach) + np.float32(0.5), 0, 1)
        if soft:
            cover = cover * cover * (3 - 2 * cover)
        if label is not None:
            classes[cover >= 0.5] = CLASS_ID[label]
        target += (color - target) * (cover * np.float32(opacity))
