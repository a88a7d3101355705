"""Back ends that need a kernel library or a GPU: their masks, tiling and refusals."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nuwa_cli.errors import EnvironmentFault, UsageError
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby import BACKENDS, nearby_attention
from nuwa_cli.ops.nearby_reference import AlwaysVisible, nearby_attention_reference
from nuwa_cli.ops.nearby_xformers import aligned, nearby_attention_xformers
from nuwa_cli.ops.neighborhood import Extent

GRID = GridShape(3, 5, 4)
HEADS, WIDTH = 2, 8


def random_inputs(
    grid: GridShape, source: GridShape, dtype: torch.dtype = torch.float64, device: str = "cpu"
) -> tuple[Tensor, Tensor, Tensor, AlwaysVisible]:
    q = torch.randn(2, HEADS, grid.num_tokens, WIDTH)
    k, v = torch.randn(2, 2, HEADS, source.num_tokens, WIDTH)
    slots = torch.randn(2, 2, HEADS, 3, WIDTH)
    q, k, v, slots = (x.to(device, dtype) for x in (q, k, v, slots))
    mask = torch.tensor([[True, True, True], [True, False, False]], device=device)
    return q, k, v, AlwaysVisible(*slots, mask)


def plain_softmax(q: Tensor, k: Tensor, v: Tensor, *, attn_bias: Tensor) -> Tensor:
    """What memory-efficient attention computes, with the demands it makes on the bias."""
    b, n, heads, c = q.shape
    assert attn_bias.shape == (b, heads, n, k.shape[1])
    assert attn_bias.stride(-1) == 1
    assert all(stride % 8 == 0 for stride in attn_bias.stride()[:-1])
    scores = torch.einsum("bnhc,bmhc->bhnm", q, k) / math.sqrt(c) + attn_bias
    return torch.einsum("bhnm,bmhc->bnhc", scores.softmax(dim=-1), v)


@pytest.mark.parametrize("order", ["full", "causal", "strict"])
@pytest.mark.parametrize("with_samples", [False, True])
def test_xformers_bands_with_a_plain_kernel(order: Any, with_samples: bool) -> None:
    q, k, v, always = random_inputs(GRID, GRID)
    options: dict[str, Any] = {
        "grid": GRID,
        "source": GRID,
        "extent": Extent(3, 3, 5),
        "order": order,
        "always": always if with_samples else AlwaysVisible(always.keys, always.values),
        "present": torch.tensor([True, False]) if with_samples else None,
    }
    expected = nearby_attention_reference(q, k, v, **options)
    found = nearby_attention_xformers(q, k, v, attend=plain_softmax, **options)
    torch.testing.assert_close(found, expected)


def test_aligned_rows_keep_their_values() -> None:
    mask = torch.randn(3, 1, 5, 13)
    assert torch.equal(aligned(mask), mask)
    assert aligned(mask).stride()[:-1] == (80, 80, 16)


def test_xformers_refuses_a_cpu() -> None:
    q, k, v, _ = random_inputs(GRID, GRID)
    with pytest.raises(EnvironmentFault, match="CUDA"):
        nearby_attention(
            q, k, v, grid=GRID, extent=Extent(3, 3, 3), order="causal", backend="xformers"
        )


@pytest.mark.parametrize("order", ["full", "causal", "strict"])
@pytest.mark.parametrize("with_samples", [False, True])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_flex_masks(order: Any, with_samples: bool) -> None:
    source = GridShape(2, 3, 4) if order == "full" else GRID
    q, k, v, always = random_inputs(GRID, source)
    options: dict[str, Any] = {
        "grid": GRID,
        "source": source,
        "extent": Extent(3, 3, 5),
        "order": order,
        "always": always if with_samples else AlwaysVisible(always.keys, always.values),
        "present": torch.tensor([True, False]) if with_samples else None,
    }
    expected = nearby_attention(q, k, v, backend="reference", **options)
    torch.testing.assert_close(nearby_attention(q, k, v, backend="flex", **options), expected)


def test_unknown_back_end() -> None:
    q, k, v, _ = random_inputs(GRID, GRID)
    wrong: Any = "magic"
    with pytest.raises(UsageError, match="'magic': unknown"):
        nearby_attention(q, k, v, grid=GRID, extent=Extent(3, 3, 3), order="full", backend=wrong)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize(
    "backend", [name for name in BACKENDS if name not in ("auto", "reference")]
)
@pytest.mark.parametrize("order", ["full", "causal", "strict"])
def test_every_back_end_on_cuda(backend: Any, order: Any) -> None:
    grid = GridShape(3, 16, 16)
    q, k, v = torch.randn(3, 2, HEADS, grid.num_tokens, 32, device="cuda").bfloat16()
    slots = torch.randn(2, 1, HEADS, 1, 32, device="cuda").bfloat16()
    leaves = [x.requires_grad_() for x in (q, k, v)]
    options: dict[str, Any] = {"grid": grid, "extent": Extent(3, 5, 5), "order": order}
    found = nearby_attention(*leaves, always=AlwaysVisible(*slots), backend=backend, **options)
    exact = [x.detach().double().requires_grad_() for x in leaves]
    expected = nearby_attention(
        *exact, always=AlwaysVisible(*slots.double()), backend="reference", **options
    )
    upstream = torch.randn_like(expected)
    torch.testing.assert_close(found.double(), expected, atol=0.03, rtol=0.03)
    grads = torch.autograd.grad(found, leaves, upstream.to(found.dtype))
    exact_grads = torch.autograd.grad(expected, exact, upstream)
    for mine, true in zip(grads, exact_grads, strict=True):
        torch.testing.assert_close(mine.double(), true, atol=0.1, rtol=0.05)
