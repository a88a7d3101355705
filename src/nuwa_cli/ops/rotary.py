"""Axial rotary embedding over (frame, row, column).

The channels of a head are cut into three parts, one per axis; each pair of channels of a part turns
by an angle proportional to the coordinate. The dot product of a rotated query and a rotated key then
depends on their offset only, so positions may run on without end. The windows of 3DNA are a few cells
wide, so the slowest pair still turns by about 1/10 radian per cell (`_BASE`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from nuwa_cli.ops.grid import GridShape, coordinates

_BASE = 10.0


def rotary_table(coords: Tensor, head_dim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and signed sine for coordinates (n, 3): two tensors (n, head_dim).

    Channel c is paired with channel c + head_dim/2; the sine of the first half is negated, so that
    rotation is x·cos + swap_halves(x)·sin.
    """
    pairs = head_dim // 2
    frame_pairs = pairs // 4
    row_pairs = (pairs - frame_pairs) // 2
    angles = []
    for axis, count in enumerate((frame_pairs, row_pairs, pairs - frame_pairs - row_pairs)):
        # float64: a frame number may grow without bound in endless video
        steps = torch.arange(count, device=coords.device, dtype=torch.float64) / max(count, 1)
        angles.append(coords[:, axis : axis + 1].double() * _BASE**-steps)
    angle = torch.cat(angles, dim=1)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat((cos, cos), dim=1).to(dtype), torch.cat((-sin, sin), dim=1).to(dtype)


@lru_cache(maxsize=32)
def grid_rotary_table(
    grid: GridShape, head_dim: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """`rotary_table` of a whole grid in raster order, kept for the next call."""
    with torch.inference_mode(False):  # what is kept must also serve a later backward pass
        return rotary_table(coordinates(grid, device), head_dim, dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the last axis of x by the table; cos and sin broadcast to x. Differentiable in x."""
    rotated: Tensor = _Rotate.apply(x, cos, sin)  # type: ignore[no-untyped-call]
    return rotated


def split_rotated(qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys turned, values as they are: (b, n, 3, heads, c) → three (b, heads, n, c).

    One step for what would be a split, two transpositions and two rotations: training on a CPU is
    bound by such passes over memory. Differentiable in qkv.
    """
    q, k, v = _SplitRotated.apply(qkv, cos, sin)  # type: ignore[no-untyped-call]
    return q, k, v


class _Rotate(torch.autograd.Function):
    # The composed form keeps three intermediate tensors for the backward pass; the gradient of a
    # rotation is the rotation back, which needs none.

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.table = (cos, sin)
        return _turn(x, cos, sin)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.table
        return _turn(grad, cos, -sin), None, None


class _SplitRotated(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, qkv: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        ctx.table = (cos, sin)
        heads_first = qkv.permute(2, 0, 3, 1, 4).contiguous()  # (3, b, heads, n, c)
        q, k = _turn(heads_first[:2], cos, sin).unbind(0)
        return q, k, heads_first[2]

    @staticmethod
    def backward(
        ctx: Any, grad_q: Tensor, grad_k: Tensor, grad_v: Tensor
    ) -> tuple[Tensor, None, None]:
        cos, sin = ctx.table
        b, heads, n, c = grad_q.shape
        grad = grad_q.new_empty(b, n, 3, heads, c)
        grad[:, :, 0] = _turn(grad_q, cos, -sin).transpose(1, 2)
        grad[:, :, 1] = _turn(grad_k, cos, -sin).transpose(1, 2)
        grad[:, :, 2] = grad_v.transpose(1, 2)
        return grad, None, None


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    swapped = x.roll(x.shape[-1] // 2, dims=-1)
    return torch.addcmul(x * cos, swapped, sin)
