"""Detail that tokens cannot hold, carried from a given frame into the frames after it.

A decoded frame is softer than the picture it was encoded from. Where nothing changes, the given pixels
themselves go on standing: a cell that keeps the token of the given frame shows them, so a static
background stays as sharp as it was and does not jump when the drawn frames begin. Weights run smoothly
from cell to cell. (Adding what the tokens lost, given - decoded, to the drawn frame instead leaves
ghosts of stars and edges wherever the decoder renders a cell differently beside a new neighbour.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from nuwa_cli.api.generated import Tokens
from nuwa_cli.tasks.inputs import Bytes

Weights = np.ndarray[Any, np.dtype[np.uint8]]


def unchanged(tokens: Tokens, reference: Tokens, size: int) -> Weights:
    """How much of each pixel lies in cells that keep their token: (t, h, w) against (h, w) →
    uint8 (t, S, S), 255 = all of it."""
    same = torch.from_numpy(tokens == reference).float()[:, None]
    smooth = F.interpolate(same, size=(size, size), mode="bilinear", align_corners=False)
    return (smooth[:, 0] * 255).round().to(torch.uint8).numpy()


def carry_detail(drawn: Bytes, given: Bytes, weights: Weights) -> Bytes:
    """Frames (T, H, W, 3), cross-faded by weights (T, H, W) to the given one (H, W, 3)."""
    result = np.empty_like(drawn)
    for frame, weight, target in zip(drawn, weights, result, strict=True):
        share = weight[..., None] / np.float32(255)
        target[:] = np.rint(frame + share * (given - frame.astype(np.float32)))
    return result
