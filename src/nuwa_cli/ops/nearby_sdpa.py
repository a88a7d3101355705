"""3DNA through torch's fused attention: one dense mask for small grids, row bands for larger ones.

The portable form for devices with a good fused kernel. Masks are built in the dtype of the query: on
some torch versions a float64 query with a float32 mask silently gives wrong values on a CPU.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa_cli.ops.bands import attend_by_bands, sample_mask
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.neighborhood import Extent, Order, visible_mask

DENSE_LIMIT = 512
"""Grids of up to this many source tokens are attended whole under one mask."""


def nearby_attention_sdpa(
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
    dense_limit: int = DENSE_LIMIT,
) -> Tensor:
    """See `nearby_attention_reference`."""
    if source.num_tokens > dense_limit:
        return attend_by_bands(
            q,
            k,
            v,
            grid=grid,
            source=source,
            extent=extent,
            order=order,
            always=always,
            present=present,
            kernel=_fused,
        )
    num_always = 0
    if always is not None:
        num_always = always.keys.shape[2]
        k = torch.cat((always.keys.to(k.dtype).expand(k.shape[0], -1, -1, -1), k), dim=2)
        v = torch.cat((always.values.to(v.dtype).expand(v.shape[0], -1, -1, -1), v), dim=2)
    mask = _dense_mask(grid, source, extent, order, num_always, q.dtype, q.device)
    hidden = sample_mask(always, present, q.dtype)
    if hidden is not None:
        mask = mask + hidden.over(source.num_tokens)[:, None, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@lru_cache(maxsize=16)
def _dense_mask(
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    num_always: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    with torch.inference_mode(False):  # what is kept must also serve a later backward pass
        seen = visible_mask(grid, source, extent, order)
        always = torch.ones(grid.num_tokens, num_always, dtype=torch.bool)
        hidden = ~torch.cat((always, seen), dim=1)
        return torch.zeros(hidden.shape).masked_fill(hidden, -math.inf).to(device, dtype)
