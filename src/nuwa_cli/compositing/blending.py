"""A generated region set into its picture without a seam.

Seamless cloning (Pérez, Gangnet & Blake, 2003): where the generated picture differs from the
original along the border of the region, in exposure or in tint, that difference is continued into the
region as a membrane, the smoothest function with these border values, and added. Its weight fades
with the distance from the border, so that the inside keeps its own colours: slowly for the small
differences of light and tint, soon for what exceeds them, which is another thing standing there and
must not stain the region.

The membrane is solved by a pyramid. Going down (pull), known values are averaged two by two; going up
(push), what is unknown takes the interpolated value of the coarser level, and a few sweeps of
relaxation smooth it.

Invariants: pixels outside the region are those of the original, bit for bit; a region that covers the
whole picture, and so has no border, is the generated picture unchanged.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nuwa_cli.compositing.shapes import bounds_of

_Pixels = np.ndarray[Any, np.dtype[np.uint8]]
_Region = np.ndarray[Any, np.dtype[np.bool_]]
_Values = np.ndarray[Any, np.dtype[np.floating[Any]]]

_RING = 3  # pixels outside the border whose difference counts
_SWEEPS = 4  # of relaxation on each level
_LIGHT = 32.0  # levels: differences much larger are not of light, but of content
_LIGHT_FADE = (1.5, 32.0)  # where it has ended, in depths of the region, but at least in pixels:
_CONTENT_FADE = (0.25, 12.0)  # … a narrow region takes on its surroundings wholly
_WORK_PIXELS = 1 << 21  # larger regions are solved at a reduced size: bounded time and memory
_EXACT_REACH = 32  # distances are exact up to here, and beyond it measured on a reduced mask


def blend(original: _Pixels, generated: _Pixels, mask: _Region, feather: float) -> _Pixels:
    """The original (H, W, 3) with the generated picture (H, W, 3) where the mask (H, W) is True.

    `feather` pixels from the border inward cross-fade to the original (at most the depth of the
    region). Returns uint8 (H, W, 3).
    """
    assert original.shape == generated.shape == (*mask.shape, 3)
    if mask.all():
        return generated.copy()
    result = original.copy()
    if not mask.any():
        return result
    window = _window(mask, margin=_RING)
    original, generated, mask = original[window], generated[window], mask[window]
    depth = _depth(mask, max(mask.shape))
    deepest = float(depth.max())
    light_fade, content_fade = (
        1 - _smoothstep((depth - 1) / max(relative * deepest, least))
        for relative, least in (_LIGHT_FADE, _CONTENT_FADE)
    )
    feather = min(feather, deepest - 1)
    share = _smoothstep(_depth(mask, feather + 1) / (feather + 1)) if feather > 0 else None
    ring = _ring(mask)
    for channel in range(3):
        difference = original[..., channel].astype(np.float32) - generated[..., channel]
        light = _LIGHT * np.tanh(difference / _LIGHT)
        values = generated[..., channel] + light_fade * _continue(light, ring)
        values += content_fade * _continue(difference - light, ring)
        if share is not None:
            values = original[..., channel] * (1 - share) + values * share
        result[window][..., channel][mask] = _to_bytes(values[mask])
    return result


def membrane(values: _Values, weight: _Values) -> _Values:
    """Values (h, w) continued smoothly to where their weight (h, w) is 0.

    Some weight must be positive. Returns float32 (h, w), with the known values unchanged.
    """
    known = weight > 0
    if known.all() or values.size == 1:
        return values
    total = _halve(weight)
    mean = _halve(values * weight) / np.where(total > 0, total, 1)
    result = np.where(known, values, _double(membrane(mean, total), values.shape))
    for _ in range(_SWEEPS):
        around = np.pad(result, 1, mode="edge")
        mean = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        result = np.where(known, values, mean / 4)
    return result


def _continue(values: _Values, known: _Region) -> _Values:
    """Values (h, w) continued from where they are known; at a reduced size where it is large."""
    step = math.ceil(math.sqrt(known.size / _WORK_PIXELS))
    weight = _sum_blocks(known.astype(np.float32), step)
    mean = _sum_blocks(values * known, step) / np.maximum(weight, 1)
    return _enlarge(membrane(mean, weight), step, known.shape)


def _depth(mask: _Region, reach: float) -> _Values:
    """Distance in pixels of each pixel (h, w) of the mask from the nearest outside it, at most about
    `reach`, 0 outside. Beyond the edge of the picture nothing is known, so there is no outside."""
    step = math.ceil(reach / _EXACT_REACH)
    height, width = mask.shape
    padding = ((0, -height % step), (0, -width % step))
    blocks = _blocks(np.pad(mask, padding, constant_values=True), step).all(axis=(1, 3))
    limit = math.ceil(reach / step)
    square = np.minimum(_distance_in_rows(blocks), limit) ** 2
    nearest = square.copy()
    rows = len(blocks)
    for offset in range(1, min(limit, rows - 1) + 1):
        closer = square + offset**2
        np.minimum(nearest[offset:], closer[: rows - offset], out=nearest[offset:])
        np.minimum(nearest[: rows - offset], closer[offset:], out=nearest[: rows - offset])
    return _enlarge(np.sqrt(nearest), step, mask.shape) * step


def _distance_in_rows(mask: _Region) -> _Values:
    """Of each pixel from the nearest False one in its row; the width where there is none."""
    width = mask.shape[1]
    columns = np.arange(width, dtype=np.float32)
    before = np.maximum.accumulate(np.where(mask, -np.float32(width), columns), axis=1)
    after = np.minimum.accumulate(np.where(mask, np.float32(2 * width), columns)[:, ::-1], axis=1)[
        :, ::-1
    ]
    return np.minimum(columns - before, after - columns)


def _ring(mask: _Region) -> _Region:
    """Pixels outside the mask (h, w), at most `_RING` from it."""
    grown = mask
    for _ in range(_RING):
        padded = np.pad(grown, 1)
        grown = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:] | grown
    return grown & ~mask


def _window(mask: _Region, margin: int) -> tuple[slice, slice]:
    """The rows and columns that hold the mask, with a margin."""
    left, top, right, bottom = bounds_of(mask)
    return (
        slice(max(top - margin, 0), bottom + margin),
        slice(max(left - margin, 0), right + margin),
    )


def _halve(values: _Values) -> _Values:
    return _sum_blocks(values, 2)


def _double(values: _Values, shape: tuple[int, ...]) -> _Values:
    return _enlarge(values, 2, shape)


def _sum_blocks(values: _Values, step: int) -> _Values:
    """Sums over squares of `step` pixels; what is missing at the end counts as 0."""
    if step == 1:
        return values
    height, width = values.shape
    padded = np.pad(values, ((0, -height % step), (0, -width % step)))
    return _blocks(padded, step).sum(axis=(1, 3), dtype=np.float32)


def _blocks(values: Any, step: int) -> Any:
    return values.reshape(len(values) // step, step, -1, step)


def _enlarge(values: _Values, step: int, shape: tuple[int, ...]) -> _Values:
    """Values of squares of `step` pixels, interpolated bilinearly for each pixel of `shape`."""
    if step == 1:
        return values
    from PIL import Image

    height, width = shape[:2]
    box = (0, 0, width / step, height / step)
    picture = Image.fromarray(np.ascontiguousarray(values, dtype=np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _smoothstep(share: _Values) -> _Values:
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def _to_bytes(values: _Values) -> _Pixels:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
