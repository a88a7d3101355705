"""Draw the sketches that the examples start from.

    python sketches.py FOLDER

A sketch is a class map in the colors of `nuwa palette`. These are drawn with the shapes of the
storybook painters; only the classes of the canvas are used. `bus.png` is a picture sketch;
`boat-first.png` and `boat-last.png` are two key frames of a clip.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from nuwa_cli.sketches.maps import colorize
from nuwa_cli.storybook.landscapes.painting import Canvas, rgb
from nuwa_cli.storybook.landscapes.shapes import (
    Shape,
    block,
    convex,
    disc,
    oval,
    puffs,
    stroke,
)

SIZE = 256
INK = rgb("#000000")
FIRST, LAST = (70, 186, 60), (186, 194, 60)  # the boat in the two key frames


def draw(*strokes: tuple[Shape, str]) -> Image.Image:
    """A sketch of labelled shapes, the last on top, over a sky."""
    canvas = Canvas()
    canvas.fill(None, INK, "sky")
    for shape, label in strokes:
        canvas.fill(shape, INK, label)
    return Image.fromarray(colorize(canvas.classes[:SIZE, :SIZE]))


def cloud(x: float, y: float, size: float) -> tuple[Shape, str]:
    """A cloud with a flat foot, `size` from its middle to an end."""
    parts = [
        oval(x, y - 0.3 * size, 0.45 * size, 0.4 * size),
        block(x - size, y - 0.2 * size, x + size, y + 0.15 * size, 0.17 * size),
    ]
    return puffs(parts, 0.15 * size), "cloud"


def bus() -> Image.Image:
    """A bus in front of a row of houses."""
    houses = [
        (block(left, top, right, 190), "building")
        for left, top, right in ((0, 92, 48), (48, 70, 108), (108, 96, 170), (170, 62, 256))
    ]
    body = block(44, 88, 216, 206, 18)
    return draw(
        cloud(60, 34, 34),
        cloud(196, 26, 26),
        *houses,
        (block(0, 188, 256, 256), "road"),
        (body | disc(88, 206, 20) | disc(172, 206, 20), "land vehicle"),
    )


def boat(x: float, y: float, size: float) -> Image.Image:
    """A sailing boat on the sea; (x, y) is the middle of its water line, `size` half its length."""
    hull = convex(
        (x - size, y - 0.28 * size),
        (x + size, y - 0.28 * size),
        (x + 0.7 * size, y + 0.1 * size),
        (x - 0.75 * size, y + 0.1 * size),
    )
    mast = stroke([(x, y - 0.2 * size), (x, y - 1.9 * size)], 0.05 * size, 0.04 * size)
    tall = convex(
        (x - 0.06 * size, y - 1.8 * size),
        (x - 0.06 * size, y - 0.42 * size),
        (x - 0.8 * size, y - 0.42 * size),
    )
    small = convex(
        (x + 0.08 * size, y - 1.6 * size),
        (x + 0.08 * size, y - 0.42 * size),
        (x + 0.7 * size, y - 0.42 * size),
    )
    return draw(
        (disc(206, 46, 16), "sun"),
        cloud(58, 52, 36),
        cloud(150, 30, 24),
        (block(0, 118, 256, 256), "water"),
        (hull | mast | tall | small, "boat"),
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    bus().save(folder / "bus.png", optimize=True)
    boat(*FIRST).save(folder / "boat-first.png", optimize=True)
    boat(*LAST).save(folder / "boat-last.png", optimize=True)
