"""Still and running water: the swimming pool, the lake and the river."""

from __future__ import annotations

import numpy as np

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import (
    Canvas,
    Dice,
    mix,
    slanted,
    stops,
    under,
    vertical,
)
from nuwa_cli.storybook.landscapes.place import Painter, Setting
from nuwa_cli.storybook.landscapes.props import bush, crown_tree, fir, hill, range_of_peaks
from nuwa_cli.storybook.landscapes.shapes import (
    GRID_X,
    GRID_Y,
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
from nuwa_cli.storybook.landscapes.surface import swell, water_front


def swimming_pool(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A turquoise pool with ropes between the lanes, seen from its end."""
    sky(canvas, light, 84)
    luminary(canvas, light, dice.uniform(60, 324), 28, 12, 84)
    shift = dice.uniform(0, 48)
    for i in range(10):
        bush(canvas, light, i * 44 - 48 + shift, 86, 27, "#4f9d57", 0.1)
    canvas.fill(block(0, 72, WIDTH, 90), light("#f2e6d4"), "wall")
    canvas.fill(block(0, 86, WIDTH, HEIGHT), light("#d9cbb6"), "floor")
    canvas.fill(block(0, 100, WIDTH, HEIGHT), light("#ffffff"), "floor")
    water = stops(
        (106, light.water("#5fd8e0")),
        (170, light.water("#2fc0dc")),
        (HEIGHT, light.water("#1496c8")),
    )
    canvas.fill(block(0, 107, WIDTH, HEIGHT), water, "water")
    center = 192 + dice.uniform(-24, 24)
    for lane in (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5):
        a, b = center + lane * 62, center + lane * 150
        stripe = convex((a - 4, 108), (a + 4, 108), (b + 13, HEIGHT), (b - 13, HEIGHT))
        canvas.fill(stripe, light("#1577b4"), opacity=0.55, soft=1.5)
    swell(canvas, dice, ((128, 2.0), (150, 3.0), (182, 4.5), (222, 6.0)), light("#c9f8f7"), 0.38)
    for lane in (-2, -1, 0, 1, 2):
        a, b = center + lane * 62, center + lane * 150
        edges = np.cumsum([0, 8, 9, 10, 12, 14, 16, 18, 20, 22, 26]).tolist()
        for i in range(10):
            t0, t1 = edges[i] / 150, edges[i + 1] / 150
            p = (a + (b - a) * t0, 108 + 148 * t0)
            q = (a + (b - a) * t1, 108 + 148 * t1)
            color = light("#f2443f") if i % 2 else light("#ffffff")
            canvas.fill(stroke([p, q], 1.4 + 2.6 * t0, 1.4 + 2.6 * t1), color, "other")
    front = waves(180, (2.0, 96, dice.uniform(0, 1)))
    canvas.fill(below(front) - below(lambda x: front(x) + 3), light("#d9fbfb"), opacity=0.5, soft=1)
    return Setting(0.42, (0.69, 0.73), "water", water_front(front))


def lake(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A still lake that mirrors wooded hills."""
    shore, phase = 118.0, dice.uniform(0, 1)
    sky(canvas, light, shore)
    if light.is_night:
        stars(canvas, dice, 20, 60)
    luminary(canvas, light, dice.uniform(60, 324), 28, 12, 100)
    clouds(canvas, light, dice, 66, 3)
    water = stops(
        (shore, light.water("#c4e6f2")),
        (170, light.water("#7fbfe0")),
        (HEIGHT, light.water("#3f86bd")),
    )
    canvas.fill(block(0, shore, WIDTH, HEIGHT), water, "water")
    hills = (
        (34.0, 24.0, 250, phase, "#7fa3c4", 0.40, "mountain"),
        (14.0, 12.0, 190, phase + 0.35, "#5f9a80", 0.22, "tree"),
    )
    for rise, height, length, turn, code, far, label in hills:
        line = waves(shore - rise, (height, length, turn), (height * 0.3, length * 0.4, turn * 2))
        back = waves(
            shore + rise * 0.9,
            (-height * 0.9, length, turn),
            (-height * 0.27, length * 0.4, turn * 2),
        )
        tone = light(code, far)
        mirror = block(0, shore, WIDTH, HEIGHT) - below(back)
        canvas.fill(mirror, mix(tone, light.water("#8fc4e0"), 0.35), opacity=0.8, soft=2.5)
        land = below(line) & block(0, 0, WIDTH, shore)
        canvas.fill(land, under(line, tone, mix(tone, light.haze, 0.4), 70), label)
    for i in range(11):
        x, size = i * 38 + dice.uniform(-12, 12), dice.uniform(24, 40)
        image = convex(
            (x - size * 0.22, shore + 1), (x, shore + size * 0.95), (x + size * 0.22, shore + 1)
        )
        canvas.fill(image, light("#3f7a70", 0.1), opacity=0.5, soft=2)
        fir(canvas, light, x, shore + 2, size, "#3f8068", 0.1)
    canvas.fill(block(0, shore, WIDTH, shore + 3), light("#a9c886", 0.15), "grass", soft=0.5)
    swell(
        canvas, dice, ((138, 1.6), (156, 2.2), (204, 3.4), (232, 4.0)), light.water("#e6f7fc"), 0.5
    )
    front = waves(178, (1.6, 120, phase))
    canvas.fill(
        below(front) - below(lambda x: front(x) + 3), light.water("#e6f7fc"), opacity=0.5, soft=1
    )
    for x in (8, 44, 338, 376):
        x = x + dice.uniform(-8, 8)
        for k, tall in ((-1, 46), (0, 60), (1, 40)):
            stem = stroke([(x + k * 9, 262), (x + k * 13, 256 - tall)], 2.6, 1.6)
            canvas.fill(stem, light("#4f8f45"), "plant")
            head = stroke([(x + k * 13, 256 - tall), (x + k * 14, 240 - tall)], 4, 4)
            canvas.fill(head, light("#8a5a36"), "plant")
    return Setting(0.46, (0.68, 0.72), "water", water_front(front))


def river(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A river that winds down a green valley and widens towards us."""
    side, phase, top = dice.sign(), dice.uniform(0, 1), 130.0
    sky(canvas, light, top)
    if light.is_night:
        stars(canvas, dice, 20, 70)
    luminary(canvas, light, 192 - side * dice.uniform(40, 130), 30, 13, 110)
    clouds(canvas, light, dice, 76, 3)
    tops = [(x + dice.uniform(-16, 16), dice.uniform(78, 96)) for x in (40, 150, 250, 350)]
    range_of_peaks(canvas, light, tops, 140, 0.5, snow=0.35)
    hill(
        canvas,
        waves(122, (8, 260, phase)),
        light("#7fbf7a", 0.25),
        light("#6cb068", 0.15),
        40,
        "grass",
    )
    meadow = vertical(light("#b4de62"), light("#4f9f3f"), top, HEIGHT)
    land = below(waves(top, (3, 330, phase)))
    canvas.fill(land, meadow, "grass")

    def strip(edge: float) -> Shape:
        """The river, `edge` pixels wider on each side at our feet."""

        def distance(x: Array, y: Array) -> Array:
            near = np.clip((y - top) / (HEIGHT - top), 0, 1)
            middle = 192 + side * 66 * np.sin(near**0.8 * np.float32(6.0)) * (1 - near)
            half = 5 + 194 * near**1.45 + edge * near**0.5
            return f32((np.abs(x - middle) - half) * 0.7)

        return Shape(distance, (0, top - 4, WIDTH, HEIGHT)) & land

    canvas.fill(
        strip(11), vertical(light("#e9d6a2"), light("#b08a58"), top, HEIGHT), "sand", soft=0.5
    )
    water = stops(
        (top, light.water("#bfe8f2")),
        (176, light.water("#5fbfe0")),
        (HEIGHT, light.water("#2585c0")),
    )
    canvas.fill(strip(0), water, "water", soft=0.5)
    inner = strip(-8)
    for y, half, dx in (
        (166, 1.8, 10),
        (184, 2.4, -34),
        (200, 3.0, 40),
        (222, 3.8, -50),
        (244, 4.4, 56),
    ):
        bar = oval(192 + dx + dice.uniform(-14, 14), y, half * 15, half)
        canvas.fill(bar & inner, light.water("#e2f8fb"), opacity=0.55, soft=1)
    for x, foot, size in ((22, 178, 80), (76, 156, 46), (318, 158, 50), (364, 182, 84)):
        crown_tree(canvas, light, dice, x + dice.uniform(-8, 8), foot, size)
    for x, y, r in ((36, 214, 17), (66, 196, 11), (348, 214, 18), (316, 197, 11)):
        stone = oval(x, y, r, r * 0.62)
        canvas.fill(
            stone,
            slanted(light("#c9ccd2"), light("#777d8a"), (x, y - r), (x + 3, y + r * 0.7)),
            "rock",
        )
    front = waves(196, (1.8, 110, phase))
    cover = strip(0).distance(GRID_X, GRID_Y)
    inside = np.clip(np.float32(0.5) - cover, 0, 1)
    return Setting(0.50, (0.74, 0.79), "water", water_front(front) * inside)


PLACES: dict[str, Painter] = {
    "swimming_pool": swimming_pool,
    "lake": lake,
    "river": river,
}
