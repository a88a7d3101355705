"""Things of the land that stand in many places: hills, mountains, trees, flowers.

Each function paints one thing with a handful of numbers (where, how large); local colors pass
through the `Light` of the painting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, mix, radial, under, vertical
from nuwa_cli.storybook.landscapes.shapes import (
    Array,
    Curve,
    Shape,
    below,
    block,
    convex,
    disc,
    f32,
    oval,
    puffs,
    stroke,
)


def hill(canvas: Canvas, curve: Curve, crest: Array, foot: Array, depth: float, label: str) -> None:
    """Ground below a ridge line, lit along the ridge."""
    canvas.fill(below(curve), under(curve, crest, foot, depth), label)


def range_of_peaks(
    canvas: Canvas,
    light: Light,
    tops: Sequence[tuple[float, float]],
    base: float,
    distance: float,
    snow: float = 0.42,
) -> None:
    """Mountains with a lit left face, a shaded right face and a snow cap over the upper part."""
    lit, shade = light("#8d93b8", distance), light("#626a9a", distance)
    white, blue = light("#ffffff", distance * 0.6), light("#c3cfee", distance * 0.6)
    for x, top in sorted(tops, key=lambda p: -p[1]):
        rise = base - top
        left, right, keel = x - rise * 1.05, x + rise * 1.05, x + rise * 0.16
        body = convex((left, base), (x, top), (right, base))
        canvas.fill(body, vertical(shade, mix(shade, light.haze, 0.55), top, base), "mountain")
        face = convex((left, base), (x, top), (keel, base))
        canvas.fill(face, vertical(lit, mix(lit, light.haze, 0.55), top, base), "mountain")
        if snow <= 0:
            continue
        line, half = top + rise * snow, rise * snow * 1.05
        cap = _teeth(x, line, half * 0.5) & block(x - half, top, x + half, line)
        canvas.fill(body & cap, blue, "snow")
        canvas.fill(face & cap, white, "snow")


def _teeth(x: float, y: float, size: float) -> Shape:
    """Everything above a zigzag line at row y, with teeth of `size` pixels."""

    def distance(u: Array, v: Array) -> Array:
        phase = np.abs((u - x) / (2 * size) % 1 - 0.5) * 2
        return f32((v - y + size * 0.9 * phase) * 0.72)

    return Shape(distance)


def crown_tree(
    canvas: Canvas,
    light: Light,
    dice: Dice,
    x: float,
    foot: float,
    size: float,
    leaf: str = "#4f9d3a",
    distance: float = 0.0,
) -> None:
    """A round leafy tree, `size` pixels high, lit from the upper left."""
    trunk = stroke([(x, foot), (x, foot - size * 0.5)], size * 0.055, size * 0.035)
    canvas.fill(trunk, light("#7a5236", distance), "tree")
    r, top = size * 0.3, foot - size * 0.66
    lean = dice.uniform(-0.12, 0.12) * r
    parts = [
        disc(x - 0.55 * r + lean, top + 0.25 * r, 0.72 * r),
        disc(x + 0.58 * r + lean, top + 0.28 * r, 0.70 * r),
        disc(x + lean, top - 0.3 * r, 0.85 * r),
    ]
    base = light(leaf, distance)
    crown = puffs(parts, 0.4 * r)
    dark = mix(base, light("#12402f", distance), 0.42)
    canvas.fill(crown, vertical(base, dark, top - 0.6 * r, top + 1.2 * r), "tree")
    bright = mix(base, light("#e9f58a", distance), 0.35)
    spot = disc(x - 0.35 * r + lean, top - 0.45 * r, 0.55 * r)
    canvas.fill(spot & crown, bright, opacity=0.6, soft=0.28 * r)


def fir(
    canvas: Canvas,
    light: Light,
    x: float,
    foot: float,
    size: float,
    leaf: str = "#2f6b52",
    distance: float = 0.0,
    snowy: bool = False,
) -> None:
    """A fir of three tiers, `size` pixels high; the right half lies in shade."""
    trunk = block(x - size * 0.04, foot - size * 0.2, x + size * 0.04, foot)
    canvas.fill(trunk, light("#6b4a38", distance), "tree")
    base = light(leaf, distance)
    dark = mix(base, light("#0d2b33", distance), 0.4)
    for i in range(3):
        low, high = foot - size * (0.1 + 0.24 * i), foot - size * (0.54 + 0.23 * i)
        half = size * (0.27 - 0.06 * i)
        tier = convex((x - half, low), (x, high), (x + half, low))
        canvas.fill(tier, vertical(base, dark, high, low), "tree")
        if snowy:
            cut = high + (low - high) * 0.5
            cap = convex((x - half * 0.5, cut), (x, high), (x + half * 0.5, cut))
            canvas.fill(cap, light("#f4f9ff", distance * 0.7), "snow")


def palm(canvas: Canvas, light: Light, x: float, foot: float, size: float, lean: float) -> None:
    """A palm that leans by `lean` times its height."""
    top_x, top_y = x + lean * size, foot - size * 0.8
    bend = [(x, foot), (x + lean * size * 0.3, foot - size * 0.4), (top_x, top_y)]
    canvas.fill(stroke(bend, size * 0.05, size * 0.03), light("#a97b4f"), "tree")
    r = size * 0.42
    for i, (dx, dy) in enumerate(
        ((-1.0, 0.12), (1.0, 0.12), (-0.72, 0.58), (0.72, 0.58), (-0.62, -0.5), (0.62, -0.5))
    ):
        mid = (top_x + dx * r * 0.5, top_y + dy * r * 0.3 - r * 0.26)
        tip = (top_x + dx * r, top_y + dy * r)
        leaf = stroke([(top_x, top_y), mid, tip], size * 0.055, size * 0.008)
        canvas.fill(leaf, light("#3f9a4c" if i % 2 else "#2f8544"), "tree")
    for dx, dy in ((-0.03, 0.03), (0.04, 0.035)):
        canvas.fill(
            disc(top_x + dx * size, top_y + dy * size, size * 0.035), light("#7a4e2c"), "tree"
        )


def trunk(x: float, foot: float, half: float) -> Shape:
    """A tall trunk that leaves the picture at the top and flares at its root."""

    def distance(u: Array, v: Array) -> Array:
        rise = np.maximum(foot - v, 0) / np.float32(half)
        width = half * (0.82 + 0.9 * np.exp(-rise * np.float32(0.55)))
        return f32(np.maximum(np.abs(u - x) - width, v - foot))

    return Shape(distance, (x - 1.8 * half, 0.0, x + 1.8 * half, foot))


def bush(
    canvas: Canvas, light: Light, x: float, foot: float, size: float, leaf: str, distance: float = 0
) -> None:
    """A low round bush, `size` pixels from its middle to an end."""
    parts = [
        disc(x - 0.52 * size, foot - 0.26 * size, 0.42 * size),
        disc(x + 0.5 * size, foot - 0.24 * size, 0.40 * size),
        disc(x, foot - 0.48 * size, 0.5 * size),
    ]
    base = light(leaf, distance)
    dark = mix(base, light("#12402f", distance), 0.45)
    shape = puffs(parts, 0.25 * size) & block(x - size, foot - 2 * size, x + size, foot)
    canvas.fill(shape, vertical(base, dark, foot - 0.95 * size, foot), "plant")


def flower(canvas: Canvas, light: Light, x: float, y: float, size: float, petal: str) -> None:
    """A flower seen from above at a slant: five petals and a heart, radius `size` pixels."""
    angles = [0.3 + k * math.tau / 5 for k in range(5)]
    parts = [
        oval(x + 0.55 * size * math.cos(a), y + 0.42 * size * math.sin(a), 0.48 * size, 0.38 * size)
        for a in angles
    ]
    color = light(petal)
    shape = puffs(parts, 0.1 * size)
    canvas.fill(shape, radial(mix(color, light("#ffffff"), 0.25), color, x, y, size), "plant")
    canvas.fill(oval(x, y, 0.27 * size, 0.22 * size), light("#ffd23f"), "plant")
