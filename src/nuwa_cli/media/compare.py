"""How far two pictures or clips are apart, in decibels.

Peak signal-to-noise ratio over all pixels, channels and frames, of 8-bit levels: infinite where every
pixel is the same, 48 dB where every one is off by one level, below 20 dB for two different pictures.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.errors import InputError
from nuwa_cli.media.reading import kind_of, read_clip, read_picture

_PEAK = 255.0

_Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def psnr(first: Path, second: Path) -> float | None:
    """PSNR of two files or `frames/%04d.png` patterns in dB, transparency included.

    None where they cannot be compared: another size or number of frames, unreadable, too large.
    """
    try:
        one, other = _pixels(first), _pixels(second)
    except InputError:
        return None
    return psnr_of(one, other)


def psnr_of(first: _Pixels, second: _Pixels) -> float | None:
    """PSNR of uint8 arrays (T, H, W, c) in dB; None for different shapes."""
    if first.shape != second.shape:
        return None
    total = 0
    for one, other in zip(first, second, strict=True):  # a frame at a time, to spare memory
        total += int(np.square(one.astype(np.int32) - other).sum(dtype=np.int64))
    if total == 0:
        return math.inf
    return 10 * math.log10(_PEAK**2 * first.size / total)


def _pixels(path: Path) -> _Pixels:
    """All frames (T, H, W, 3), or (1, H, W, 4) of a picture with transparency. Raises InputError."""
    if kind_of(path) == "clip":
        return read_clip(path).frames
    picture = read_picture(path)
    if picture.alpha is None:
        return picture.pixels[None]
    return np.dstack((picture.pixels, picture.alpha))[None]
