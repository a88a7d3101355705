"""3DNA through xFormers' memory-efficient attention (CUDA): row bands with an additive bias.

xFormers has no element-exact three-dimensional window, so exactness comes from the bias of each band
(`decode.md` part 2). Its kernel wants every stride of the bias but the last to be a multiple of 8, so
the key axis is padded in memory and sliced back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

from nuwa_cli.errors import EnvironmentFault
from nuwa_cli.ops.bands import attend_by_bands
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.neighborhood import Extent, Order

_ALIGNMENT = 8

MemoryEfficientAttention = Callable[..., Tensor]
"""(b, n, heads, c), (b, m, heads, c) twice, attn_bias (b, heads, n, m) → (b, n, heads, c)."""


def nearby_attention_xformers(
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
    attend: MemoryEfficientAttention | None = None,
) -> Tensor:
    """See `nearby_attention_reference`. `attend` stands in for the library's function.

    Raises EnvironmentFault without CUDA tensors or without the library.
    """
    attend = _library_function(q) if attend is None else attend

    def kernel(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        batch, heads, n, _ = queries.shape
        bias = aligned(mask).expand(batch, heads, n, mask.shape[-1])
        result = attend(
            queries.transpose(1, 2),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_bias=bias,
        )
        return result.transpose(1, 2)

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
        kernel=kernel,
    )


def aligned(mask: Tensor) -> Tensor:
    """The same values with rows that begin at multiples of 8 elements in memory."""
    length = mask.shape[-1]
    return F.pad(mask, (0, -length % _ALIGNMENT))[..., :length]


def _library_function(q: Tensor) -> MemoryEfficientAttention:
    if q.device.type != "cuda":
        raise EnvironmentFault(
            f"attention 'xformers': its kernels need CUDA, not {q.device.type}; use --attention auto"
        )
    try:
        from xformers.ops import memory_efficient_attention
    except ImportError as error:
        raise EnvironmentFault(
            f"attention 'xformers': not importable ({error}); install xformers or use "
            "--attention auto"
        ) from error
    found: MemoryEfficientAttention = memory_efficient_attention
    return found
