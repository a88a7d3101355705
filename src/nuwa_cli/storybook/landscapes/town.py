"""Built places outside: the city street and the race track."""

from __future__ import annotations

import numpy as np

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, mix, rgb, vertical
from nuwa_cli.storybook.landscapes.place import Painter, Setting
from nuwa_cli.storybook.landscapes.props import crown_tree, hill
from nuwa_cli.storybook.landscapes.shapes import (
    HEIGHT,
    WIDTH,
    Array,
    Shape,
    block,
    convex,
    disc,
    f32,
    waves,
)
from nuwa_cli.storybook.landscapes.skyscape import clouds, glow, luminary, sky, stars


def city_street(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A row of houses with windows and awnings, pavement, and a road with a dashed line."""
    sky(canvas, light, 150)
    if light.is_night:
        stars(canvas, dice, 20, 70)
    luminary(canvas, light, dice.uniform(60, 324), 26, 12, 150)
    clouds(canvas, light, dice, 60, 3)
    shift = dice.uniform(0, 40)
    for i in range(9):
        height = (70.0, 104.0, 84.0, 120.0, 92.0)[(i * 3 + int(shift)) % 5]
        tower = block(i * 48 - 40 + shift, 180 - height, i * 48 + shift - 2, 190)
        canvas.fill(
            tower, vertical(light("#8fa9cf", 0.35), light("#a9bddb", 0.55), 60, 180), "building"
        )
    fronts = ("#e8735c", "#f2c14e", "#5fb0b7", "#c98bb9", "#f08f5f", "#7fb069")
    turn, x, i = dice.index(6), -dice.uniform(0.0, 50.0), 0
    while x < WIDTH:
        width, height = dice.uniform(66, 80), dice.uniform(88, 126)
        _house(canvas, light, x, 196, width, height, fronts[(i + turn) % 6], i)
        x, i = x + width, i + 1
    canvas.fill(block(0, 195, WIDTH, HEIGHT), light("#ddd8d0"), "floor")
    canvas.fill(block(0, 209, WIDTH, HEIGHT), light("#a9a5a3"), "floor")
    asphalt = vertical(light("#70747e"), light("#545862"), 213, HEIGHT)
    canvas.fill(block(0, 213, WIDTH, HEIGHT), asphalt, "road")
    start = dice.uniform(0, 72)
    for k in range(7):
        a = k * 72 - 72 + start
        dash = convex((a + 4, 233), (a + 40, 233), (a + 38, 239), (a, 239))
        canvas.fill(dash, light("#f6efd6"), "road")
    offset = dice.uniform(-14, 14)
    for k, base in enumerate((16, 100, 284, 368)):
        if k in (1, 2):
            _lamp(canvas, light, base + offset, 205)
        else:
            crown_tree(canvas, light, dice, base + offset, 205, 86)
    return Setting(0.76, (0.86, 0.95))


def _house(
    canvas: Canvas,
    light: Light,
    x: float,
    foot: float,
    width: float,
    height: float,
    paint: str,
    kind: int,
) -> None:
    """A house front: cornice, windows in pairs, a shop with a striped awning."""
    glass = rgb("#ffdf8c") if light.is_night else light("#bfe3f5")
    top, right, wall = foot - height, x + width, light(paint)
    white = light("#ffffff")
    plaster = vertical(wall, mix(wall, light("#5a3a5a"), 0.18), top, foot)
    canvas.fill(block(x, top, right, foot), plaster, "building")
    canvas.fill(block(x - 2, top - 6, right + 2, top + 3, 2), mix(wall, white, 0.5), "building")
    for row in range(int((height - 48) // 28)):
        for column in range(2):
            wx, wy = x + (0.29 + 0.42 * column) * width, top + 22 + row * 28
            canvas.fill(block(wx - 10, wy - 11, wx + 10, wy + 11, 2), white, "building")
            canvas.fill(block(wx - 8, wy - 9, wx + 8, wy + 9, 1), glass, "building")
    door, pane = (x + width * 0.26, x + width * 0.66)
    if kind % 2:
        door, pane = x + width * 0.74, x + width * 0.34
    canvas.fill(block(pane - 20, 168, pane + 20, foot - 6, 2), white, "building")
    canvas.fill(block(pane - 18, 168, pane + 18, foot - 8, 1), glass, "building")
    canvas.fill(block(door - 8, 166, door + 8, foot, 2), light("#6b4636"), "building")
    shade = light(("#d9473f", "#2f7f8f", "#3f8f5a")[kind % 3])
    for k in range(4):
        a, b = x + 5 + k * (width - 10) / 4, x + 5 + (k + 1) * (width - 10) / 4
        stripe = block(a, 154, b + 0.5, 168)
        canvas.fill(stripe, white if k % 2 else shade, "building")


def _lamp(canvas: Canvas, light: Light, x: float, foot: float) -> None:
    """A street lamp that shines at night."""
    iron = light("#3f4a58")
    canvas.fill(block(x - 1.8, foot - 92, x + 1.8, foot), iron, "building")
    canvas.fill(block(x - 4, foot - 8, x + 4, foot, 1.5), iron, "building")
    if light.is_night:
        glow(canvas, rgb("#ffe39a"), x, foot - 98, 46, 0.5)
    bulb = rgb("#fff0b8") if light.is_night else light("#fff6dc")
    canvas.fill(disc(x, foot - 98, 7), bulb, "building")
    canvas.fill(block(x - 6, foot - 107, x + 6, foot - 103, 1.5), iron, "building")


def race_track(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A race track from the driver's seat: kerbs, a chequered line, a grandstand."""
    side, phase, top = dice.sign(), dice.uniform(0, 1), 142.0
    sky(canvas, light, top)
    if light.is_night:
        stars(canvas, dice, 20, 70)
    luminary(canvas, light, 192 - side * dice.uniform(20, 60), 30, 13, 120)
    clouds(canvas, light, dice, 66, 3)
    hill(
        canvas,
        waves(130, (6, 260, phase)),
        light("#7fb58a", 0.3),
        light("#6fae74", 0.2),
        30,
        "grass",
    )
    for s in (-1, 1):
        _grandstand(canvas, light, 192 + s * 190, s, dice.index(4))
    verge = vertical(light("#9ad455"), light("#46963b"), top, HEIGHT)
    canvas.fill(block(0, top, WIDTH, HEIGHT), verge, "grass")
    bend = side * dice.uniform(20, 34)

    def strip(left: float, right: float) -> Shape:
        """What lies between two lines along the track, in half widths from its middle."""

        def distance(x: Array, y: Array) -> Array:
            near = np.clip((y - top) / (HEIGHT - top), 0, 1)
            half = 14 + 176 * near
            place = (x - 192 - bend * (1 - near) ** 2.2) / half
            return f32(np.maximum(left - place, place - right) * half * 0.75)

        return Shape(distance, (0, top, WIDTH, HEIGHT))

    canvas.fill(strip(-1, 1), vertical(light("#8b8f98"), light("#50545e"), top, HEIGHT), "road")
    white, red = light("#ffffff"), light("#e03a36")
    rows = [top]
    while rows[-1] < HEIGHT:
        rows.append(rows[-1] + 4 + (rows[-1] - top) * 0.17)
    for left, right in ((-1.14, -1.0), (1.0, 1.14)):
        for i in range(len(rows) - 1):
            piece = strip(left, right) & block(0, rows[i], WIDTH, rows[i + 1])
            canvas.fill(piece, red if i % 2 else white, "wall")
    for row, (y0, y1) in enumerate(((176, 184), (184, 193))):
        for k in range(12):
            cell = strip(-0.96 + k * 0.16, -0.96 + (k + 1) * 0.16) & block(0, y0, WIDTH, y1)
            canvas.fill(cell, white if (k + row) % 2 else light("#22242c"), "road")
    for y0, y1 in ((150, 155), (161, 168), (206, 220), (234, 254)):
        canvas.fill(strip(-0.03, 0.03) & block(0, y0, WIDTH, y1), light("#f4efdc"), "road")
    return Setting(0.55, (0.82, 0.94))


def _grandstand(canvas: Canvas, light: Light, x: float, side: float, turn: int) -> None:
    """Seats in rising rows full of colored people, under a roof with flags."""
    inner, outer = x - side * 116, x + side * 40
    near, far = 70.0, 104.0
    wall = convex((outer, near), (inner, far), (inner, 146), (outer, 146))
    canvas.fill(wall, vertical(light("#c6cedb"), light("#8d97a8"), near, 146), "building")
    crowd = ("#f2c14e", "#e8735c", "#5fb0d7", "#ffffff", "#8fcf6f")
    for row in range(3):
        for k in range(9):
            t = (k + 0.5 + 0.5 * (row % 2)) / 9.5
            size = 7.2 - 3.0 * t
            cx = outer + (inner - outer) * t
            cy = (near + (far - near) * t) + (20 + row * 15) * (1 - 0.45 * t)
            canvas.fill(disc(cx, cy, size), light(crowd[(k * 2 + row + turn) % 5]), "building")
    rail = convex((outer, 136), (inner, 136), (inner, 146), (outer, 146))
    canvas.fill(rail, light("#2f6fb0"), "building")
    roof = convex(
        (outer, near - 14), (inner - side * 6, far - 6), (inner - side * 6, far + 1), (outer, near)
    )
    canvas.fill(roof, light("#e9473f"), "building")


PLACES: dict[str, Painter] = {
    "city_street": city_street,
    "race_track": race_track,
}
