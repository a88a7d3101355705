"""The region of a picture or clip that a task repaints: shapes, a mask file, transparency.

All that is given is united, then inverted if asked. White means repaint.

Invariants: a text that does not parse is refused before anything is read (`check`); a region that
would repaint nothing is refused, never returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.compositing.shapes import Kind, check_shape, draw_shape
from nuwa_cli.errors import UsageError
from nuwa_cli.media.reading import Picture, kind_of, read_clip, read_picture

Region = np.ndarray[Any, np.dtype[np.bool_]]
"""True is repainted; (H, W), or (T, H, W) where it moves."""
_Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_HALF = 128  # of mask values and of alpha
_MAX_FEATHER = 10_000
_LUMA = np.array([299, 587, 114], dtype=np.int32)  # thousandths, ITU-R BT.601

_TINT = np.array((235, 45, 60), dtype=np.float32)
_TINT_SHARES = np.array((0.35, 0.55), dtype=np.float32)  # of the two stripes
_DARK, _LIGHT = (70, 0, 10), (255, 255, 255)
_STRIPE = 8  # pixels of a picture of 256
_PREVIEW_SIZE = 256


@dataclass(frozen=True)
class RegionSpec:
    """What the user said: shapes as `compositing/shapes.py` writes them, a mask picture or clip, the
    picture's own transparency; `feather` is in pixels of the picture."""

    boxes: tuple[str, ...] = ()
    ellipses: tuple[str, ...] = ()
    polygons: tuple[str, ...] = ()
    mask: Path | None = None
    use_alpha: bool = False
    invert: bool = False
    feather: float = 0.0

    @property
    def is_empty(self) -> bool:
        """Whether nothing names a region (`invert` alone does not)."""
        return not (self.boxes or self.ellipses or self.polygons or self.mask or self.use_alpha)

    def check(self) -> None:
        """Raises UsageError for a text that does not parse or a feather that is no length."""
        for kind, text in self.shapes():
            check_shape(kind, text)
        if not 0 <= self.feather <= _MAX_FEATHER:
            raise UsageError(
                f"feather '{self.feather:g}': is no length; give 0 … {_MAX_FEATHER} pixels"
            )

    def shapes(self) -> Iterator[tuple[Kind, str]]:
        """Every shape with its kind."""
        yield from (("box", text) for text in self.boxes)
        yield from (("ellipse", text) for text in self.ellipses)
        yield from (("polygon", text) for text in self.polygons)


def build_mask(spec: RegionSpec, height: int, width: int, alpha: _Pixels | None = None) -> Region:
    """The region in a picture (height, width) with this alpha (H, W), as bool (H, W).

    Raises UsageError: a shape lies outside, the mask has another size, nothing is left to repaint.
    Raises InputError for a mask file that cannot be read.
    """
    region = _draw(spec, height, width)
    if spec.use_alpha:
        if alpha is None:
            raise UsageError(
                "option '--alpha': no part of the picture is transparent; give --box or --mask"
            )
        region |= alpha < _HALF
    if spec.mask is not None:
        region |= _white(read_picture(spec.mask), spec.mask, height, width)
    return _finish(spec, region)


def build_masks(
    spec: RegionSpec,
    height: int,
    width: int,
    num_frames: int,
    *,
    fps: float | None = None,
    start: float = 0.0,
) -> Region:
    """The region in every frame of a clip, as bool (T, H, W).

    A mask that is a clip itself is read as the clip was (`fps`, `start`); where it is shorter, its
    last frame stays. Raises UsageError and InputError as `build_mask`.
    """
    if spec.use_alpha or spec.mask is None or kind_of(spec.mask) == "picture":
        return np.repeat(build_mask(spec, height, width)[None], num_frames, axis=0)
    clip = read_clip(spec.mask, fps=fps, max_frames=num_frames, start=start)
    moving = [_white(Picture(frame), spec.mask, height, width) for frame in clip.frames]
    moving += [moving[-1]] * (num_frames - len(moving))
    return _finish(spec, np.stack(moving) | _draw(spec, height, width))


def preview(pixels: _Pixels, mask: Region) -> _Pixels:
    """The picture (H, W, 3) with the region (H, W) striped in red and outlined, as uint8."""
    unit = max(1, min(mask.shape) // _PREVIEW_SIZE)
    rows, columns = np.nonzero(mask)
    share = _TINT_SHARES[(rows + columns) // (_STRIPE * unit) % 2, None]
    shown = pixels.copy()
    shown[mask] = np.rint(pixels[mask] * (1 - share) + _TINT * share)
    shown[mask & ~_shrunk(mask, 2 * unit)] = _LIGHT
    shown[~mask & ~_shrunk(~mask, unit)] = _DARK
    return shown


def _draw(spec: RegionSpec, height: int, width: int) -> Region:
    region = np.zeros((height, width), dtype=bool)
    for kind, text in spec.shapes():
        region |= draw_shape(kind, text, height, width)
    return region


def _white(picture: Picture, path: Path, height: int, width: int) -> Region:
    """The white part of a mask; if it has transparency, of what is painted. A mask painted in dark
    colours only, on nothing, means what is painted."""
    given_height, given_width = picture.pixels.shape[:2]
    if (given_height, given_width) != (height, width):
        raise UsageError(
            f"mask '{path}': is {given_width}x{given_height}, the picture is {width}x{height}; "
            "give a mask of the same size"
        )
    white = picture.pixels @ _LUMA >= _HALF * _LUMA.sum()
    if picture.alpha is None:
        return white
    painted = picture.alpha >= _HALF
    return painted & white if (painted & white).any() else painted


def _finish(spec: RegionSpec, region: Region) -> Region:
    if spec.invert:
        region = ~region
    if not region.any():
        why = "is everything, and inverted nothing" if spec.invert else "covers no pixel"
        raise UsageError(
            f"region '{_words(spec)}': {why}; white means repaint, --mask-invert swaps the two"
        )
    return region


def _words(spec: RegionSpec) -> str:
    """The region as the user wrote it."""
    words = [f"--{kind} {text}" for kind, text in spec.shapes()]
    words += [f"--mask {spec.mask}"] if spec.mask else []
    words += ["--alpha"] * spec.use_alpha + ["--mask-invert"] * spec.invert
    return " ".join(words)


def _shrunk(mask: Region, steps: int) -> Region:
    """The mask without what is within `steps` pixels of its border; the picture's edge is none."""
    for _ in range(steps):
        around = np.pad(mask, 1, mode="edge")
        mask = mask & around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return mask
