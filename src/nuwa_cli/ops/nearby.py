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

from typing import Literal, get_args

from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby_matmul import nearby_attention_matmul
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
    chosen = ("matmul" if q.device.type == "cpu" else "sdpa") if backend == "auto" else backend
    source = grid if source is None else source
    if chosen == "reference":
        attend = nearby_attention_reference
    elif chosen == "matmul":
        attend = nearby_attention_matmul
    elif chosen == "sdpa":
        attend = nearby_attention_sdpa
    elif chosen == "xformers":
        from nuwa_cli.ops.nearby_xformers import nearby_attention_xformers as attend
    elif chosen == "flex":
        from nuwa_cli.ops.nearby_flex import nearby_attention_flex as attend
    else:
        raise UsageError(f"attention '{chosen}': unknown; choose one of {', '.join(BACKENDS)}")
    return attend(
        q,
        k,
        v,
        grid=grid,
        source=source,
        extent=extent,
        order=order,
        always=always,
        present=present,
    )
