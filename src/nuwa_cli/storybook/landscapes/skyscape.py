"""The sky over many places: gradient, sun and moon, stars, clouds."""

from __future__ import annotations

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, rgb, stops, vertical
from nuwa_cli.storybook.landscapes.shapes import WIDTH, Array, block, disc, oval, puffs


def sky(canvas: Canvas, light: Light, horizon: float) -> None:
    """The whole canvas as sky, palest at the horizon row."""
    field = stops((0, light.zenith), (horizon * 0.55, light.middle), (horizon, light.horizon))
    canvas.fill(None, field, "sky")


def glow(canvas: Canvas, color: Array, x: float, y: float, radius: float, opacity: float) -> None:
    """A soft round light that changes no class."""
    canvas.fill(disc(x, y, radius / 2), color, opacity=opacity, soft=radius / 2)


def luminary(
    canvas: Canvas, light: Light, x: float, y: float, radius: float, horizon: float
) -> None:
    """The sun by day, the moon by night; at sunset the sun stands low over the horizon row."""
    if light.is_night:
        glow(canvas, rgb("#8fa6e6"), x, y, radius * 4.5, 0.35)
        canvas.fill(disc(x, y, radius), rgb("#f6f1d3"), "moon")
        for dx, dy, r in ((-0.35, -0.2, 0.26), (0.3, 0.28, 0.2), (0.28, -0.42, 0.13)):
            spot = disc(x + dx * radius, y + dy * radius, r * radius)
            canvas.fill(spot, rgb("#dcd6b4"), opacity=0.8, soft=0.6)
    elif light.time == "sunset":
        y, radius = y + (horizon - y) * 0.6, radius * 1.25
        glow(canvas, rgb("#ffd27a"), x, y, radius * 6, 0.6)
        canvas.fill(disc(x, y, radius), rgb("#fff0b0"), "sun")
    else:
        glow(canvas, rgb("#fff8dc"), x, y, radius * 4.5, 0.6)
        canvas.fill(disc(x, y, radius), rgb("#ffe680"), "sun")


def stars(canvas: Canvas, dice: Dice, count: int, bottom: float, size: float = 1.5) -> None:
    """Stars spread evenly over the canvas above row `bottom`: small discs with a little halo.

    They roll their own dice: a sky with stars and one without have their clouds in the same places.
    """
    dice = dice.fork("stars")
    columns = max(int((count * WIDTH / bottom) ** 0.5), 1)
    rows = max(count // columns, 1)
    for i in range(columns * rows):
        x = (i % columns + dice.uniform(0.05, 0.95)) * WIDTH / columns
        y = (i // columns + dice.uniform(0.05, 0.95)) * bottom / rows
        radius = size * dice.uniform(0.55, 1.35)
        canvas.fill(disc(x, y, radius * 1.5), rgb("#cfdcff"), opacity=0.3, soft=radius * 1.5)
        canvas.fill(disc(x, y, radius), rgb("#fffbe8"), "star", soft=0.2)


def cloud(canvas: Canvas, light: Light, x: float, y: float, size: float, lean: float = 0.0) -> None:
    """A fair-weather cloud: round puffs over a flat base, `size` pixels from middle to end."""
    parts = [
        oval(x + (0.7 * lean - 0.02) * size, y - 0.28 * size, 0.40 * size, 0.38 * size),
        oval(x + (lean - 0.46) * size, y - 0.12 * size, 0.32 * size, 0.25 * size),
        oval(x + (lean + 0.46) * size, y - 0.14 * size, 0.36 * size, 0.29 * size),
        block(x - 0.92 * size, y - 0.18 * size, x + 0.96 * size, y + 0.12 * size, 0.149 * size),
    ]
    field = vertical(light.cloud_lit, light.cloud_shade, y - 0.5 * size, y + 0.14 * size)
    canvas.fill(puffs(parts, 0.12 * size), field, "cloud", soft=0.8)


def clouds(canvas: Canvas, light: Light, dice: Dice, bottom: float, count: int = 4) -> None:
    """Clouds spread over the width, smaller towards row `bottom`."""
    step = WIDTH / count
    shift = dice.uniform(0, step)
    for i in range(count):
        height, lean = dice.uniform(0.2, 0.8), dice.uniform(-0.2, 0.2)
        x = (i * step + shift + dice.uniform(-0.2, 0.2) * step) % WIDTH
        cloud(canvas, light, x, bottom * height, 52 - 26 * height, lean)
