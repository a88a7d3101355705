"""What the user gives a task besides the prompt, at any size.

Arrays come in many shapes; here they are brought into one each and checked, so that whatever is wrong
is said in the user's terms. Nothing is resampled yet (`fitting`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from nuwa_cli.compositing.fitting import FIT_MODES
from nuwa_cli.errors import UsageError
from nuwa_cli.media.stills import Picture
from nuwa_cli.sketches.palette import NUM_SKETCH_CLASSES
from nuwa_cli.tasks.inputs import ENGINES, Bytes, CompletionEngine, Mask

FitMode = Literal["crop", "pad", "stretch"]


@dataclass(frozen=True, kw_only=True)
class Given:
    """Pictures, sketches and regions of one job. Raises UsageError where they do not fit together."""

    frames: Bytes | None = None  # (T, H, W, 3); a picture has T = 1
    alpha: Bytes | None = None  # (H, W), of a picture with transparency
    sketch: Bytes | None = None  # (T, H, W) class ids
    masks: Mask | None = None  # (T or 1, H, W): True is repainted
    keep_first: int = 0  # frames that an edit leaves alone
    feather: float = 0.0  # pixels of the picture, inward
    fit: FitMode | None = None  # None: what suits the task
    engine: CompletionEngine = "lip"  # how a hole is filled
    sources: tuple[dict[str, str], ...] = ()  # name and sha256 of each file, for the recipe
    region: dict[str, Any] = field(default_factory=dict)  # how it was described, for the recipe

    def __post_init__(self) -> None:
        if self.fit is not None and self.fit not in FIT_MODES:
            raise UsageError(f"fit '{self.fit}': unknown; use {', '.join(FIT_MODES)}")
        if self.engine not in ENGINES:
            raise UsageError(f"engine '{self.engine}': unknown; use {', '.join(ENGINES)}")
        if not 0.0 <= self.feather <= 10_000:
            raise UsageError(f"feather '{self.feather}': out of range; give 0 … 10000 pixels")
        if self.keep_first:
            self._check_kept()
        if self.masks is not None:
            self._check_masks(self.masks)

    def _check_kept(self) -> None:
        count = 0 if self.frames is None else len(self.frames)
        if not 0 < self.keep_first < count:
            raise UsageError(
                f"keep-first '{self.keep_first}': the clip has {count} frames; give 0 … {count - 1}"
            )

    def _check_masks(self, masks: Mask) -> None:
        if self.frames is None:
            raise UsageError("mask: there is no picture that it belongs to; give one")
        count, height, width = self.frames.shape[:3]
        if masks.shape[1:] != (height, width):
            raise UsageError(
                f"mask of {masks.shape[2]}x{masks.shape[1]} pixels for a picture of "
                f"{width}x{height}; give a mask of the same size"
            )
        if len(masks) not in (1, count):
            raise UsageError(f"mask of {len(masks)} frames for {count}; give one, or one a frame")
        kept = self.keep_first if len(masks) > 1 else 0
        if not masks[kept:].any():
            raise UsageError(
                "mask: covers no pixel of a frame that is not kept; True means repaint"
            )

    @property
    def seen(self) -> Bytes:
        """Frames (T, H, W, 3) as they look: transparent parts on white paper."""
        assert self.frames is not None
        if self.alpha is None:
            return self.frames
        return Picture(self.frames[0], self.alpha).on_white()[None]


def as_frames(pixels: Any, what: str = "picture") -> Bytes:
    """(H, W, 3) or (T, H, W, 3) uint8 → (T, H, W, 3). Raises UsageError for anything else."""
    array = np.asarray(pixels)
    if array.ndim == 3:
        array = array[None]
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3 or array.size == 0:
        raise UsageError(
            f"{what} of shape {array.shape}, {array.dtype}: give uint8 (H, W, 3) or (T, H, W, 3)"
        )
    return np.ascontiguousarray(array)


def as_sketch(classes: Any) -> Bytes:
    """Class ids (H, W) or (T, H, W) → uint8 (T, H, W). Raises UsageError for anything else."""
    array = np.asarray(classes)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        raise UsageError(
            f"sketch of shape {array.shape}, {array.dtype}: give class ids (H, W) or (T, H, W)"
        )
    if array.min() < 0 or array.max() >= NUM_SKETCH_CLASSES:
        raise UsageError(
            f"sketch: has class ids {array.min()} … {array.max()}; "
            f"give 0 … {NUM_SKETCH_CLASSES - 1}, see nuwa palette"
        )
    return np.ascontiguousarray(array, dtype=np.uint8)


def as_masks(mask: Any) -> Mask:
    """(H, W) or (T, H, W) → bool (T, H, W): what is not 0. Raises UsageError for anything else."""
    array = np.asarray(mask)
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.size == 0:
        raise UsageError(f"mask of shape {array.shape}: give (H, W) or (T, H, W)")
    return np.ascontiguousarray(array != 0)
