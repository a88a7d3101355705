"""Shapes: regions given by the signed distance to their edge, and the ridge lines of the land.

The distance is in pixels, negative inside, a function of the coordinate grids x (to the right) and
y (down). Coverage is a ramp of the distance, so edges are smooth at 1x without supersampling. Every
shape carries a box; outside of it nobody asks for the distance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH = 256, 384
Array = NDArray[np.float32]
Field = Callable[[Array, Array], Array]
Curve = Callable[[Array], Array]
Bounds = tuple[float, float, float, float]
EVERYWHERE: Bounds = (0.0, 0.0, float(WIDTH), float(HEIGHT))
GRID_X: Array = (np.arange(WIDTH, dtype=np.float32) + np.float32(0.5))[None, :]
GRID_Y: Array = (np.arange(HEIGHT, dtype=np.float32) + np.float32(0.5))[:, None]


def f32(values: object) -> Array:
    """The values as a float32 array."""
    return np.asarray(values, dtype=np.float32)


@dataclass(frozen=True)
class Shape:
    """A region: `distance(x, y)` in pixels to its edge, negative inside, and a box around it."""

    distance: Field
    bounds: Bounds = EVERYWHERE

    def __or__(self, other: Shape) -> Shape:
        a, b = self.bounds, other.bounds
        box = (min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3]))
        return Shape(lambda x, y: np.minimum(self.distance(x, y), other.distance(x, y)), box)

    def __and__(self, other: Shape) -> Shape:
        a, b = self.bounds, other.bounds
        box = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
        return Shape(lambda x, y: np.maximum(self.distance(x, y), other.distance(x, y)), box)

    def __sub__(self, other: Shape) -> Shape:
        return Shape(
            lambda x, y: np.maximum(self.distance(x, y), -other.distance(x, y)), self.bounds
        )


def oval(x0: float, y0: float, rx: float, ry: float) -> Shape:
    """An ellipse; the distance is first order, exact for a circle."""

    def distance(x: Array, y: Array) -> Array:
        u, v = (x - x0) / rx, (y - y0) / ry
        norm = np.sqrt(u * u + v * v) + np.float32(1e-6)
        if rx == ry:
            return f32((norm - 1) * rx)
        slope = np.sqrt((u / rx) ** 2 + (v / ry) ** 2) + np.float32(1e-6)
        return f32(norm * (norm - 1) / slope)

    return Shape(distance, (x0 - rx, y0 - ry, x0 + rx, y0 + ry))


def disc(x0: float, y0: float, radius: float) -> Shape:
    """A circle."""
    return oval(x0, y0, radius, radius)


def block(x0: float, y0: float, x1: float, y1: float, corner: float = 0.0) -> Shape:
    """An upright rectangle with rounded corners."""
    cx, cy, hx, hy = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) / 2 - corner, (y1 - y0) / 2 - corner

    def distance(x: Array, y: Array) -> Array:
        u, v = np.abs(x - cx) - hx, np.abs(y - cy) - hy
        if corner == 0:
            return f32(np.maximum(u, v))
        outside = np.sqrt(np.maximum(u, 0) ** 2 + np.maximum(v, 0) ** 2)
        return f32(outside + np.minimum(np.maximum(u, v), 0) - corner)

    return Shape(distance, (x0, y0, x1, y1))


def convex(*points: tuple[float, float]) -> Shape:
    """A convex polygon, points in either turning direction."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    edges = []
    area = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(points)))
    for i in range(len(points)):
        dx, dy = xs[i] - xs[i - 1], ys[i] - ys[i - 1]
        length = max((dx * dx + dy * dy) ** 0.5, 1e-6) * (1 if area > 0 else -1)
        edges.append((xs[i], ys[i], dy / length, -dx / length))

    def distance(x: Array, y: Array) -> Array:
        out = f32(-1e9)
        for px, py, nx, ny in edges:
            out = f32(np.maximum(out, (x - px) * nx + (y - py) * ny))
        return out

    return Shape(distance, (min(xs), min(ys), max(xs), max(ys)))


def stroke(points: Sequence[tuple[float, float]], start: float, end: float) -> Shape:
    """A round brush stroke through the points; its half width goes from `start` to `end`."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    count, r = len(points) - 1, max(start, end)

    def distance(x: Array, y: Array) -> Array:
        out = f32(1e9)
        for i in range(count):
            ax, ay, dx, dy = xs[i], ys[i], xs[i + 1] - xs[i], ys[i + 1] - ys[i]
            t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy + 1e-6), 0, 1)
            width = start + (end - start) * (i + t) / count
            out = f32(np.minimum(out, np.hypot(x - ax - t * dx, y - ay - t * dy) - width))
        return out

    return Shape(distance, (min(xs) - r, min(ys) - r, max(xs) + r, max(ys) + r))


def puffs(parts: Sequence[Shape], roundness: float) -> Shape:
    """A union whose inner corners are rounded: clouds, crowns, bushes."""
    k = np.float32(max(roundness, 1e-3))

    def distance(x: Array, y: Array) -> Array:
        out = parts[0].distance(x, y)
        for part in parts[1:]:
            other = part.distance(x, y)
            near = np.maximum(k - np.abs(out - other), 0)
            out = f32(np.minimum(out, other) - near * near / (4 * k))
        return out

    boxes = [p.bounds for p in parts]
    box = (
        min(b[0] for b in boxes) - roundness,
        min(b[1] for b in boxes) - roundness,
        max(b[2] for b in boxes) + roundness,
        max(b[3] for b in boxes) + roundness,
    )
    return Shape(distance, box)


def below(curve: Curve) -> Shape:
    """Everything under a ridge line y = curve(x)."""
    line = curve(GRID_X)
    slope = (curve(GRID_X + 1) - curve(GRID_X - 1)) / 2
    lean = 1 / np.sqrt(1 + slope * slope)

    def distance(x: Array, y: Array) -> Array:
        columns = slice(int(x[0, 0]), int(x[0, 0]) + x.shape[1])
        return f32((line[:, columns] - y) * lean[:, columns])

    return Shape(distance, (0.0, float(line.min()), float(WIDTH), float(HEIGHT)))


def waves(y0: float, *terms: tuple[float, float, float]) -> Curve:
    """A rolling line: y0 plus sines of (height, length in pixels, phase in turns)."""

    def curve(x: Array) -> Array:
        out = np.full_like(x, y0)
        for height, length, phase in terms:
            out += np.float32(height) * np.sin(np.float32(2 * np.pi) * (x / length + phase))
        return out

    return curve


def smooth(low: float, high: float, t: Array) -> Array:
    """Smoothstep: 0 at `low`, 1 at `high` (which may be the smaller one), flat at both ends."""
    u = np.clip((t - np.float32(low)) / np.float32(high - low), 0, 1)
    return f32(u * u * (3 - 2 * u))
