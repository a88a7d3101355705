"""Sketches as people draw them: the world's class maps, some of them simplified.

A map of the world follows every leg and leaf. A hand draws blobs. So a share of the training maps is
rounded: shrunk to a coarse map of class shares, blown up smoothly, and the largest share wins.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.sketches.palette import NUM_SKETCH_CLASSES

_COARSEST, _FINEST = 12, 40  # cells along one axis of a simplified map


def simplify(classes: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Class maps (b, T, S, S) uint8, a `share` of the b simplified, each all along its frames."""
    simplified = classes.clone()
    for index in range(len(classes)):
        chance, coarse = torch.rand(2, generator=generator).tolist()
        if chance < share:
            cells = round(_COARSEST + (_FINEST - _COARSEST) * coarse)
            simplified[index] = _rounded(classes[index], min(cells, classes.shape[-1]))
    return simplified


def _rounded(classes: Tensor, cells: int) -> Tensor:
    size = classes.shape[-1]
    present = torch.unique(classes)
    planes = (classes[:, None] == present[None, :, None, None]).float()  # (T, k, S, S)
    coarse = F.adaptive_avg_pool2d(planes, cells)
    smooth = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
    rounded: Tensor = present[smooth.argmax(dim=1)]
    return rounded


def class_weights(classes: Tensor, power: float) -> Tensor:
    """Weight of each class (k,) in a batch of maps: its frequency to the power of -`power`, so that
    the mean over pixels is 1; small things count more than sky."""
    counts = torch.bincount(classes.flatten().long(), minlength=NUM_SKETCH_CLASSES).float()
    frequency = counts / counts.sum()
    weights = frequency.clamp(min=1e-6).pow(-power) * (counts > 0)
    return weights / (weights * frequency).sum()
