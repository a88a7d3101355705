"""Sixel: a picture as text, the graphics of DEC terminals that foot, mlterm, contour and others read.

A picture has a palette and is sent in bands of six lines. In a band each colour is drawn over the
whole width, one character a column: its six bits say which of the six pixels have that colour.
Runs of one character are shortened to `!count`. Colours are told in percent, so the palette is
rounded to percent before pixels choose from it: what a terminal shows is what was meant here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""

_COLORS = 256
_BAND = 6
_FIRST = 63  # "?", a column without a pixel
_MIN_RUN = 4  # shorter runs are no longer than `!count`


def encode_sixel(pixels: Pixels) -> bytes:
    """The escape sequence that draws a picture (H, W, 3) at the cursor."""
    palette, indices = _quantized(pixels)
    height, width = indices.shape
    colors = "".join(
        f"#{number};2;{red};{green};{blue}" for number, (red, green, blue) in enumerate(palette)
    )
    bands = "-".join("$".join(_band(indices[top : top + _BAND])) for top in range(0, height, _BAND))
    return f'\x1bP0;1;0q"1;1;{width};{height}{colors}{bands}\x1b\\'.encode("ascii")


def _quantized(pixels: Pixels) -> tuple[list[tuple[int, int, int]], np.ndarray[Any, Any]]:
    """Palette in percent, and the number of its colour for every pixel (H, W)."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(pixels))
    chosen = picture.quantize(_COLORS, Image.Quantize.MEDIANCUT, kmeans=1)
    flat = chosen.getpalette() or []
    table = np.array(flat, dtype=np.float64).reshape(-1, 3)
    percent = np.unique((table * (100 / 255)).round().astype(int), axis=0)
    carrier = Image.new("P", (1, 1))
    carrier.putpalette((percent * 255 / 100).round().astype(np.uint8).tobytes())
    indices = np.asarray(picture.quantize(palette=carrier, dither=Image.Dither.FLOYDSTEINBERG))
    # A short palette is filled up with black by Pillow; black may be chosen from there.
    used, inverse = np.unique(indices, return_inverse=True)
    black = [0, 0, 0]
    rows = [percent[number].tolist() if number < len(percent) else black for number in used]
    return [(row[0], row[1], row[2]) for row in rows], inverse.reshape(indices.shape)


def _band(lines: np.ndarray[Any, Any]) -> Iterator[str]:
    """Up to six lines (≤6, W) of colour numbers, one string a colour."""
    weights = 1 << np.arange(len(lines))[:, None]
    for color in np.unique(lines):
        bits = ((lines == color) * weights).sum(axis=0)
        yield f"#{color}{_runs(bits)}"


def _runs(bits: np.ndarray[Any, Any]) -> str:
    """Columns as characters, runs shortened, empty columns at the end left out."""
    ends = np.flatnonzero(np.diff(bits, append=-1)) + 1
    lengths = np.diff(ends, prepend=0)
    values = bits[ends - 1]
    if values[-1] == 0:
        lengths, values = lengths[:-1], values[:-1]
    return "".join(
        f"!{length}{chr(_FIRST + value)}" if length >= _MIN_RUN else chr(_FIRST + value) * length
        for length, value in zip(lengths.tolist(), values.tolist(), strict=True)
    )
