"""Low-level pixels of the known part of a picture, a few samples for each cell of a token grid.

This is what NÜWA-LIP's second perspective looks at; training and the tasks sample alike.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.ops.grid import GridShape

SAMPLES = 4
"""Samples of a cell along each axis."""


def sample_pixels(pixels: Tensor, hole: Tensor, grid: GridShape) -> Tensor:
    """Pixels (b, 3, H, W) in [-1, 1] outside a hole, bool (b, 1, H, W) → (b, 4, 4h, 4w): the mean over
    each sample of RGB times the known share, and that share. What stands in the hole has no influence.
    """
    known = (~hole).to(pixels.dtype)
    size = (SAMPLES * grid.height, SAMPLES * grid.width)
    return F.adaptive_avg_pool2d(torch.cat((pixels * known, known), dim=1), size)
