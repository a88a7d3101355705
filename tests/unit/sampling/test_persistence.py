"""Persistence: the token of the frame before is favored where nothing moves, and only there."""

from __future__ import annotations

import torch

from nuwa_cli.ops.grid import GridShape
from nuwa_cli.sampling.persistence import Persistence

GRID = GridShape(3, 2, 2)
CPU = torch.device("cpu")


def _cells(frame: int) -> torch.Tensor:
    return torch.tensor([[frame, row, column] for row in range(2) for column in range(2)])


def test_the_token_before_is_raised_by_so_many_nats() -> None:
    held = Persistence(1.5, GRID, None, CPU)
    logits = torch.zeros(4, 5, dtype=torch.float64)
    assert torch.equal(held.favor(logits, _cells(0)), logits)  # nothing came before
    held.keep(_cells(0), torch.tensor([4, 0, 1, 2]))
    raised = held.favor(logits, _cells(1))
    assert raised.argmax(dim=1).tolist() == [4, 0, 1, 2]
    assert float(raised.max()) == 1.5 and float(raised.sum()) == 6.0
    assert float(logits.sum()) == 0.0  # what was given is left alone
    held.keep(_cells(1), torch.tensor([3, 3, 3, 3]))
    assert held.favor(logits, _cells(2)).argmax(dim=1).tolist() == [3, 3, 3, 3]


def test_where_the_subject_is_or_just_was_nothing_is_added() -> None:
    layout = torch.zeros(GRID.sides, dtype=torch.int64)
    layout[1, 0, 0] = 7  # the subject enters a cell in frame 1 and leaves it in frame 2
    held = Persistence(2.0, GRID, layout, CPU)
    logits = torch.zeros(4, 5, dtype=torch.float64)
    for frame in range(1, 3):
        held.keep(_cells(frame - 1), torch.tensor([1, 1, 1, 1]))
        raised = held.favor(logits, _cells(frame))
        assert raised[0].tolist() == [0.0] * 5
        assert raised[1:, 1].tolist() == [2.0] * 3


def test_zero_is_off() -> None:
    held = Persistence(0.0, GRID, None, CPU)
    held.keep(_cells(0), torch.tensor([1, 1, 1, 1]))
    logits = torch.randn(4, 5)
    assert held.favor(logits, _cells(1)) is logits
