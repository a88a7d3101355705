"""3DNA through PyTorch's FlexAttention: the neighborhood as a mask function, compiled for CUDA.

Always-visible slots are put in front of the keys. The block mask of a grid is built once. On a CPU the
uncompiled form runs, for tests only: it computes every score.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from nuwa_cli.ops.grid import GridShape, coordinates, map_coordinates
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.neighborhood import Extent, Order, check_order

MaskFunction = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def nearby_attention_flex(
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
    """See `nearby_attention_reference`."""
    check_order(grid, source, order)
    num_slots = 0
    if always is not None:
        num_slots = always.keys.shape[2]
        k = torch.cat((always.keys.to(k.dtype).expand(k.shape[0], -1, -1, -1), k), dim=2)
        v = torch.cat((always.values.to(v.dtype).expand(v.shape[0], -1, -1, -1), v), dim=2)
    slot_mask = None if always is None else always.mask
    if slot_mask is None and present is None:
        mask = _grid_mask(grid, source, extent, order, num_slots, q.device)
    else:
        visible = _per_sample(
            _neighbor_function(grid, source, extent, order, num_slots, q.device),
            num_slots,
            slot_mask,
            present,
        )
        mask = create_block_mask(
            visible, q.shape[0], None, grid.num_tokens, k.shape[2], device=q.device
        )
    attend = _kernel(q.device.type)
    result: Tensor = attend(q.contiguous(), k.contiguous(), v.contiguous(), block_mask=mask)
    return result


@lru_cache(maxsize=2)
def _kernel(device_type: str) -> Callable[..., Any]:
    function: Callable[..., Any] = flex_attention
    if device_type == "cpu":
        return function
    compiled: Callable[..., Any] = torch.compile(function, dynamic=False)
    return compiled


@lru_cache(maxsize=16)
def _grid_mask(
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    num_slots: int,
    device: torch.device,
) -> BlockMask:
    num_keys = num_slots + source.num_tokens
    with torch.inference_mode(False):  # what is kept must also serve a later backward pass
        visible = _neighbor_function(grid, source, extent, order, num_slots, device)
        return create_block_mask(visible, None, None, grid.num_tokens, num_keys, device=device)


def _neighbor_function(
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    num_slots: int,
    device: torch.device,
) -> MaskFunction:
    centers = map_coordinates(coordinates(grid, device), grid, source).unbind(dim=1)
    cells = coordinates(source, device).unbind(dim=1)
    radius = extent.radius
    reach = -1 if order == "strict" else 0  # how far behind itself a causal query begins to see

    def visible(_b: Tensor, _h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        cell = (key - num_slots).clamp(min=0)
        near = key >= num_slots
        for center, place, side in zip(centers, cells, radius, strict=True):
            near = near & ((place[cell] - center[query]).abs() <= side)
        if order != "full":
            near = near & (cell <= query + reach)
        return near | (key < num_slots)

    return visible


def _per_sample(
    neighbor: MaskFunction, num_slots: int, slot_mask: Tensor | None, present: Tensor | None
) -> MaskFunction:
    def visible(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
        seen = neighbor(b, h, query, key)
        is_slot = key < num_slots
        if slot_mask is not None:
            seen = seen & (~is_slot | slot_mask[b, key.clamp(max=num_slots - 1)])
        if present is not None:
            seen = seen & (is_slot | present[b])
        return seen

    return visible
