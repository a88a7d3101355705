"""Matrix products of several items at once, each item bit for bit as it would be alone.

A product with more rows may go to a kernel that adds in another order, and then rounds differently. Which
numbers of rows do depends on processor, library, number format and threads, so it is found out: the first
time that a shape comes up, both ways are tried and compared. Where they differ, the items are multiplied one
after another.

The trial needs numbers that show the order of adding: a bfloat16 result hides nearly all differences of its
float32 sum. Here all terms cancel in pairs, and what is left is rounding alone.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_Shape = tuple[object, ...]

_LEFT = 1e-6  # size of what rounding leaves of terms near 1 that cancel

_IS_EXACT: dict[_Shape, bool] = {}


def joint_linear(layer: nn.Linear, x: Tensor, items: int) -> Tensor:
    """`layer` of x (b, n, d), whose rows b belong to `items` items of equal size."""
    return joint_product(x, layer.weight, layer.bias, items)


def joint_product(x: Tensor, weight: Tensor, bias: Tensor | None, items: int) -> Tensor:
    """x (b, n, d) times weight (v, d), plus bias: (b, n, v)."""
    if items == 1:
        return _product(x, weight, bias)
    has_bias = bias is not None
    shape = (items, *x.shape, *weight.shape, has_bias, x.dtype, x.device, torch.get_num_threads())
    is_exact = _IS_EXACT.get(shape)
    if is_exact is None:
        is_exact = _IS_EXACT[shape] = _is_exact(x, weight, bias, items)
    if is_exact:
        return F.linear(x, weight, bias)
    return _apart(x, weight, bias, items)


def _apart(x: Tensor, weight: Tensor, bias: Tensor | None, items: int) -> Tensor:
    return torch.cat([_product(part, weight, bias) for part in x.chunk(items)])


def _is_exact(x: Tensor, weight: Tensor, bias: Tensor | None, items: int) -> bool:
    """Whether a product of these shapes gives each item what it gets alone."""
    rows, columns = _trial(x.shape, sign=1).to(x), _trial_weight(weight.shape).to(weight)
    if bias is not None:  # as small as what is left, or it would hide that
        bias = torch.randn(bias.shape, generator=_generator(2)).to(bias) * _LEFT
    return torch.equal(F.linear(rows, columns, bias), _apart(rows, columns, bias, items))


@functools.lru_cache(maxsize=16)
def _trial_weight(shape: torch.Size) -> Tensor:
    return _trial(shape, sign=-1)


def _trial(shape: torch.Size, *, sign: int) -> Tensor:
    """Numbers whose products with those of the other sign cancel in pairs."""
    pairs = (shape[-1] + 1) // 2
    order = torch.randperm(2 * pairs, generator=_generator(0))[: shape[-1]]
    half = torch.randn(*shape[:-1], pairs, generator=_generator(sign))
    return torch.cat((half, sign * half), dim=-1)[..., order]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The product of one item; a single row takes the matrix-vector product, twice as fast on a CPU."""
    if bias is None and x.device.type == "cpu" and x.shape[:2] == (1, 1):
        return torch.mv(weight, x[0, 0])[None, None]
    return F.linear(x, weight, bias)
