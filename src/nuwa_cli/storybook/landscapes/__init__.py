"""Painted places: every landscape of the storybook world, a function of (place, seed, time).

`paint` chooses the painter of the place, gives it an empty canvas, the dice of the seed and the
light of the hour, and returns the finished `Landscape`. The seed moves hills, clouds and trees and
turns all hues a little; the hour changes the palette. Nothing here is textured: gradients,
silhouettes and soft light only, because the tokenizer and the transformer would have to learn
every bit of noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nuwa_cli.errors import UsageError
from nuwa_cli.storybook.landscapes import coast, fields, indoors, skies, town, waters, wilds
from nuwa_cli.storybook.landscapes.light import LIGHTS
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice
from nuwa_cli.storybook.landscapes.place import MEDIA, Landscape, Painter
from nuwa_cli.storybook.landscapes.shapes import Array, f32

__all__ = ["MEDIA", "PLACE_NAMES", "TIMES", "Landscape", "paint"]

_PAINTERS: dict[str, Painter] = {
    **fields.PLACES,
    **coast.PLACES,
    **waters.PLACES,
    **wilds.PLACES,
    **skies.PLACES,
    **town.PLACES,
    **indoors.PLACES,
}
PLACE_NAMES: tuple[str, ...] = tuple(_PAINTERS)
TIMES: tuple[str, ...] = tuple(LIGHTS)


def paint(place: str, seed: int, time: str = "day") -> Landscape:
    """Paint `place` (one of PLACE_NAMES) as `seed` arranges it, by `time` (one of TIMES).

    Raises UsageError for a place or a time that does not exist.
    """
    if place not in _PAINTERS:
        raise UsageError(f"place '{place}': nobody painted it; use one of {', '.join(PLACE_NAMES)}")
    if time not in LIGHTS:
        raise UsageError(f"time '{time}': not a time of day; use one of {', '.join(TIMES)}")
    canvas, dice = Canvas(), Dice(place, seed)
    grade = _grade(dice.uniform(-0.07, 0.07), dice.uniform(0.94, 1.04))
    setting = _PAINTERS[place](canvas, dice, LIGHTS[time])
    pixels = _to_bytes(np.tensordot(grade, canvas.pixels, axes=1))
    front = None
    if setting.front is not None:
        front = np.concatenate([pixels, _to_bytes(setting.front)[None]])
    return Landscape(
        pixels=pixels,
        classes=canvas.classes,
        horizon=setting.horizon,
        ground=setting.ground,
        medium=setting.medium,
        front=front,
        front_classes=None if front is None else canvas.classes.copy(),
    )


def _grade(turn: float, saturation: float) -> Array:
    """A color matrix (3, 3): hues turned by `turn` radians about the gray axis, then saturation."""
    cos, sin = np.cos(turn), np.sin(turn)
    third, root = 1 / 3, np.sqrt(1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    rotation = cos * np.eye(3) + (1 - cos) * third + sin * root * cross
    return f32((third + (np.eye(3) - third) * saturation) @ rotation)


def _to_bytes(values: Array) -> NDArray[np.uint8]:
    return (np.clip(values, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
