"""Products of several items: each bit for bit what it is alone, whatever kernel the library chooses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.ops import products
from nuwa_cli.ops.products import joint_product


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 24),
    st.sampled_from([(48, 16), (288, 96), (1152, 288)]),
    st.sampled_from([torch.bfloat16, torch.float32]),
    st.integers(2, 6),
    st.booleans(),
)
def test_an_item_is_what_it_is_alone(
    streams: int,
    rows: int,
    sizes: tuple[int, int],
    dtype: torch.dtype,
    items: int,
    has_bias: bool,
) -> None:
    generator = torch.Generator().manual_seed(streams * 1000 + rows)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    x, weight = numbers(items * streams, rows, sizes[0]), numbers(sizes[1], sizes[0])
    bias = numbers(sizes[1]) if has_bias else None
    together = joint_product(x, weight, bias, items)
    alone = [joint_product(part, weight, bias, 1) for part in x.chunk(items)]
    assert torch.equal(together, torch.cat(alone))


def test_a_kernel_that_adds_in_another_order_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product of many rows that sums its second half first: the trial tells, ordinary numbers in
    bfloat16 would nearly always hide it."""
    exact = torch.nn.functional.linear

    def other_order(
        x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        if x.shape[0] <= 2:
            return exact(x, weight, bias)
        half = x.shape[-1] // 2
        second = x[..., half:].float() @ weight[:, half:].float().T
        first = x[..., :half].float() @ weight[:, :half].float().T
        return (second + first).to(x.dtype)

    monkeypatch.setattr(products, "_IS_EXACT", {})
    monkeypatch.setattr(products.F, "linear", other_order)
    x, weight = torch.randn(8, 5, 288).bfloat16(), torch.randn(64, 288).bfloat16()
    together = joint_product(x, weight, None, 4)
    assert list(products._IS_EXACT.values()) == [False]
    assert torch.equal(together, torch.cat([exact(part, weight) for part in x.chunk(4)]))
