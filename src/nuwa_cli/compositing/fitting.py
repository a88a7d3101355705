"""Any picture onto the square of a model, and the model's square back onto the picture.

A `Fit` is a window in source pixels that becomes the square: `crop` takes a square out of the
source, `pad` a square around it whose empty parts repeat the nearest edge colour, `stretch` the whole
source however long it is. What the square shows of the source is one rectangle of whole pixels, the
same in both directions, so frames, labels and regions stay aligned with each other and with what is
put back.

Invariant: where window and square have the same size, pixels are copied, never resampled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

FIT_MODES = ("crop", "pad", "stretch")

_Array = np.ndarray[Any, Any]
_Pixels = np.ndarray[Any, np.dtype[np.uint8]]
_Region = np.ndarray[Any, np.dtype[np.bool_]]
_Box = tuple[int, int, int, int]
"""left, top, right, bottom"""

_CONTEXT = 1.6  # side of the window around a focus, in longer sides of the focus
_LEAST_CONTEXT = 1.25  # the same where the picture is too low for it and padding pays for the rest


@dataclass(frozen=True)
class Fit:
    """How a source (height, width) lies in a square of `size` pixels.

    `window` is (left, top, width, height) in source pixels; it may reach beyond the source.
    """

    mode: str
    source: tuple[int, int]
    window: tuple[int, int, int, int]
    size: int

    @property
    def part(self) -> tuple[int, int, int, int]:
        """The part of the source that the square shows: (left, top, right, bottom)."""
        return self._shown()[0]

    def frames(self, frames: _Pixels) -> _Pixels:
        """Source frames (T, h, w, 3) to (T, S, S, 3), smoothly; padding repeats edge colours."""
        return self._square(frames, lambda frame, box, size: _resample(frame, box, size))

    def labels(self, maps: _Pixels) -> _Pixels:
        """Class maps (T, h, w) to (T, S, S): the nearest label, never a mixture of two."""
        return self._square(maps, lambda label, box, size: _nearest(label, box, size))

    def region(self, masks: _Region) -> _Region:
        """Regions (T, h, w) to (T, S, S): True wherever a pixel shows any of it, so that thin
        ones survive."""
        return self._square(masks, _cover)

    def restore(self, frames: _Pixels) -> tuple[_Pixels, tuple[int, int]]:
        """Model frames (T, S, S, 3) in source pixels: the part of the window that lies inside the
        source, (T, h, w, 3), and the (left, top) where it belongs."""
        (left, top, right, bottom), square = self._shown()
        size = (right - left, bottom - top)
        return np.stack([_resample(frame, square, size) for frame in frames]), (left, top)

    def describe(self) -> str:
        """What was done, for a note to the user; empty when nothing was."""
        height, width = self.source
        left, top, window_width, window_height = self.window
        if window_width != window_height:
            steps = ["stretched"]
        else:
            right, bottom = width - left - window_width, height - top - window_height
            steps = _sides("cropped", left, right, top, bottom)
            steps += _sides("padded", -left, -right, -top, -bottom)
            if window_width != self.size:
                steps.append("reduced" if window_width > self.size else "enlarged")
        if not steps:
            return ""
        return f"{width}x{height} fitted to {self.size}x{self.size}: {', '.join(steps)}"

    def _square(
        self, arrays: _Array, scale: Callable[[_Array, _Box, tuple[int, int]], _Array]
    ) -> Any:
        """Each of the arrays (T, h, w, …) scaled into its place in the square, edges repeated."""
        source, (left, top, right, bottom) = self._shown()
        around = ((top, self.size - bottom), (left, self.size - right))
        squares = []
        for array in arrays:
            part = scale(array, source, (right - left, bottom - top))
            squares.append(np.pad(part, (*around, *((0, 0),) * (part.ndim - 2)), mode="edge"))
        return np.stack(squares)

    def _shown(self) -> tuple[_Box, _Box]:
        """The part of the source that the window shows, and where it lies in the square."""
        height, width = self.source
        left, right, at_left, at_right = _overlap(self.window[0], self.window[2], width, self.size)
        top, bottom, at_top, at_bottom = _overlap(self.window[1], self.window[3], height, self.size)
        return (left, top, right, bottom), (at_left, at_top, at_right, at_bottom)


def plan_fit(
    height: int,
    width: int,
    size: int,
    mode: str,
    *,
    focus: tuple[int, int, int, int] | None = None,
) -> Fit:
    """The fit of a source (height, width) to a square of `size` pixels.

    `crop` takes the middle, or with `focus` (left, top, right, bottom) a square around that, large
    enough to show what surrounds it and at most twice magnified: padded only where the focus is longer
    than the picture is wide.
    """
    assert mode in FIT_MODES, mode
    short, long = sorted((height, width))
    if mode == "stretch":
        return Fit(mode, (height, width), (0, 0, width, height), size)
    side, center = (short if mode == "crop" else long), (width / 2, height / 2)
    if mode == "crop" and focus is not None:
        left, top, right, bottom = focus
        longer = max(right - left, bottom - top)
        side = min(max(math.ceil(_CONTEXT * longer), size // 2), short)
        if longer > short:
            side = min(math.ceil(_LEAST_CONTEXT * longer), long)
        center = ((left + right) / 2, (top + bottom) / 2)
    window = (_place(center[0], side, width), _place(center[1], side, height), side, side)
    return Fit(mode, (height, width), window, size)


def _place(center: float, side: int, length: int) -> int:
    """Where a window of `side` begins: around the centre, inside the picture if it has room."""
    if side >= length:
        return (length - side) // 2
    return min(max(round(center - side / 2), 0), length - side)


def _overlap(start: int, length: int, limit: int, size: int) -> tuple[int, int, int, int]:
    """Along one axis: the window's part inside the source, and its place among `size` pixels."""
    first, last = max(start, 0), min(start + length, limit)
    at_first = min(round((first - start) * size / length), size - 1)
    at_last = max(round((last - start) * size / length), at_first + 1)
    return first, last, at_first, at_last


def _resample(frame: _Array, box: _Box, size: tuple[int, int]) -> _Array:
    """A box of a frame (h, w, 3) at another size: antialiased down, smooth up."""
    from PIL import Image

    left, top, right, bottom = box
    if (right - left, bottom - top) == size:
        return frame[top:bottom, left:right]
    shrinks = right - left > size[0] or bottom - top > size[1]
    filter_ = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    picture = Image.fromarray(np.ascontiguousarray(frame))
    return np.asarray(picture.resize(size, filter_, box=box, reducing_gap=3.0))


def _nearest(label: _Array, box: _Box, size: tuple[int, int]) -> _Array:
    """A box of a map (h, w) at another size, by the label under each new pixel's centre."""
    columns = _centers(box[0], box[2], size[0])
    rows = _centers(box[1], box[3], size[1])
    return label[rows[:, None], columns]


def _centers(first: int, last: int, count: int) -> _Array:
    return first + ((2 * np.arange(count) + 1) * (last - first)) // (2 * count)


def _cover(mask: _Array, box: _Box, size: tuple[int, int]) -> _Array:
    """A box of a region (h, w) at another size: True where any of its pixels is touched."""
    part = mask[box[1] : box[3], box[0] : box[2]]
    return _touched(_touched(part, size[1]).T, size[0]).T


def _touched(mask: _Array, count: int) -> _Array:
    """Rows (n, m) to (count, m): True where any row that the new one overlaps is."""
    length = len(mask)
    edges = np.arange(count + 1) * length
    first, last = edges[:-1] // count, -(-edges[1:] // count)
    total = np.pad(np.cumsum(mask, axis=0, dtype=np.int32), ((1, 0), (0, 0)))
    return total[last] > total[first]


def _sides(verb: str, left: int, right: int, top: int, bottom: int) -> list[str]:
    """ "cropped 80 pixels left and right": one phrase for each axis on which something is cut."""
    phrases = []
    for one, other, names in ((left, right, ("left", "right")), (top, bottom, ("above", "below"))):
        if one > 0 and one == other:
            phrases.append(f"{verb} {_pixels(one)} {names[0]} and {names[1]}")
        else:
            amounts = [(n, name) for n, name in zip((one, other), names, strict=True) if n > 0]
            parts = [f"{_pixels(amount)} {name}" for amount, name in amounts]
            phrases += [f"{verb} {' and '.join(parts)}"] if parts else []
    return phrases


def _pixels(count: int) -> str:
    return f"{count} pixel{'s' if count != 1 else ''}"
