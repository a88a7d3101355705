"""Built places inside: the living room and the stage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, mix, rgb, vertical
from nuwa_cli.storybook.landscapes.place import Painter, Setting
from nuwa_cli.storybook.landscapes.shapes import (
    HEIGHT,
    WIDTH,
    Array,
    Shape,
    block,
    convex,
    disc,
    f32,
    oval,
    puffs,
    stroke,
)
from nuwa_cli.storybook.landscapes.skyscape import glow


def room(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A living room: window, picture, lamp, sofa, wooden floor and a rug."""
    outside, light = light, _indoors(light)
    side = dice.sign()
    walls = (("#f4dcc0", "#e9c6a4"), ("#cfe3d4", "#b3cfbb"), ("#f2cfc8", "#e3b3ac"))[dice.index(3)]
    canvas.fill(None, vertical(light(walls[0]), light(walls[1]), 0, 180), "wall")
    canvas.fill(
        block(0, 176, WIDTH, HEIGHT),
        vertical(light("#b97a4a"), light("#d59a62"), 182, HEIGHT),
        "floor",
    )
    canvas.fill(block(0, 172, WIDTH, 181), light("#fff6e8"), "wall")
    for k in range(-6, 7):
        a, b = 192 + k * 44, 192 + k * 78
        canvas.fill(stroke([(a, 182), (b, HEIGHT + 4)], 0.8, 1.2), light("#a0653a"), opacity=0.6)
    wx = 192 + side * 84
    canvas.fill(block(wx - 42, 30, wx + 42, 122, 3), light("#ffffff"), "wall")
    pane = block(wx - 36, 36, wx + 36, 116, 1)
    canvas.fill(pane, vertical(light.middle, light.horizon, 36, 116), "sky")
    canvas.fill(oval(wx - 10, 124, 46, 30) & pane, outside("#7cc06a"), "grass")
    canvas.fill(
        block(wx - 2, 36, wx + 2, 116) | block(wx - 36, 72, wx + 36, 76), light("#ffffff"), "wall"
    )
    for s in (-1, 1):
        curtain = convex(
            (wx + s * 56, 24), (wx + s * 28, 24), (wx + s * 40, 132), (wx + s * 56, 132)
        )
        canvas.fill(curtain, light("#e07a6a"), "furniture")
    canvas.fill(block(wx - 60, 20, wx + 60, 26, 3), light("#8a5a3c"), "furniture")
    sx = 192 - side * 104
    _sofa(canvas, light, sx, 196, ("#5a8fb0", "#c9705a", "#7f9f5f")[dice.index(3)])
    px = 192 - side * 84
    canvas.fill(block(px - 26, 48, px + 26, 90, 1), light("#8a5a3c"), "furniture")
    canvas.fill(block(px - 22, 52, px + 22, 86), light("#bfe0ea"), "wall")
    canvas.fill(convex((px - 22, 86), (px - 6, 62), (px + 12, 86)), light("#7f9f8f"), "wall")
    canvas.fill(disc(px + 12, 61, 4.5), light("#f7c948"), "wall")
    lx = 192 + side * 150
    canvas.fill(block(lx - 2, 92, lx + 2, 198), light("#6b4a38"), "furniture")
    canvas.fill(block(lx - 16, 195, lx + 16, 201, 3), light("#6b4a38"), "furniture")
    glow(canvas, rgb("#ffe9a8"), lx, 90, 90, 0.45 if light.time != "day" else 0.2)
    shade = convex((lx - 13, 66), (lx + 13, 66), (lx + 24, 98), (lx - 24, 98))
    canvas.fill(shade, rgb("#ffe6a0") if light.time != "day" else light("#f7d98a"), "furniture")
    rug = ("#c8504f", "#3f7f9f", "#8f6fb0")[dice.index(3)]
    canvas.fill(oval(192, 232, 150, 21), light(rug), "floor")
    canvas.fill(oval(192, 231, 130, 16.5), light("#f6e3c4"), "floor")
    canvas.fill(oval(192, 231, 121, 14), light(rug), "floor")
    return Setting(0.70, (0.86, 0.94), "floor")


def _indoors(light: Light) -> Light:
    """The same hour inside, by lamplight: warmer and less dark."""
    if light.is_night:
        gain, lift = rgb("#a08a86"), rgb("#040310")
    elif light.time == "sunset":
        gain, lift = rgb("#f6d2bc"), rgb("#0a0408")
    else:
        return light
    return replace(light, gain=gain, lift=lift, saturation=0.95)


def _sofa(canvas: Canvas, light: Light, x: float, foot: float, cloth: str) -> None:
    base = light(cloth)
    dark, pale = mix(base, light("#301830"), 0.3), mix(base, light("#ffffff"), 0.2)
    for dx in (-60, 60):
        canvas.fill(
            block(x + dx - 4, foot - 6, x + dx + 4, foot + 6, 1), light("#6b4636"), "furniture"
        )
    canvas.fill(
        block(x - 66, foot - 76, x + 66, foot - 10, 14),
        vertical(pale, base, foot - 76, foot - 20),
        "furniture",
    )
    canvas.fill(
        block(x - 60, foot - 40, x + 60, foot - 6, 8),
        vertical(base, dark, foot - 40, foot),
        "furniture",
    )
    canvas.fill(block(x - 58, foot - 42, x - 2, foot - 22, 7), pale, "furniture")
    canvas.fill(block(x + 2, foot - 42, x + 58, foot - 22, 7), pale, "furniture")
    for s in (-1, 1):
        canvas.fill(
            block(x + s * 66 - 11, foot - 52, x + s * 66 + 11, foot - 2, 10),
            vertical(pale, dark, foot - 60, foot + 10),
            "furniture",
        )


def stage(canvas: Canvas, dice: Dice, light: Light) -> Setting:
    """A theatre stage: red curtains, spotlights, a wooden floor; the hour dims the back wall."""
    back = {
        "day": ("#5a3f9a", "#b070c0"),
        "sunset": ("#7a3a6a", "#f09a6a"),
        "night": ("#1f1a50", "#4a3f9a"),
    }
    upper, lower = (rgb(c) for c in back[light.time])
    canvas.fill(None, vertical(upper, lower, 20, 190), "wall")
    canvas.fill(
        block(0, 186, WIDTH, HEIGHT), vertical(rgb("#8f5a36"), rgb("#cf9258"), 186, HEIGHT), "floor"
    )
    for k in range(-5, 6):
        a, b = 192 + (k + 0.5) * 44, 192 + (k + 0.5) * 66
        canvas.fill(stroke([(a, 187), (b, HEIGHT + 4)], 0.8, 1.2), rgb("#7a4a2c"), opacity=0.6)
    focus = 192 + dice.uniform(-16, 16)
    beam = rgb("#fff2c0")
    for s in (-1, 1):
        x = focus + s * 92
        cone = convex(
            (x - 7, -4), (x + 7, -4), (focus + 74 - s * 6, 222), (focus - 74 - s * 6, 222)
        )
        canvas.fill(cone, vertical(beam, mix(beam, lower, 0.4), 0, 222), opacity=0.26, soft=4)
    canvas.fill(oval(focus, 220, 92, 19), beam, opacity=0.55, soft=5)
    pleat = dice.uniform(24, 29)
    for s in (-1, 1):
        _curtain(canvas, s, pleat, dice.uniform(104, 116))
    parts = [oval(i * 64 + 0.0, 6, 35, 32) for i in range(7)]
    canvas.fill(puffs(parts, 2), vertical(rgb("#e8443f"), rgb("#8f1428"), -6, 38), "furniture")
    trim = puffs(parts, 2) - puffs([oval(i * 64 + 0.0, 4, 33, 28) for i in range(7)], 2)
    canvas.fill(trim & block(0, 10, WIDTH, 44), rgb("#f7c948"), "furniture")
    canvas.fill(block(0, 246, WIDTH, HEIGHT), rgb("#6a3a24"), "floor")
    for i in range(9):
        lamp = oval(i * 48 + 0.0, 246, 10, 7)
        canvas.fill(lamp, rgb("#ffe9a0"), "furniture")
    return Setting(0.73, (0.84, 0.92), "floor")


def _curtain(canvas: Canvas, side: float, pleat: float, reach: float) -> None:
    """A velvet curtain that hangs in broad folds and is gathered at half height."""
    edge = 0.0 if side < 0 else float(WIDTH)
    bright, deep = rgb("#d9332f"), rgb("#7d0f24")

    def hem(y: Array) -> Array:
        tied = np.exp(-(((y - 150) / np.float32(34)) ** 2))
        return f32(reach - 34 * tied + np.maximum(y - 150, 0) * 0.06)

    def distance(x: Array, y: Array) -> Array:
        return f32(np.maximum(np.abs(x - edge) - hem(y), y - 224))

    def folds(x: Array, y: Array) -> Array:
        turn = np.abs(x - edge) / hem(y) * (2 * np.pi * reach / pleat)
        return mix(deep, bright, f32(0.5 + 0.5 * np.cos(turn)))

    box = (edge - 150, 0, edge + 150, 224)
    canvas.fill(Shape(distance, box), folds, "furniture")
    tie = stroke([(edge, 146), (edge - side * (reach - 32), 152)], 5, 4)
    canvas.fill(tie, rgb("#f7c948"), "furniture")


PLACES: dict[str, Painter] = {
    "room": room,
    "stage": stage,
}
