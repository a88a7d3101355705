"""Fast 3DNA = reference, forward and gradients; reference = three nested loops."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby import attend_slots, nearby_attention
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.nearby_sdpa import nearby_attention_sdpa
from nuwa_cli.ops.neighborhood import Extent, Order

ODD = st.sampled_from([1, 3, 5, 7])
GRIDS = st.builds(GridShape, st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))
EXTENTS = st.builds(Extent, ODD, ODD, ODD)
HEADS, WIDTH, SLOTS = 2, 4, 3


def inputs(
    grid: GridShape, source: GridShape, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, ...]:
    shapes = [
        (2, HEADS, n, WIDTH) for n in (grid.num_tokens, *[source.num_tokens] * 2, SLOTS, SLOTS)
    ]
    return tuple(
        torch.randn(shape, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes
    )


def with_gradients(leaves: tuple[Tensor, ...], out: Tensor, upstream: Tensor) -> list[Tensor]:
    return [out, *torch.autograd.grad(out, leaves, upstream.to(out.dtype))]


def test_reference_is_the_triple_loop() -> None:
    """Cross-attention through the coordinate map, one target position after another."""
    grid, source, extent = GridShape(3, 4, 5), GridShape(2, 6, 3), Extent(3, 3, 1)
    q, k, v, _, _ = (x.detach() for x in inputs(grid, source))
    found = nearby_attention(
        q, k, v, grid=grid, source=source, extent=extent, order="full", backend="reference"
    )
    places = itertools.product(range(3), range(4), range(5))
    for n, (frame, i, j) in enumerate(places):
        rows = range(i * 6 // 4 - 1, i * 6 // 4 + 2)
        frames = range(frame * 2 // 3 - 1, frame * 2 // 3 + 2)
        column = j * 3 // 5
        cells = [
            (a * 6 + b) * 3 + column for a in frames for b in rows if 0 <= a < 2 and 0 <= b < 6
        ]
        for sample, head in itertools.product(range(2), range(HEADS)):
            scores = [float(q[sample, head, n] @ k[sample, head, m]) / 2 for m in cells]
            weights = [math.exp(score) for score in scores]
            mixed = sum(w * v[sample, head, m] for w, m in zip(weights, cells, strict=True))
            torch.testing.assert_close(found[sample, head, n], mixed / sum(weights))


@settings(max_examples=30, deadline=None)
@given(GRIDS, EXTENTS, st.sampled_from(["full", "causal", "strict"]), st.booleans())
def test_self_attention(grid: GridShape, extent: Extent, order: Order, has_absent: bool) -> None:
    check_parity(grid, grid, extent, order, has_absent)


@settings(max_examples=20, deadline=None)
@given(GRIDS, GRIDS, EXTENTS, st.booleans())
def test_cross_attention(
    grid: GridShape, source: GridShape, extent: Extent, has_absent: bool
) -> None:
    check_parity(grid, source, extent, "full", has_absent)


def check_parity(
    grid: GridShape, source: GridShape, extent: Extent, order: Order, has_absent: bool
) -> None:
    leaves = inputs(grid, source)
    q, k, v, slot_keys, slot_values = leaves
    mask = torch.tensor([[True, False, True], [True, True, True]]) if has_absent else None
    options: dict[str, Any] = {
        "grid": grid,
        "source": source,
        "extent": extent,
        "order": order,
        "always": AlwaysVisible(slot_keys, slot_values, mask),
        "present": torch.tensor([False, True]) if has_absent else None,
    }
    upstream = torch.randn_like(q)
    expected = with_gradients(
        leaves, nearby_attention(q, k, v, backend="reference", **options), upstream
    )
    fast = {
        "matmul": nearby_attention(q, k, v, backend="matmul", **options),
        "sdpa, dense": nearby_attention(q, k, v, backend="sdpa", **options),
        "sdpa, bands": nearby_attention_sdpa(q, k, v, dense_limit=0, **options),
    }
    for name, out in fast.items():
        for mine, true in zip(with_gradients(leaves, out, upstream), expected, strict=True):
            difference = float((mine - true).abs().max().detach())
            assert difference < 1e-10, f"{name}: {difference}"


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.06)], ids=str
)
def test_lower_precision(dtype: torch.dtype, tolerance: float) -> None:
    grid, extent = GridShape(3, 8, 8), Extent(3, 5, 5)
    leaves = inputs(grid, grid, dtype)
    exact = tuple(x.detach().double().requires_grad_() for x in leaves)
    upstream = torch.randn_like(exact[0])
    results = []
    for tensors, backend in ((exact, "reference"), (leaves, "matmul"), (leaves, "sdpa")):
        chosen: Any = backend
        q, k, v, slot_keys, slot_values = tensors
        out = nearby_attention(
            q,
            k,
            v,
            grid=grid,
            extent=extent,
            order="causal",
            always=AlwaysVisible(slot_keys, slot_values),
            backend=chosen,
        )
        assert out.dtype == q.dtype
        results.append(with_gradients(tensors, out, upstream.to(dtype).double()))
    for found in results[1:]:
        for mine, true in zip(found, results[0], strict=True):
            scale = true.abs().max().clamp(min=1.0)
            assert float(((mine.double() - true).abs().max() / scale).detach()) < tolerance


def test_a_shared_slot_collects_the_gradient_of_the_batch() -> None:
    grid = GridShape(1, 3, 3)
    q, k, v, _, _ = inputs(grid, grid)
    slots = torch.randn(2, 1, HEADS, 1, WIDTH, dtype=torch.float64, requires_grad=True)
    grads = []
    for backend in ("reference", "matmul"):
        chosen: Any = backend
        out = nearby_attention(
            q,
            k,
            v,
            grid=grid,
            extent=Extent(1, 3, 3),
            order="strict",
            always=AlwaysVisible(slots[0], slots[1]),
            backend=chosen,
        )
        grads.append(torch.autograd.grad(out.sin().sum(), slots)[0])
    torch.testing.assert_close(grads[0], grads[1])


def test_attending_slots_alone() -> None:
    q, k, v, _, _ = inputs(GridShape(1, 2, 3), GridShape(1, 1, 4))
    mask = torch.tensor([[True, True, False, True], [True, False, False, False]])
    out = attend_slots(q, AlwaysVisible(k, v, mask))
    scores = (q @ k.transpose(-1, -2) / 2).masked_fill(~mask[:, None, None], -math.inf)
    torch.testing.assert_close(out, scores.softmax(dim=-1) @ v)
    torch.testing.assert_close(out[1], v[1, :, :1].expand_as(out[1]))
