"""Open country: the green hill, the meadow, the farm and the road."""

from __future__ import annotations

import numpy as np

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, mix, rgb, slanted, under, vertical
from nuwa_cli.storybook.landscapes.place import Painter, Setting
from nuwa_cli.storybook.landscapes.props import bush, crown_tree, flower, hill
from nuwa_cli.storybook.landscapes.shapes import (
    HEIGHT,
    WIDTH,
    Array,
    Shape,
    below,
    block,
    convex,
    f32,
    oval,
    stroke,
    waves,
)
from nuwa_cli.storybook.landscapes.skyscape import clouds, luminary, sky, stars


def grass_hill(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """One green rolling hill under a wide sky with a few clouds."""
    side, phase = dice.sign(), dice.uniform(-0.06, 0.06)
    sky(canvas, light, 168)
    if light.is_night:
        stars(canvas, dice, 26, 110)
    luminary(canvas, light, 192 + side * dice.uniform(95, 130), 40, 15, 168)
    clouds(canvas, light, dice, 120)
    far = waves(146, (7, 230, dice.uniform(0, 1)))
    hill(canvas, far, light("#8cc79a", 0.35), light("#6fb07f", 0.25), 40, "grass")
    middle = waves(160, (13, 430, 0.30 - side * 0.25 + phase))
    hill(canvas, middle, light("#93cf5e", 0.08), light("#58a548", 0.05), 60, "grass")
    near = waves(170, (22, 640, 0.30 + side * 0.25 + phase), (3, 260, phase))
    hill(canvas, near, light("#9fdc4c"), light("#4da53c"), 74, "grass")
    fold = waves(214, (15, 560, 0.30 - side * 0.22 + phase))
    meadow = under(fold, light("#a8e255"), light("#3c9036"), 60)
    canvas.fill(below(fold), meadow, "grass", opacity=0.85, soft=9)
    return Setting(horizon=0.64, ground=(0.78, 0.93))


def meadow(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A flat meadow full of large flowers, trees at its far edge."""
    sky(canvas, light, 128)
    luminary(canvas, light, dice.uniform(60, 324), 34, 13, 128)
    clouds(canvas, light, dice, 80, 3)
    hill(
        canvas,
        waves(116, (6, 260, dice.uniform(0, 1))),
        light("#86bd95", 0.3),
        light("#7ab389", 0.3),
        30,
        "grass",
    )
    shift = dice.uniform(0, 64)
    for i in range(7):
        size = dice.uniform(20, 30)
        bush(canvas, light, i * 64 - 32 + shift, 132, size, "#5fa35a", 0.15)
    field = waves(130, (2, 300, dice.uniform(0, 1)))
    hill(canvas, field, light("#c5e36a"), light("#4e9b3d"), 126, "grass")
    colors = ("#f4505a", "#ffd83d", "#ffffff", "#c77df0", "#ff8fc0")
    turn = dice.index(5)
    for row, (y, size, step) in enumerate(
        ((148, 4.5, 30), (164, 6.5, 40), (186, 9.0, 54), (214, 12.5, 74), (246, 17.0, 100))
    ):
        start = dice.uniform(0, step)
        for i in range(int(WIDTH / step) + 2):
            x = i * step - step + start
            wobble = dice.uniform(-0.3, 0.3) * size
            canvas.fill(
                oval(x + 1, y + wobble + size * 0.6, size, size * 0.4),
                light("#3c8434"),
                opacity=0.45,
                soft=2,
            )
            flower(canvas, light, x, y + wobble, size, colors[(i * 2 + row * 3 + turn) % 5])
    return Setting(horizon=0.51, ground=(0.72, 0.92))


def farm(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A red barn with a silo, a white fence, and crop rows that run towards it."""
    side, phase = dice.sign(), dice.uniform(0, 1)
    sky(canvas, light, 150)
    if light.is_night:
        stars(canvas, dice, 22, 80)
    luminary(canvas, light, 192 - side * dice.uniform(40, 130), 34, 14, 138)
    clouds(canvas, light, dice, 90, 3)
    hill(
        canvas,
        waves(132, (8, 300, phase)),
        light("#8cc79a", 0.3),
        light("#7ab389", 0.2),
        40,
        "grass",
    )
    hill(canvas, waves(146, (5, 420, phase + 0.4)), light("#a9d65f"), light("#6fb04a"), 50, "grass")
    crown_tree(canvas, light, dice, 192 - side * 150, 164, 66, distance=0.08)
    crown_tree(canvas, light, dice, 192 - side * 92, 162, 54, "#5fa845", 0.12)
    crown_tree(canvas, light, dice, 192 + side * 176, 164, 60, distance=0.08)
    _barn(canvas, light, 192 + side * 86, 172, side)
    _fence(canvas, light, 178, dice.uniform(0, 34))
    focus = 192 + dice.uniform(-30, 30)
    canvas.fill(block(0, 176, WIDTH, HEIGHT), light("#8a5a3a"), "soil")
    for k in range(-7, 8):
        a, b = focus + k * 40, focus + k * 84
        row = convex((a - 11, 176), (a + 11, 176), (b + 23, HEIGHT), (b - 23, HEIGHT))
        crop = ("#8fcf4f", "#4f9f3c") if k % 2 else ("#f2cf57", "#d9a53a")
        canvas.fill(row, vertical(light(crop[0]), light(crop[1]), 176, HEIGHT), "plant", soft=1)
    return Setting(0.57, (0.80, 0.94))


def _barn(canvas: Canvas, light: Light, x: float, foot: float, side: float) -> None:
    """A red barn with a gambrel roof, seen from the front, and its silo."""
    red, white, roof = light("#c8423a"), light("#fff4e6"), light("#6f5a5e")
    sx = x + side * 62
    metal = slanted(light("#e8edf2"), light("#9aa8b8"), (sx - 15, 0), (sx + 17, 0))
    canvas.fill(block(sx - 16, foot - 98, sx + 16, foot), metal, "building")
    dome = oval(sx, foot - 98, 16, 17) & block(sx - 17, foot - 120, sx + 17, foot - 97)
    canvas.fill(dome, light("#c8423a"), "building")
    walls = convex(
        (x - 46, foot),
        (x - 46, foot - 46),
        (x - 32, foot - 76),
        (x, foot - 92),
        (x + 32, foot - 76),
        (x + 46, foot - 46),
        (x + 46, foot),
    )
    canvas.fill(walls, vertical(red, mix(red, light("#4a1030"), 0.3), foot - 90, foot), "building")
    for a, b in (
        ((-50, -42), (-34, -78)),
        ((-34, -78), (0, -95)),
        ((0, -95), (34, -78)),
        ((34, -78), (50, -42)),
    ):
        edge = stroke([(x + a[0], foot + a[1]), (x + b[0], foot + b[1])], 4, 4)
        canvas.fill(edge, roof, "building")
    canvas.fill(block(x - 20, foot - 44, x + 20, foot), white, "building")
    canvas.fill(
        block(x - 16, foot - 40, x + 16, foot), mix(red, light("#4a1030"), 0.45), "building"
    )
    cross = stroke([(x - 15, foot - 39), (x + 15, foot)], 2, 2) | stroke(
        [(x + 15, foot - 39), (x - 15, foot)], 2, 2
    )
    canvas.fill(cross, white, "building")
    window = rgb("#ffdf8c") if light.is_night else light("#5a3038")
    canvas.fill(block(x - 11, foot - 74, x + 11, foot - 54, 2), white, "building")
    canvas.fill(block(x - 8, foot - 71, x + 8, foot - 57, 1), window, "building")


def _fence(canvas: Canvas, light: Light, foot: float, shift: float) -> None:
    """A white fence of posts and two rails along the whole picture."""
    white, shade = light("#ffffff"), light("#dbe2ea")
    for rise in (7, 16):
        canvas.fill(block(0, foot - rise - 4, WIDTH, foot - rise), shade, "wall")
    for i in range(13):
        x = i * 34 - 34 + shift
        canvas.fill(block(x - 3.5, foot - 25, x + 3.5, foot + 2, 2), white, "wall")


def country_road(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A road that winds away between fields and trees."""
    side, phase = dice.sign(), dice.uniform(0, 1)
    sky(canvas, light, 134)
    if light.is_night:
        stars(canvas, dice, 24, 80)
    luminary(canvas, light, 192 + side * dice.uniform(50, 130), 34, 14, 124)
    clouds(canvas, light, dice, 86, 3)
    hill(
        canvas,
        waves(120, (9, 270, phase)),
        light("#8fb8c0", 0.35),
        light("#7fae9a", 0.3),
        30,
        "mountain",
    )
    hill(
        canvas,
        waves(130, (6, 340, phase + 0.4)),
        light("#8cc46a", 0.12),
        light("#6aad58", 0.08),
        40,
        "grass",
    )
    top, sway = 136.0, dice.uniform(30, 44) * side

    def center(y: Array) -> Array:
        near = np.clip((y - top) / (HEIGHT - top), 0, 1)
        return f32(192 + sway * np.sin(near**0.6 * 5.2) * (1 - near) ** 0.8)

    def strip(left: float, right: float) -> Shape:
        """What lies between two lines along the road, in half widths from its middle."""

        def distance(x: Array, y: Array) -> Array:
            half = np.float32(3) + np.maximum(y - top, 0) * np.float32(0.86)
            place = (x - center(y)) / half
            return f32(np.maximum(left - place, place - right) * half * 0.8)

        return Shape(distance, (0, top, WIDTH, HEIGHT))

    canvas.fill(
        block(0, top, WIDTH, HEIGHT),
        vertical(light("#b5d95f"), light("#5ea544"), top, HEIGHT),
        "grass",
    )
    wheat = vertical(light("#f6dd7a"), light("#e0ae3f"), top, HEIGHT)
    canvas.fill(strip(-99, -1.9) if side > 0 else strip(1.9, 99), wheat, "plant", soft=1)
    canvas.fill(strip(-1.22, 1.22), light("#cdb98c"), "soil")
    canvas.fill(strip(-1, 1), vertical(light("#8f929a"), light("#5d616b"), top, HEIGHT), "road")
    for edge in (-0.88, 0.88):
        canvas.fill(strip(edge - 0.04, edge + 0.04), light("#fbf7e6"), opacity=0.9)
    for y0, y1 in ((146, 151), (157, 164), (172, 182), (193, 207), (221, 239)):
        canvas.fill(strip(-0.05, 0.05) & block(0, y0, WIDTH, y1), light("#fbf3d0"))
    for dx, foot, size in (
        (-64, 142, 30),
        (58, 143, 32),
        (-96, 152, 52),
        (98, 154, 56),
        (-150, 172, 96),
        (156, 174, 100),
    ):
        x = 192 + dx * 1.02 + dice.uniform(-7, 7)
        shadow = oval(x + size * 0.18, foot, size * 0.34, size * 0.06)
        canvas.fill(shadow, light("#4f8a3c"), opacity=0.5, soft=2)
        crown_tree(canvas, light, dice, x, foot, size)
    return Setting(0.53, (0.80, 0.94))


PLACES: dict[str, Painter] = {
    "grass_hill": grass_hill,
    "meadow": meadow,
    "farm": farm,
    "country_road": country_road,
}
