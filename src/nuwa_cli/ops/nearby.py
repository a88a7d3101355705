"""3D Nearby Attention, fast: one function, several back ends, one meaning.

    reference   every neighbor gathered; the specification
    matmul      row bands as dense products; the default on a CPU
    sdpa        row bands, or one dense mask for small grids, through torch's fused attention
    xformers    row bands with additive masks through memory-efficient attention (CUDA)
    flex        FlexAttention with a block mask (CUDA)

All compute what `nearby_attention_reference` computes, to rounding. The optional kernel libraries are
imported on first use.
"""

from __future__ import annotations

from typing import Literal, Protocol, get_args

import torch.nn.functional as F
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.bands import sample_mask
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby_matmul import attend_slots_matmul, nearby_attention_matmul
from nuwa_cli.ops.nearby_reference import AlwaysVisible, nearby_attention_reference
from nuwa_cli.ops.nearby_sdpa import nearby_attention_sdpa
from nuwa_cli.ops.neighborhood import Extent, Order

Backend = Literal["auto", "reference", "matmul", "sdpa", "xformers", "flex"]
BACKENDS: tuple[str, ...] = get_args(Backend)


def nearby_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    grid: GridShape,
    extent: Extent,
    order: Order,
    source: GridShape | None = None,
    always: AlwaysVisible | None = None,
    present: Tensor | None = None,
    backend: Backend = "auto",
) -> Tensor:
    """Attend from `grid` to the neighborhoods in `source` (the same grid if None).

    Args:
        q: (b, heads, n, c), n = tokens of `grid` in raster order.
        k, v: (b, heads, m, c), m = tokens of `source`.
        extent: full odd window widths.
        order: full, causal or strict (see `neighborhood`).
        always: slots visible to every query, in the same softmax.
        present: bool (b,); False takes all of k and v away from that sample.
        backend: see the table above; "auto" picks by device.

    Returns: (b, heads, n, c).

    Raises UsageError for an unknown back end, and EnvironmentFault where one is not installed.
    """
    attend = _back_end(_by_device(q) if backend == "auto" else backend)
    return attend(
        q,
        k,
        v,
        grid=grid,
        source=grid if source is None else source,
        extent=extent,
        order=order,
        always=always,
        present=present,
    )


def attend_slots(q: Tensor, slots: AlwaysVisible) -> Tensor:
    """Plain attention of every query to the slots, for text: (b, heads, n, c) → the same."""
    if q.device.type == "cpu":
        return attend_slots_matmul(q, slots)
    mask = sample_mask(slots, None, q.dtype)
    additive = None if mask is None else mask.slots[:, None, None]
    return F.scaled_dot_product_attention(
        q, slots.keys.to(q.dtype), slots.values.to(q.dtype), attn_mask=additive
    )


class _BackEnd(Protocol):
    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        grid: GridShape,
        source: GridShape,
        extent: Extent,
        order: Order,
        always: AlwaysVisible | None,
        present: Tensor | None,
    ) -> Tensor: ...


def _by_device(q: Tensor) -> str:
    return "matmul" if q.device.type == "cpu" else "sdpa"


def _back_end(name: str) -> _BackEnd:
    if name == "reference":
        return nearby_attention_reference
    if name == "matmul":
        return nearby_attention_matmul
    if name == "sdpa":
        return nearby_attention_sdpa
    if name == "xformers":
        from nuwa_cli.ops.nearby_xformers import nearby_attention_xformers

        return nearby_attention_xformers
    if name == "flex":
        from nuwa_cli.ops.nearby_flex import nearby_attention_flex

        return nearby_attention_flex
    raise UsageError(f"attention '{name}': unknown; choose one of {', '.join(BACKENDS)}")
