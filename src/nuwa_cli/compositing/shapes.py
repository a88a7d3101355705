"""Shapes written as text, drawn as regions: boxes, ellipses and polygons.

    box, ellipse    "x,y,width,height"          an ellipse by the box around it
    polygon         "x1,y1 x2,y2 x3,y3 …"       even-odd where it crosses itself

Numbers are pixels from the top left corner, or percents: of the width for x, of the height for y.
A pixel belongs to a box when any of it is covered, to an ellipse or polygon when its centre is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from nuwa_cli.errors import UsageError

Kind = Literal["box", "ellipse", "polygon"]

_Region = np.ndarray[Any, np.dtype[np.bool_]]
_Number = tuple[float, bool]
"""A number and whether it is a percentage."""

_NUMBER = re.compile(r"\s*([+-]?\d{1,9}(?:\.\d{0,9})?)(%?)\s*", re.ASCII)
_ROUNDING = 1e-6  # 10 % of 30 is 3, whatever the floats say
_FORMS = {
    "box": "x,y,width,height; give pixels or percents, as in 10,20,64,25%",
    "ellipse": "x,y,width,height; give pixels or percents, as in 10,20,64,25%",
    "polygon": "three or more points; give pixels or percents, as in '10,10 90,10 50%,80%'",
}


def check_shape(kind: Kind, text: str) -> None:
    """Raises UsageError when the text is no shape of this kind."""
    _parse(kind, text)


def draw_shape(kind: Kind, text: str, height: int, width: int) -> _Region:
    """The shape in a picture, as bool (H, W).

    Raises UsageError when the text does not parse, and when no pixel of the picture is covered.
    """
    lengths = (width, height)
    numbers = [
        value / 100 * lengths[index % 2] if is_percent else value
        for index, (value, is_percent) in enumerate(_parse(kind, text))
    ]
    drawn = np.zeros((height, width), dtype=bool)
    if kind == "box":
        _draw_box(drawn, *numbers)
    elif kind == "ellipse":
        _draw_ellipse(drawn, *numbers)
    else:
        _draw_polygon(drawn, numbers)
    if not drawn.any():
        raise UsageError(
            f"{kind} '{text}': covers no pixel of the picture, which is {width}x{height}; "
            "give a place inside it"
        )
    return drawn


def _parse(kind: Kind, text: str) -> list[_Number]:
    """x, y, x, y, … of the text."""
    if kind == "polygon":
        points = re.sub(r"\s*,\s*", ",", text).split()
        pairs = [_numbers(point) for point in points]
        if len(pairs) >= 3 and all(len(pair) == 2 for pair in pairs):
            return [number for pair in pairs for number in pair]
    else:
        numbers = _numbers(text)
        if len(numbers) == 4 and numbers[2][0] > 0 and numbers[3][0] > 0:
            return numbers
    raise UsageError(f"{kind} '{text}': is not {_FORMS[kind]}")


def _numbers(text: str) -> list[_Number]:
    """Numbers between commas; none at all where one of them is something else."""
    matches = [_NUMBER.fullmatch(word) for word in text.split(",")]
    if not all(matches):
        return []
    return [(float(match[1]), bool(match[2])) for match in matches if match]


def _draw_box(drawn: _Region, x: float, y: float, width: float, height: float) -> None:
    left, top = math.floor(x + _ROUNDING), math.floor(y + _ROUNDING)
    right, bottom = math.ceil(x + width - _ROUNDING), math.ceil(y + height - _ROUNDING)
    drawn[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True


def _draw_ellipse(drawn: _Region, x: float, y: float, width: float, height: float) -> None:
    rows, columns = drawn.shape
    across = (np.arange(columns) + 0.5 - x - width / 2) / (width / 2)
    down = (np.arange(rows) + 0.5 - y - height / 2) / (height / 2)
    drawn |= across**2 + down[:, None] ** 2 <= 1
    if not drawn.any():  # thinner than a pixel: the one that holds its middle
        column, row = math.floor(x + width / 2), math.floor(y + height / 2)
        if 0 <= row < rows and 0 <= column < columns:
            drawn[row, column] = True


def _draw_polygon(drawn: _Region, numbers: list[float]) -> None:
    """Each edge toggles, in the rows whose centre it crosses, all pixels right of it."""
    height, width = drawn.shape
    centers = np.arange(height) + 0.5
    toggles = np.zeros((height, width + 1), dtype=bool)
    for (x0, y0), (x1, y1) in pairwise(_closed(numbers)):
        rows = np.flatnonzero((y0 <= centers) != (y1 <= centers))
        if len(rows):
            crossings = x0 + (centers[rows] - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(np.int64)
            toggles[rows, columns] ^= True
    np.logical_xor.accumulate(toggles[:, :width], axis=1, out=drawn)


def _closed(numbers: list[float]) -> Iterable[tuple[float, float]]:
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return [*points, points[0]]


def bounds_of(mask: Any) -> tuple[int, int, int, int]:
    """The box around a mask bool (…, H, W), in all its frames together: left, top, right, bottom. The
    mask must not be empty."""
    plane = mask.any(axis=tuple(range(mask.ndim - 2)))
    rows, columns = np.flatnonzero(plane.any(axis=1)), np.flatnonzero(plane.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
