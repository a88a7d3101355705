"""What a place is: the painting it gives, and what its painter has to say about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuwa_cli.storybook.landscapes.light import Light
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice
from nuwa_cli.storybook.landscapes.shapes import Array

MEDIA = ("ground", "water", "underwater", "air", "space", "floor")


@dataclass(frozen=True)
class Landscape:
    """A finished painting.

    pixels uint8 (3, 256, 384) RGB; classes uint8 (256, 384), ids of `sketches.palette`; `horizon` and
    `ground` (top, bottom) are fractions of the height: between the two lie the feet of a subject
    that stands, the waterline of one that floats, the center of one that flies or dives. `front`
    uint8 (4, 256, 384) RGBA hides what is behind it (water before a swimmer); it is cut from the
    finished painting, so laid over the bare painting it changes nothing. `front_classes` count
    where the opacity is at least 128.
    """

    pixels: NDArray[np.uint8]
    classes: NDArray[np.uint8]
    horizon: float
    ground: tuple[float, float]
    medium: str
    front: NDArray[np.uint8] | None = None
    front_classes: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Setting:
    """Where subjects go in a place; `front` is the opacity (256, 384) of what hides them."""

    horizon: float
    ground: tuple[float, float]
    medium: str = "ground"
    front: Array | None = None


Painter = Callable[[Canvas, Dice, Light], Setting]
