"""Rotary embedding: offsets only, any position, and the fused split."""

from __future__ import annotations

import torch

from nuwa_cli.ops.grid import GridShape, coordinates
from nuwa_cli.ops.rotary import grid_rotary_table, rotary_table, rotate, split_rotated

DOUBLE = torch.float64


def test_scores_depend_on_the_offset_only() -> None:
    q, k = torch.randn(2, 16, dtype=DOUBLE)
    far = torch.tensor([1_000_000, 40, 7])
    scores = []
    for start in (torch.zeros(3, dtype=torch.int64), far):
        table = rotary_table(torch.stack((start, start + torch.tensor([1, -2, 3]))), 16, DOUBLE)
        a, b = rotate(torch.stack((q, k)), *table)
        scores.append(float(a @ b))
    assert abs(scores[0] - scores[1]) < 1e-8
    assert abs(scores[0] - float(q @ k)) > 1e-3


def test_each_axis_turns_something() -> None:
    table = rotary_table(torch.eye(3, dtype=torch.int64), 8, DOUBLE)[0]
    assert all(bool((row < 1).any()) for row in table)


def test_rotation_keeps_length_and_its_gradient_turns_back() -> None:
    x = torch.randn(5, 12, dtype=DOUBLE, requires_grad=True)
    table = rotary_table(torch.randint(0, 9, (5, 3)), 12, DOUBLE)
    torch.testing.assert_close(rotate(x, *table).norm(dim=-1), x.norm(dim=-1))
    assert torch.autograd.gradcheck(lambda y: rotate(y, *table), (x,))


def test_split_rotated_is_split_then_rotate() -> None:
    grid = GridShape(2, 2, 3)
    qkv = torch.randn(2, grid.num_tokens, 3, 2, 8, dtype=DOUBLE, requires_grad=True)
    cos, sin = grid_rotary_table(grid, 8, DOUBLE, qkv.device)
    q, k, v = split_rotated(qkv, cos, sin)
    plain = qkv.permute(2, 0, 3, 1, 4)
    torch.testing.assert_close(q, rotate(plain[0], cos, sin))
    torch.testing.assert_close(k, rotate(plain[1], cos, sin))
    torch.testing.assert_close(v, plain[2])
    assert torch.autograd.gradcheck(lambda x: split_rotated(x, cos, sin), (qkv,))


def test_the_table_of_a_grid_is_that_of_its_coordinates() -> None:
    grid = GridShape(2, 3, 2)
    kept = grid_rotary_table(grid, 8, DOUBLE, torch.device("cpu"))
    for a, b in zip(kept, rotary_table(coordinates(grid), 8, DOUBLE), strict=True):
        torch.testing.assert_close(a, b)
