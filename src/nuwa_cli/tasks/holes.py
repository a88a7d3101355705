"""Partial pictures as tokens: which cells of a picture are known, and what they hold.

A cell is unknown as soon as one of its pixels lies in the hole. What stood in the hole never shows in the
tokens around it: the tokenizer encodes around it, defect-free (NÜWA-LIP).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.compositing.shapes import bounds_of
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.ops.samples import sample_pixels
from nuwa_cli.tasks.inputs import Bytes, CompletionEngine, Mask
from nuwa_cli.tasks.plan import Box, Plan
from nuwa_cli.tasks.toolkit import Toolkit

UNKNOWN = -1


def known_outside(frames: Bytes, hole: Mask, toolkit: Toolkit) -> Tensor:
    """Tokens (1, T, h, w) of frames (T, S, S, 3), -1 in every cell that the hole (T, S, S) touches.

    Raises UsageError for frames that are not of the model's size.
    """
    tokens = toolkit.picture_tokens(frames, hole)
    return tokens.where(~touched_cells(hole, toolkit), UNKNOWN)


def complete(plan: Plan, frames: Bytes, hole: Mask, engine: CompletionEngine) -> Plan:
    """The plan with what the completion engine sees of frames (T, S, S, 3) outside the hole (T, S, S): in
    three perspectives, tokens, low-level pixels and the plan's text (`lip`), or nothing but the known
    tokens that it has already (`nuwa`)."""
    plan = replace(plan, frames=frames, hole=hole)
    if engine == "nuwa":
        return plan
    pixels = thumbnails(frames, hole, plan.grid)
    return replace(plan, canvas=plan.known_tokens, pixels=pixels)


def touched_cells(hole: Mask, toolkit: Toolkit) -> Tensor:
    """bool (1, T, h, w): the cells of the grid with at least one pixel in the hole (T, S, S)."""
    pixels = torch.from_numpy(hole).float()[:, None]
    cells = (toolkit.config.grid_height, toolkit.config.grid_width)
    return F.adaptive_max_pool2d(pixels, cells)[None, :, 0] > 0


def thumbnails(frames: Bytes, hole: Mask, grid: GridShape) -> Tensor:
    """Low-level pixels of the first of frames (T, S, S, 3) outside its hole (T, S, S), averaged to 4 × 4
    samples a cell: float (1, 4, 4h, 4w), RGB in [-1, 1] times the known share, and that share."""
    pixels = to_pixels(torch.from_numpy(frames[0]).permute(2, 0, 1)[None])
    return sample_pixels(pixels, torch.from_numpy(hole[0])[None, None], grid)


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
