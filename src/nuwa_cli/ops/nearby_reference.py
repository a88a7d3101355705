"""3D Nearby Attention written as the paper writes it: the specification.

For a target position (i, j, k) with query q = X(i,j,k)·W_Q, the neighborhood N of the mapped position
(i', j', k') in C gives K = N·W_K and V = N·W_V, and

    y(i, j, k) = softmax(q·Kᵀ / √d) · V.

C = X is self-attention, C ≠ X cross-attention. Here W_Q, W_K and W_V are already applied. Slow and
obvious: every neighbor of every query is gathered. The fast forms have the same signature and are
tested against this one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.ops.grid import GridShape, coordinates, map_coordinates
from nuwa_cli.ops.neighborhood import Extent, Order, check_order, is_neighbor


@dataclass(frozen=True)
class AlwaysVisible:
    """Keys and values that every query sees besides its neighborhood: BOS, or the text.

    The paper's extent of text is (1, 1, ∞). `mask` says which slots of which sample exist.
    """

    keys: Tensor  # (b or 1, heads, a, c)
    values: Tensor  # (b or 1, heads, a, c)
    mask: Tensor | None = None  # bool (b, a); None = all exist


def nearby_attention_reference(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    always: AlwaysVisible | None = None,
    present: Tensor | None = None,
) -> Tensor:
    """Attend from `grid` to the neighborhoods in `source`.

    Args:
        q: (b, heads, n, c), n = tokens of `grid` in raster order.
        k, v: (b, heads, m, c), m = tokens of `source`.
        always: slots visible to every query, in the same softmax.
        present: bool (b,); False takes all of k and v away from that sample.

    Returns: (b, heads, n, c). A query that sees nothing at all gets NaN.
    """
    check_order(grid, source, order)
    center = map_coordinates(coordinates(grid, q.device), grid, source)  # (n, 3)
    frames, rows, columns = (torch.arange(-r, r + 1, device=q.device) for r in extent.radius)
    offsets = torch.cartesian_prod(frames, rows, columns).view(-1, 3)  # (m', 3)
    neighbor = center[:, None] + offsets  # (n, m', 3)
    sides = torch.tensor(source.sides, device=q.device)
    inside = ((neighbor >= 0) & (neighbor < sides)).all(dim=-1)
    visible = inside & is_neighbor(center[:, None], neighbor, extent, order)  # (n, m')
    frame, row, column = neighbor.clamp(min=0).minimum(sides - 1).unbind(dim=-1)
    index = (frame * source.height + row) * source.width + column

    scores = (q.unsqueeze(3) * k[:, :, index]).sum(dim=-1)  # (b, heads, n, m')
    seen = visible.expand(q.shape[0], 1, -1, -1)
    if present is not None:
        seen = seen & present.view(-1, 1, 1, 1)
    scores = scores.masked_fill(~seen, -math.inf)
    values = v[:, :, index]  # (b, heads, n, m', c)
    if always is not None:
        extra = q @ always.keys.to(q).transpose(-1, -2)
        if always.mask is not None:
            extra = extra.masked_fill(~always.mask[:, None, None], -math.inf)
        scores = torch.cat((extra, scores), dim=-1)
        slots = always.values.to(v).expand(q.shape[0], -1, -1, -1).unsqueeze(2)
        values = torch.cat((slots.expand(-1, -1, q.shape[2], -1, -1), values), dim=3)
    weights = (scores / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return (weights.unsqueeze(3) @ values).squeeze(3)
