"""Paint the desktop picture of the walk-through: a green hill under a blue sky.

    python draw.py desktop.png

The picture is our own, 16:10, in the manner of the storybook landscapes. It stands in the upper
256 x 160 pixels of a 256 x 256 canvas whose rest is transparent: that is the part which
`nuwa inpaint --alpha` completes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from nuwa_cli.storybook.landscapes.light import LIGHTS, Light
from nuwa_cli.storybook.landscapes.painting import Canvas, mix, rgb, under
from nuwa_cli.storybook.landscapes.props import hill
from nuwa_cli.storybook.landscapes.shapes import below, oval, puffs, waves
from nuwa_cli.storybook.landscapes.skyscape import sky

SIZE = 256  # of the finished canvas
SHOWN = 160  # rows of it that are painted
HORIZON = 170  # on the painter's canvas of 384 x 256

# Cirrus: (x, y, length, height, opacity) of long soft strokes that lean to the right.
STREAKS = (
    (60, 46, 74, 9, 0.75),
    (104, 38, 46, 6, 0.6),
    (30, 62, 40, 5, 0.5),
    (196, 24, 60, 6, 0.55),
    (232, 18, 38, 4, 0.5),
    (318, 52, 66, 9, 0.7),
    (352, 42, 44, 6, 0.6),
    (270, 84, 52, 5, 0.45),
    (128, 92, 46, 5, 0.4),
)


def paint() -> Canvas:
    """The whole painting on a canvas of 384 x 256."""
    canvas, light = Canvas(), LIGHTS["day"]
    sky(canvas, light, HORIZON)
    for streak in STREAKS:
        _streak(canvas, *streak)
    _hills(canvas, light)
    return canvas


def _streak(
    canvas: Canvas, x: float, y: float, length: float, height: float, opacity: float
) -> None:
    parts = [
        oval(x + step * length * 0.45, y - step * height * 0.5, length * 0.5, height * size)
        for step, size in ((-1.0, 0.55), (0.0, 1.0), (1.0, 0.6))
    ]
    canvas.fill(puffs(parts, height), rgb("#ffffff"), "cloud", opacity=opacity, soft=height)


def _hills(canvas: Canvas, light: Light) -> None:
    """A far ridge, the large hill that rises to the right, and the hollow in front of it."""
    far = waves(161, (5, 300, 0.1), (3, 140, 0.4))
    hill(canvas, far, light("#8cc79a", 0.3), light("#6fb07f", 0.2), 30, "grass")
    large = waves(164, (25, 700, 0.38), (2, 250, 0.3))
    hill(canvas, large, light("#9edb4e"), light("#4fa93d"), 64, "grass")
    hollow = waves(202, (17, 600, 0.02))
    meadow = under(hollow, light("#b4e65c"), mix(light("#4da53c"), rgb("#12502a"), 0.15), 60)
    canvas.fill(below(hollow), meadow, "grass", opacity=0.85, soft=12)
    shade = oval(70, 196, 110, 8)
    canvas.fill(shade, light("#3f9838"), opacity=0.4, soft=9)


def framed(canvas: Canvas) -> Image.Image:
    """The painting at 16:10 in the upper part of the transparent square."""
    pixels = np.clip(canvas.pixels, 0, 1).transpose(1, 2, 0) * 255 + 0.5
    painting = Image.fromarray(pixels.astype(np.uint8)).crop((0, 0, 384, 240))
    square = Image.new("RGBA", (SIZE, SIZE))
    square.paste(painting.resize((SIZE, SHOWN), Image.Resampling.LANCZOS))
    return square


if __name__ == "__main__":
    framed(paint()).save(Path(sys.argv[1]), optimize=True)
