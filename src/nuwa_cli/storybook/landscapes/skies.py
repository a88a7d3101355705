"""Above and beyond: the night sky, space, the moon, and the clouds from above."""

from __future__ import annotations

from nuwa_cli.storybook.landscapes.light import LIGHTS, Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, mix, rgb, slanted, stops, vertical
from nuwa_cli.storybook.landscapes.place import Painter, Setting
from nuwa_cli.storybook.landscapes.props import fir, hill
from nuwa_cli.storybook.landscapes.shapes import (
    HEIGHT,
    WIDTH,
    Array,
    Shape,
    block,
    disc,
    oval,
    puffs,
    stroke,
    waves,
)
from nuwa_cli.storybook.landscapes.skyscape import glow, luminary, sky, stars


def night_sky(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Many stars and the milky way over dark hills; the hour changes nothing."""
    light = LIGHTS["night"]
    side, phase = dice.sign(), dice.uniform(0, 1)
    canvas.fill(
        None, stops((0, rgb("#070b2e")), (110, rgb("#1a2a72")), (206, rgb("#5a5fb4"))), "sky"
    )
    x = 192 + dice.uniform(-40, 40)
    band = stroke([(x - side * 150, 250), (x + side * 120, -60)], 3, 3)
    canvas.fill(band, rgb("#6f78d0"), opacity=0.42, soft=74)
    canvas.fill(band, rgb("#b3a6f0"), opacity=0.26, soft=34)
    stars(canvas, dice, 80, 190, 1.7)
    mx, my = 192 + side * dice.uniform(90, 120), dice.uniform(40, 60)
    glow(canvas, rgb("#8fa6e6"), mx, my, 80, 0.35)
    canvas.fill(disc(mx, my, 20) - disc(mx - side * 9, my - 4, 17), rgb("#fff4c8"), "moon")
    hill(canvas, waves(188, (12, 300, phase)), rgb("#2c3a86"), rgb("#1f2c6a"), 50, "grass")
    hill(canvas, waves(204, (10, 220, phase + 0.4)), rgb("#1a2760"), rgb("#141f50"), 50, "grass")
    for i in range(10):
        fx = i * 42 + dice.uniform(-12, 12)
        fir(canvas, light, fx, 216, dice.uniform(22, 36), "#2a4a66", 0.0)
    hill(canvas, waves(216, (6, 420, phase + 0.7)), rgb("#122048"), rgb("#0a1434"), 44, "grass")
    return Setting(0.82, (0.87, 0.95))


def space(canvas: Canvas, dice: Dice, _light: Light) -> Setting:
    """Outer space: a violet nebula, stars, a ringed planet and a smaller one; no hour there."""
    side = dice.sign()
    canvas.fill(None, slanted(rgb("#0a0820"), rgb("#1c1040"), (0, 0), (WIDTH, HEIGHT)), "space")
    mists = ((-80, 90, 140, "#5a32b0"), (90, 190, 130, "#2750a8"), (10, 130, 95, "#b04aa8"))
    for dx, row, reach, color in mists:
        glow(canvas, rgb(color), 192 + side * dx + dice.uniform(-20, 20), row, reach, 0.5)
    stars(canvas, dice, 60, HEIGHT, 1.6)
    x, y, r = 192 + side * dice.uniform(92, 112), dice.uniform(58, 84), 38
    tones = (("#f0a860", "#a84f5a"), ("#7fd0c8", "#2f5f9f"), ("#f2d080", "#b0703f"))[dice.index(3)]
    _planet(canvas, x, y, r, tones, ring=True)
    _planet(
        canvas,
        192 - side * dice.uniform(110, 150),
        dice.uniform(176, 206),
        24,
        ("#8fb4f0", "#3f3f9f"),
        ring=False,
    )
    canvas.fill(disc(192 - side * 60, 34, 9), rgb("#d9d4e4"), "moon")
    return Setting(0.5, (0.42, 0.60), "space")


def _planet(
    canvas: Canvas, x: float, y: float, r: float, tones: tuple[str, str], *, ring: bool
) -> None:
    lit, shade = rgb(tones[0]), rgb(tones[1])
    ball = disc(x, y, r)
    hoop = oval(x, y, r * 1.75, r * 0.42) - oval(x, y, r * 1.32, r * 0.24)
    if ring:
        canvas.fill(hoop, rgb("#e8d4b0"), "moon", opacity=0.85)
    glow(canvas, lit, x, y, r * 2.0, 0.25)
    canvas.fill(
        ball, slanted(lit, shade, (x - r * 0.6, y - r * 0.6), (x + r * 0.8, y + r * 0.8)), "moon"
    )
    for dy, half in ((-0.35, 0.10), (0.12, 0.14), (0.5, 0.08)):
        stripe = oval(x, y + dy * r, r * 1.3, half * r)
        canvas.fill(stripe & ball, mix(lit, shade, 0.6), opacity=0.5, soft=1)
    if ring:
        lower = oval(x, y + r * 0.21, r * 1.75, r * 0.2)
        canvas.fill(hoop & lower, rgb("#f4e4c4"), "moon", opacity=0.95)


def moon(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """The gray surface of the moon with craters; the earth hangs in a black sky."""
    side, phase = dice.sign(), dice.uniform(0, 1)
    canvas.fill(None, stops((0, rgb("#04040e")), (170, rgb("#14163a"))), "space")
    stars(canvas, dice, 44, 150, 1.5)
    _earth(canvas, 192 + side * dice.uniform(80, 110), dice.uniform(50, 66), 34)
    dim = 0.35 if light.is_night else 0.0

    def gray(code: str) -> Array:
        return mix(rgb(code), rgb("#14163a"), dim)

    hill(
        canvas,
        waves(146, (9, 170, phase), (5, 90, phase * 2)),
        gray("#8b8d9c"),
        gray("#6d6f80"),
        40,
        "rock",
    )
    hill(canvas, waves(162, (6, 300, phase + 0.4)), gray("#c9cad4"), gray("#9697a6"), 80, "rock")
    for dx, y, r in (
        (-150, 182, 26),
        (-58, 176, 16),
        (62, 184, 22),
        (150, 178, 20),
        (-96, 214, 40),
        (112, 224, 46),
        (8, 246, 34),
    ):
        x = 192 + side * dx + dice.uniform(-12, 12)
        _crater(canvas, x, y, r, gray("#e6e6ee"), gray("#77788a"), gray("#9a9bab"))
    return Setting(0.62, (0.76, 0.93))


def _earth(canvas: Canvas, x: float, y: float, r: float) -> None:
    """The blue planet: land, cloud bands and a night side."""
    ball = disc(x, y, r)
    glow(canvas, rgb("#5fb0ff"), x, y, r * 2.1, 0.45)
    canvas.fill(
        ball, slanted(rgb("#59b8ff"), rgb("#1a4fa8"), (x - r, y - r), (x + r, y + r)), "moon"
    )
    land = puffs(
        [
            oval(x - 0.4 * r, y - 0.3 * r, 0.42 * r, 0.30 * r),
            oval(x - 0.2 * r, y + 0.3 * r, 0.22 * r, 0.36 * r),
        ],
        6,
    )
    canvas.fill((land | oval(x + 0.62 * r, y - 0.1 * r, 0.3 * r, 0.42 * r)) & ball, rgb("#63bd62"))
    for dy, half, dx in ((-0.62, 0.10, 0.2), (-0.02, 0.09, 0.25), (0.55, 0.11, 0.1)):
        canvas.fill(
            oval(x + dx * r, y + dy * r, 0.6 * r, half * r) & ball,
            rgb("#ffffff"),
            opacity=0.85,
            soft=0.8,
        )
    canvas.fill(
        ball - disc(x - 0.5 * r, y - 0.4 * r, 1.25 * r), rgb("#06103a"), opacity=0.55, soft=3
    )


def _crater(
    canvas: Canvas, x: float, y: float, r: float, rim: Array, dark: Array, floor: Array
) -> None:
    """A crater seen at a slant: a lit rim, a shaded wall, a flat floor."""
    canvas.fill(oval(x, y + 0.04 * r, r * 1.12, r * 0.40), rim, opacity=0.9, soft=1)
    pit = oval(x, y, r, r * 0.32)
    canvas.fill(
        pit, slanted(dark, floor, (x - r * 0.7, y - r * 0.2), (x + r * 0.7, y + r * 0.3)), "soil"
    )


def above_clouds(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Above the clouds: a floor of white towers under a clear sky."""
    sky(canvas, light, 190)
    if light.is_night:
        stars(canvas, dice, 40, 120)
    luminary(canvas, light, 192 + dice.sign() * dice.uniform(70, 125), 44, 18, 130)
    for depth, y, size, step in (
        (0.55, 150, 26, 44),
        (0.30, 176, 36, 60),
        (0.10, 208, 48, 82),
        (0.0, 246, 62, 104),
    ):
        shift = dice.uniform(0, step)
        parts: list[Shape] = [block(-40, y, WIDTH + 40, HEIGHT + 80, 1)]
        for i in range(int(WIDTH / step) + 3):
            x = (i - 1) * step + shift
            parts.append(
                disc(x, y - dice.uniform(-0.15, 0.30) * size, size * dice.uniform(0.72, 1.0))
            )
        lit = mix(light.cloud_lit, light.haze, depth)
        shade = mix(light.cloud_shade, light.middle, 0.32 + 0.25 * depth)
        canvas.fill(
            puffs(parts, 0.22 * size),
            vertical(lit, shade, y - size * 0.8, y + size * 0.5),
            "cloud",
            soft=0.8,
        )
    return Setting(0.58, (0.38, 0.58), "air")


PLACES: dict[str, Painter] = {
    "night_sky": night_sky,
    "space": space,
    "moon": moon,
    "clouds": above_clouds,
}
