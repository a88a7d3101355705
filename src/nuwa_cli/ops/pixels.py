"""Levels 0 … 255, as files have them, and pixels in [-1, 1], as the nets see them."""

from __future__ import annotations

import torch
from torch import Tensor


def to_pixels(levels: Tensor) -> Tensor:
    """Levels 0 … 255 of any type and shape → pixels in [-1, 1], float32."""
    return levels.float().div(127.5).sub(1.0)


def to_levels(pixels: Tensor) -> Tensor:
    """Pixels of any shape → the nearest levels, uint8; what lies outside [-1, 1] is black or full."""
    return pixels.float().add(1.0).mul(127.5).round().clamp(0, 255).to(torch.uint8)
