"""Wild land: desert, snow, mountains and woods."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import (
    Canvas,
    Dice,
    mix,
    rgb,
    slanted,
    stops,
    under,
    vertical,
)
from nuwa_cli.storybook.landscapes.place import Painter, Setting
from nuwa_cli.storybook.landscapes.props import bush, fir, hill, range_of_peaks, trunk
from nuwa_cli.storybook.landscapes.shapes import (
    HEIGHT,
    WIDTH,
    Array,
    Shape,
    below,
    block,
    convex,
    disc,
    f32,
    oval,
    puffs,
    stroke,
    waves,
)
from nuwa_cli.storybook.landscapes.skyscape import clouds, luminary, sky, stars


def desert(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Dunes with a lit and a shaded side, table rocks far away, cactuses."""
    side, phase = dice.sign(), dice.uniform(0, 1)
    if light.time == "day":
        canvas.fill(
            None, stops((0, rgb("#58b4e0")), (80, rgb("#a8dbe6")), (140, rgb("#fdeecb"))), "sky"
        )
    else:
        sky(canvas, light, 140)
    if light.is_night:
        stars(canvas, dice, 26, 110)
    luminary(canvas, light, 192 - side * dice.uniform(20, 110), 42, 19, 140)
    x = 192 + side * dice.uniform(70, 120)
    for dx, w, h in ((0, 44, 46), (70, 30, 32), (-250 * side, 50, 36)):
        mesa = convex(
            (x + dx - w, 146),
            (x + dx - w * 0.7, 146 - h),
            (x + dx + w * 0.7, 146 - h),
            (x + dx + w, 146),
        )
        canvas.fill(
            mesa, vertical(light("#d0805a", 0.25), light("#e0a37a", 0.4), 146 - h, 146), "rock"
        )
    hill(
        canvas,
        waves(142, (6, 280, phase)),
        light("#f6cf8f", 0.2),
        light("#e9b270", 0.1),
        40,
        "sand",
    )
    for y, height, length, flip in ((160, 14, 330, 1), (196, 18, 480, -1)):
        ridge = waves(y, (height, length, phase + 0.21 * y), (height * 0.25, length * 0.5, phase))
        hill(canvas, ridge, light("#fbd892"), light("#eeb565"), 70, "sand")
        shade = waves(y + 26, (height * 1.9, length, phase + 0.21 * y + flip * 0.10))
        canvas.fill(
            below(ridge) & below(shade),
            under(shade, light("#d9924f"), light("#e9ae62"), 46),
            "sand",
        )
    _cactus(canvas, light, 192 + side * 96, 226, 92)
    _cactus(canvas, light, 192 - side * 116, 206, 62)
    return Setting(0.56, (0.76, 0.92))


def _cactus(canvas: Canvas, light: Light, x: float, foot: float, size: float) -> None:
    canvas.fill(
        oval(x + size * 0.2, foot, size * 0.4, size * 0.06), light("#b9743f"), opacity=0.5, soft=2
    )
    w = size * 0.10
    parts = [stroke([(x, foot), (x, foot - size * 0.9)], w, w)]
    for dx, y0, y1 in ((-0.3, 0.38, 0.68), (0.3, 0.5, 0.82)):
        bend = [
            (x, foot - y0 * size),
            (x + dx * size, foot - y0 * size),
            (x + dx * size, foot - y1 * size),
        ]
        parts.append(stroke(bend, w * 0.75, w * 0.75))
    body = puffs(parts, 3) & block(x - size, foot - 2 * size, x + size, foot)
    canvas.fill(body, slanted(light("#4fa566"), light("#2c6f50"), (x - w, 0), (x + w, 0)), "plant")
    canvas.fill(
        stroke([(x - w * 0.4, foot - 4), (x - w * 0.4, foot - size * 0.88)], w * 0.22, w * 0.22),
        light("#74bf7c"),
        opacity=0.7,
    )


def snow(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A snow field between snowy firs."""
    phase = dice.uniform(0, 1)
    sky(canvas, light, 132)
    if light.is_night:
        stars(canvas, dice, 26, 100)
    luminary(canvas, light, dice.uniform(70, 314), 36, 14, 132)
    tops = [(x + dice.uniform(-14, 14), dice.uniform(70, 92)) for x in (10, 120, 225, 350)]
    range_of_peaks(canvas, light, tops, 150, 0.55, snow=0.7)
    white, blue = light("#ffffff"), light("#bcd3f0")
    hill(
        canvas,
        waves(134, (7, 300, phase)),
        mix(white, light.haze, 0.3),
        light("#c6dbf2", 0.2),
        40,
        "snow",
    )
    for i in range(9):
        x = i * 46 + dice.uniform(-12, 12)
        fir(canvas, light, x, 150 + 4 * (i % 2), dice.uniform(30, 42), "#4f8590", 0.3, True)
    hill(canvas, waves(156, (8, 420, phase + 0.3)), white, blue, 70, "snow")
    for x, foot, size in ((26, 206, 110), (92, 184, 82), (296, 186, 84), (362, 208, 114)):
        x += dice.uniform(-10, 10)
        canvas.fill(oval(x + 14, foot, size * 0.36, 5), light("#94b3e0"), opacity=0.5, soft=3)
        fir(canvas, light, x, foot, size, "#2f6b62", 0, True)
    hill(canvas, waves(212, (9, 560, phase + 0.55)), white, light("#c3d8f3"), 60, "snow")
    return Setting(0.55, (0.78, 0.93))


def mountains(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """High snow-capped peaks over a green valley."""
    phase = dice.uniform(0, 1)
    sky(canvas, light, 168)
    if light.is_night:
        stars(canvas, dice, 22, 90)
    luminary(canvas, light, dice.uniform(60, 324), 28, 12, 168)
    clouds(canvas, light, dice, 70, 3)
    tops = [(x + dice.uniform(-16, 16), dice.uniform(66, 90)) for x in (30, 130, 250, 360)]
    range_of_peaks(canvas, light, tops, 180, 0.5)
    side = dice.sign()
    big = [
        (192 + side * 88, dice.uniform(26, 38)),
        (192 - side * 66, dice.uniform(50, 64)),
        (192 - side * 190, 52.0),
    ]
    range_of_peaks(canvas, light, big, 190, 0.12)
    hill(
        canvas,
        waves(176, (8, 300, phase)),
        light("#5f9a72", 0.25),
        light("#4d8a66", 0.2),
        30,
        "grass",
    )
    for i in range(12):
        x = i * 34 + dice.uniform(-8, 8)
        fir(canvas, light, x, 194, dice.uniform(26, 36), "#3f7a64", 0.15)
    hill(canvas, waves(194, (7, 420, phase + 0.3)), light("#9ccc5c"), light("#4c9440"), 70, "grass")
    return Setting(0.70, (0.82, 0.94))


def forest(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Inside a green wood: trunks in layers, a roof of leaves, light falling in."""
    far, mist = light("#d6f0b4"), light("#a4d48c")
    canvas.fill(None, stops((0, light("#5ea862")), (90, far), (170, mist)), "plant")
    for distance, count, half, foot in (
        (0.64, 9, 5.0, 176),
        (0.38, 7, 8.0, 188),
        (0.04, 5, 13.0, 208),
    ):
        lit, dark = mix(light("#94704f"), mist, distance), mix(light("#54392f"), mist, distance)
        floor = mix(light("#5c9a40"), mist, distance * 0.8)
        ridge = waves(foot - 10, (5, 260, dice.uniform(0, 1)))
        hill(canvas, ridge, floor, mix(floor, light("#2f6b35"), 0.3), 60, "grass")
        step, shift = WIDTH / count, dice.uniform(0.2, 0.8)
        for i in range(count):
            x = (i + shift) * step + dice.uniform(-0.16, 0.16) * step
            bark = slanted(lit, dark, (x - half * 0.6, 0), (x + half, 0))
            canvas.fill(trunk(x, foot + dice.uniform(-4, 4), half), bark, "tree")
    for i in range(3):
        x = 60 + i * 120 + dice.uniform(-20, 20)
        ray = convex((x + 40, -10), (x + 74, -10), (x - 20, 220), (x - 84, 220))
        canvas.fill(ray, light("#f8ffc0"), opacity=0.16, soft=8)
    near = waves(208, (5, 360, dice.uniform(0, 1)))
    hill(canvas, near, light("#86c450"), light("#3c7f38"), 56, "grass")
    for y, size, leaf in ((4, 42, "#5cab55"), (-12, 42, "#2f7d43")):
        shift = dice.uniform(0, 60)
        parts = [
            disc(i * 62 - 40 + shift, y + dice.uniform(-5, 7), size * dice.uniform(0.8, 1.0))
            for i in range(8)
        ]
        leaves = vertical(mix(light(leaf), light("#12402f"), 0.3), light(leaf), -20, 40)
        canvas.fill(puffs(parts, 10), leaves, "tree")
    for x, size in ((8, 34), (116, 22), (272, 24), (380, 36)):
        bush(canvas, light, x + dice.uniform(-14, 14), 222 - size * 0.2, size, "#4b9a4a")
    return Setting(0.70, (0.84, 0.94))


def autumn_wood(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """Trees in red, orange and gold over fallen leaves, with a path."""
    haze = light("#ffe9bd")
    if light.is_night:  # moonlight's blue would take the autumn out of the leaves
        haze, light = rgb("#38376e"), replace(light, saturation=1.1, gain=rgb("#6b4a60"))
    canvas.fill(None, stops((0, light("#9fd0e6")), (70, light("#ffe6bb")), (150, haze)), "sky")
    leaves = ("#e8632c", "#f5a623", "#d63f2f", "#f7c843", "#ee8130")
    turn = dice.index(5)
    for depth, count, foot, size in ((0.6, 9, 166, 110), (0.34, 7, 176, 140), (0.0, 5, 196, 182)):
        ground = mix(light("#d98a3a"), haze, depth)
        ridge = waves(foot - 8, (4, 280, dice.uniform(0, 1)))
        hill(canvas, ridge, ground, mix(ground, light("#9a4a28"), 0.4), 60, "soil")
        step, shift = WIDTH / count, dice.uniform(0.3, 0.7)
        for i in range(count):
            x = (i + shift) * step + dice.uniform(-0.14, 0.14) * step
            color = leaves[(i * 2 + turn + count) % 5]
            _autumn_tree(canvas, light, x, foot + dice.uniform(-4, 4), size, color, haze, depth)
    near = waves(202, (5, 380, dice.uniform(0, 1)))
    hill(canvas, near, light("#f0a549"), light("#b9602c"), 56, "soil")
    bend = dice.sign() * dice.uniform(16, 26)

    def path(x: Array, y: Array) -> Array:
        close = np.clip((y - 196) / np.float32(HEIGHT - 196), 0, 1)
        middle = 192 + bend * np.sin(close**0.7 * np.float32(4.4)) * (1 - 0.5 * close)
        return f32((np.abs(x - middle) - 6 - 66 * close**1.3) * 0.7)

    earth = vertical(light("#fbe3b4"), light("#deab6a"), 198, HEIGHT)
    canvas.fill(Shape(path, (0, 196, WIDTH, HEIGHT)) & below(near), earth, "soil", soft=0.6)
    for i, (x, y) in enumerate(
        ((30, 226), (84, 244), (128, 216), (262, 218), (300, 244), (352, 228))
    ):
        leaf = oval(x + dice.uniform(-12, 12), y, 9, 4)
        canvas.fill(leaf, light(leaves[(i + turn) % 5]), "plant")
    return Setting(0.70, (0.84, 0.95))


def _autumn_tree(
    canvas: Canvas,
    light: Light,
    x: float,
    foot: float,
    size: float,
    leaf: str,
    haze: Array,
    depth: float,
) -> None:
    """A tall tree with an egg-shaped crown of one warm color."""
    bark = slanted(
        mix(light("#8f6248"), haze, depth),
        mix(light("#4f3430"), haze, depth),
        (x - size * 0.03, 0),
        (x + size * 0.04, 0),
    )
    stem = convex(
        (x - size * 0.04, foot),
        (x - size * 0.022, foot - size * 0.6),
        (x + size * 0.022, foot - size * 0.6),
        (x + size * 0.04, foot),
    )
    canvas.fill(stem, bark, "tree")
    base = mix(light(leaf), haze, depth)
    dark = mix(base, light("#7a2038"), 0.32 * (1 - depth))
    r, y = size * 0.26, foot - size * 0.66
    parts = [
        oval(x, y - 0.45 * r, 0.78 * r, 0.95 * r),
        disc(x - 0.5 * r, y + 0.3 * r, 0.66 * r),
        disc(x + 0.52 * r, y + 0.32 * r, 0.64 * r),
    ]
    canvas.fill(
        puffs(parts, 0.4 * r),
        slanted(
            mix(base, light("#fff0a0"), 0.25), dark, (x - 0.7 * r, y - r), (x + 0.7 * r, y + r)
        ),
        "tree",
    )


PLACES: dict[str, Painter] = {
    "desert": desert,
    "snow": snow,
    "mountains": mountains,
    "forest": forest,
    "autumn_wood": autumn_wood,
}
