"""Partial pictures as tokens: which cells of a picture are known, and what they hold.

A cell is unknown as soon as one of its pixels lies in the hole. What stood in the hole must not show
in the tokens around it, so it is painted over with colours that flow in from outside before anything
is encoded.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.compositing.blending import fill_hole
from nuwa_cli.compositing.shapes import bounds_of
from nuwa_cli.tasks.inputs import Bytes, Mask
from nuwa_cli.tasks.plan import Box
from nuwa_cli.tasks.toolkit import Toolkit

UNKNOWN = -1


def known_outside(frames: Bytes, hole: Mask, toolkit: Toolkit) -> Tensor:
    """Tokens (1, T, h, w) of frames (T, S, S, 3), -1 in every cell that the hole (T, S, S) touches.

    Raises UsageError for frames that are not of the model's size.
    """
    filled = np.stack([fill_hole(frame, part) for frame, part in zip(frames, hole, strict=True)])
    tokens = toolkit.picture_tokens(filled)
    return tokens.where(~touched_cells(hole, toolkit), UNKNOWN)


def touched_cells(hole: Mask, toolkit: Toolkit) -> Tensor:
    """bool (1, T, h, w): the cells of the grid with at least one pixel in the hole (T, S, S)."""
    pixels = torch.from_numpy(hole).float()[:, None]
    cells = (toolkit.config.grid_height, toolkit.config.grid_width)
    return F.adaptive_max_pool2d(pixels, cells)[None, :, 0] > 0


def place_of(hole: Mask) -> Box:
    """The box around a hole (T, S, S) in all its frames: center x, center y, width and height as
    shares of the frame. The hole must not be empty."""
    height, width = hole.shape[-2:]
    left, top, right, bottom = bounds_of(hole)
    x0, x1, y0, y1 = left / width, right / width, top / height, bottom / height
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


def pad_frames(tokens: Tensor, num_frames: int) -> Tensor:
    """Known frames (1, t, h, w) followed by unknown ones: (1, num_frames, h, w)."""
    return F.pad(tokens, (0, 0, 0, 0, 0, num_frames - tokens.shape[1]), value=UNKNOWN)
