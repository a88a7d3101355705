"""The sea: the beach, the open sea, the sea at sunset, and under water."""

from __future__ import annotations

import math

import numpy as np

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, mix, rgb, slanted, stops, vertical
from nuwa_cli.storybook.landscapes.place import Painter, Setting
from nuwa_cli.storybook.landscapes.props import hill, palm
from nuwa_cli.storybook.landscapes.shapes import (
    HEIGHT,
    WIDTH,
    Array,
    below,
    block,
    convex,
    disc,
    oval,
    puffs,
    stroke,
    waves,
)
from nuwa_cli.storybook.landscapes.skyscape import clouds, glow, luminary, sky, stars
from nuwa_cli.storybook.landscapes.surface import glitter, swell, water_front


def beach(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Sand in front, a line of foam, turquoise sea, and a leaning palm."""
    side = dice.sign()
    sky(canvas, light, 104)
    if light.is_night:
        stars(canvas, dice, 22, 90)
    luminary(canvas, light, 192 - side * dice.uniform(30, 110), 38, 15, 104)
    clouds(canvas, light, dice, 84, 3)
    sea_field = stops(
        (104, light.water("#1f7fc4")), (130, light.water("#2fb4d6")), (168, light.water("#8fe6dc"))
    )
    canvas.fill(block(0, 104, WIDTH, HEIGHT), sea_field, "water")
    swell(canvas, dice, ((116, 1.6), (130, 2.4)), light.water("#8fe4ee"), 0.5)
    phase = dice.uniform(0, 1)
    shore = ((7, 330, phase), (2.5, 120, 2 * phase))
    canvas.fill(below(waves(149, *shore)), light("#ffffff"), "water", opacity=0.9, soft=1)
    canvas.fill(below(waves(158, *shore)), light("#cfae7c"), "sand")
    hill(canvas, waves(168, *shore), light("#f0d9a4"), light("#e3bd78"), 80, "sand")
    dune = waves(236, (10, 520, phase + 0.4))
    hill(canvas, dune, light("#f7e3b4"), light("#e6c384"), 40, "sand")
    palm(canvas, light, 192 + side * 92, 196, 130, side * 0.10)
    palm(canvas, light, 192 - side * 160, 184, 104, -side * 0.12)
    return Setting(horizon=0.406, ground=(0.74, 0.90))


def sea(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Open sea with long waves."""
    sky(canvas, light, 108)
    if light.is_night:
        stars(canvas, dice, 22, 90)
    sun = dice.uniform(60, 324)
    luminary(canvas, light, sun, 40, 15, 108)
    clouds(canvas, light, dice, 90)
    w = light.water
    canvas.fill(
        block(0, 108, WIDTH, HEIGHT), stops((108, w("#7cc9ea")), (150, w("#2f8fd0"))), "water"
    )
    if light.mirror:
        glitter(canvas, light.horizon, sun, 108, 176, 30, 0.7)
    swell(canvas, dice, ((117, 1.6), (128, 2.6), (140, 3.4)), w("#b6e4f5"), 0.45)
    phase = dice.uniform(0, 1)
    rows = (
        (152, 3.0, 130, "#7cc6ea", "#2f8bcd"),
        (177, 4.5, 170, "#68bae6", "#2079bf"),
        (205, 6.0, 215, "#54abde", "#1767ae"),
        (235, 7.0, 270, "#4299d2", "#11559b"),
    )
    front = waves(0)
    for i, (y, height, length, crest, foot) in enumerate(rows):
        ridge = waves(
            y, (height, length, phase + 0.37 * i), (height * 0.4, length * 0.45, phase * 2)
        )
        hill(canvas, ridge, w(crest), w(foot), 12 + 4 * i, "water")
        for _ in range(2):
            x = dice.uniform(0, WIDTH)
            foam = oval(
                x, float(ridge(np.array([[x]], np.float32))[0, 0]) + 3, 20 + 8 * i, 1.2 + 0.5 * i
            )
            canvas.fill(foam & below(ridge), w("#e8f8ff"), opacity=0.7, soft=0.8)
        if i == 1:
            front = ridge
    return Setting(0.42, (0.69, 0.73), "water", water_front(front))


def sunset_sea(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """The sun goes down in the sea, whatever the hour; by night it is nearly gone."""
    late = light.is_night
    x, horizon, phase = 192 + dice.sign() * dice.uniform(20, 70), 130.0, dice.uniform(0, 1)
    upper = ("#2a1f5e", "#8a3a86", "#f0705a") if late else ("#4b3a9a", "#e4578a", "#ffb04a")
    lower = ("#e86a5e", "#6a3480", "#221a54") if late else ("#ffc46a", "#c4508e", "#3f2f86")
    colors = [rgb(c) for c in upper]
    canvas.fill(None, stops((0, colors[0]), (66, colors[1]), (horizon, colors[2])), "sky")
    glow(canvas, rgb("#ffdd86"), x, horizon, 230, 0.75)
    canvas.fill(disc(x, horizon - (2 if late else 18), 40), rgb("#fff2b4"), "sun")
    bar_lit, bar_shade = (
        (rgb("#b0508a"), rgb("#6a3480")) if late else (rgb("#ffb98a"), rgb("#d0608e"))
    )
    for mean, y, half in (
        (60.0, 40, 80),
        (170, 66, 60),
        (300, 46, 90),
        (250, 92, 54),
        (60, 96, 56),
    ):
        cx = mean + dice.uniform(-30, 30)
        streak = puffs([oval(cx, y, half, 5), oval(cx + half * 0.3, y - 5, half * 0.5, 5)], 4)
        canvas.fill(
            streak, vertical(bar_lit, bar_shade, y - 9, y + 5), "cloud", opacity=0.85, soft=1.5
        )
    sea = [rgb(c) for c in lower]
    canvas.fill(
        block(0, horizon, WIDTH, HEIGHT),
        stops((horizon, sea[0]), (178, sea[1]), (HEIGHT, sea[2])),
        "water",
    )
    glitter(canvas, rgb("#fff0b0"), x, horizon, HEIGHT + 6, 62, 0.85)
    swell(
        canvas,
        dice,
        ((150, 2.0), (176, 3.2), (206, 4.2), (236, 5.0)),
        mix(sea[0], sea[1], 0.5),
        0.35,
    )
    front = waves(180, (2.5, 150, phase))
    canvas.fill(below(front) - below(lambda u: front(u) + 3), sea[0], opacity=0.4, soft=1)
    return Setting(0.51, (0.69, 0.73), "water", water_front(front))


def underwater(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Below the surface: rays of light, a sandy floor, corals and weed."""
    dim = light.is_night
    top, mid, low = (
        (rgb("#2f74a8"), rgb("#124a82"), rgb("#0a2a5a"))
        if dim
        else (rgb("#8ff0ea"), rgb("#25a3d2"), rgb("#0d5aa6"))
    )
    canvas.fill(None, stops((0, top), (100, mid), (236, low)), "water")
    start = dice.uniform(0, 60)
    for i in range(5):
        x = start + i * 82 - 20
        ray = convex((x, -20), (x + 26, -20), (x - 30, 230), (x - 96, 230))
        canvas.fill(ray, top, opacity=0.16, soft=6)
    phase = dice.uniform(0, 1)
    far = waves(186, (14, 260, phase), (5, 110, phase * 3))
    hill(canvas, far, mix(mid, low, 0.40), mix(mid, low, 0.80), 50, "rock")
    hill(
        canvas,
        waves(204, (9, 200, phase + 0.5)),
        mix(mid, low, 0.72),
        mix(mid, low, 1.0),
        40,
        "rock",
    )
    sand, shade = mix(rgb("#f4e2ac"), mid, 0.22), mix(rgb("#cdb684"), low, 0.42)
    hill(canvas, waves(220, (7, 330, phase + 0.4)), sand, shade, 44, "sand")
    veil, turn = 0.30 if dim else 0.06, dice.index(4)
    for i, x in enumerate((16, 78, 128, 250, 304, 366)):
        x, foot = x + dice.uniform(-10, 10), 232 + (i % 2) * 10
        if i % 3 == 1:
            _weed(canvas, x, foot, dice.uniform(70, 92), mix(rgb("#2fa56a"), low, veil))
            _weed(canvas, x + 14, foot + 2, dice.uniform(44, 60), mix(rgb("#62cc7c"), low, veil))
        else:
            color = ("#ff6f7d", "#ffab45", "#d97be8", "#ff8fb8")[(i + turn) % 4]
            reef = _coral if i % 3 else _sponge
            reef(canvas, x, foot, dice.uniform(42, 56), mix(rgb(color), low, veil))
    for x in (70, 205, 330):
        x, y = x + dice.uniform(-20, 20), dice.uniform(40, 120)
        for dy, r in ((0, 5.0), (-18, 3.5), (-32, 2.5)):
            canvas.fill(disc(x + dy * 0.2, y + dy, r), rgb("#d9fbff"), opacity=0.5)
    return Setting(0.0, (0.40, 0.62), "underwater")


def _coral(canvas: Canvas, x: float, foot: float, size: float, color: Array) -> None:
    """A fan of round branches."""
    arms = []
    for tilt, reach in ((-0.95, 0.72), (-0.48, 0.95), (0.0, 1.0), (0.48, 0.92), (0.95, 0.70)):
        dx, dy = math.sin(tilt) * reach * size, math.cos(tilt) * reach * size
        arms.append(stroke([(x, foot), (x + dx, foot - dy)], size * 0.07, size * 0.10))
        side = 0.22 if tilt > 0 else -0.22
        fork = (x + dx * 0.55 + side * size, foot - dy * 0.72 - 0.12 * size)
        arms.append(stroke([(x + dx * 0.5, foot - dy * 0.5), fork], size * 0.06, size * 0.075))
    pale, dark = mix(color, rgb("#ffffff"), 0.3), mix(color, rgb("#401050"), 0.25)
    canvas.fill(puffs(arms, 4), vertical(pale, dark, foot - size, foot), "plant")


def _sponge(canvas: Canvas, x: float, foot: float, size: float, color: Array) -> None:
    """Three tubes with open mouths."""
    pale, dark = mix(color, rgb("#ffffff"), 0.3), mix(color, rgb("#401050"), 0.3)
    for dx, height, half in ((-0.36, 0.62, 0.15), (0.36, 0.74, 0.16), (0.0, 1.0, 0.18)):
        left, right, top = x + (dx - half) * size, x + (dx + half) * size, foot - height * size
        tube = block(left, top, right, foot + 4, half * size * 0.7)
        canvas.fill(tube, slanted(pale, dark, (left, top), (right, foot)), "plant")
        mouth = oval(x + dx * size, top + size * 0.09, half * size * 0.62, size * 0.055)
        canvas.fill(mouth, dark, "plant")


def _weed(canvas: Canvas, x: float, foot: float, size: float, color: Array) -> None:
    """A swaying ribbon."""
    points = [(x + 6 * math.sin(i * 1.25), foot - size * i / 5) for i in range(6)]
    canvas.fill(stroke(points, 5.5, 2.0), color, "plant")


PLACES: dict[str, Painter] = {
    "beach": beach,
    "sea": sea,
    "sunset_sea": sunset_sea,
    "underwater": underwater,
}
