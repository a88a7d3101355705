"""Persistence: a token of the frame before is favored where nothing moves, and moves with the box."""

from __future__ import annotations

import torch

from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.sampling.persistence import Expectation, Persistence

GRID = GridShape(4, 1, 5)
EXTENT = Extent(3, 3, 3)
CPU = torch.device("cpu")
TOKENS = torch.tensor([4, 0, 1, 2, 3])


def _cells(frame: int) -> torch.Tensor:
    return torch.tensor([[frame, 0, column] for column in range(5)])


def _logits() -> torch.Tensor:
    return torch.zeros(5, 6, dtype=torch.float64)


def test_the_token_before_is_raised_by_so_many_nats() -> None:
    held = Persistence(1.5, GRID, None, EXTENT, CPU)
    logits = _logits()
    assert torch.equal(held.favor(logits, _cells(0)), logits)  # nothing came before
    for frame in range(3):
        tokens = (TOKENS + frame) % 6
        held.keep(_cells(frame), tokens)
        raised = held.favor(logits, _cells(frame + 1))
        assert torch.equal(raised.argmax(dim=1), tokens)
        assert float(raised.max()) == 1.5 and float(raised.sum()) == 7.5
    assert float(logits.sum()) == 0.0  # what was given is left alone


def test_what_is_in_the_box_moves_with_it_and_what_it_uncovers_is_free() -> None:
    layout = torch.zeros(GRID.sides, dtype=torch.int64)
    for frame, first in enumerate((0, 1, 1, 3)):  # a box of two cells: a step, a rest, a leap
        layout[frame, 0, first : first + 2] = 7
    held = Persistence(2.0, GRID, layout, EXTENT, CPU)
    expected = (
        {1: 4, 2: 0, 3: 2, 4: 3},  # 1 and 2 come from 0 and 1; 0 was uncovered
        {0: 4, 1: 0, 2: 1, 3: 2, 4: 3},
        {0: 4, 3: None, 4: None},  # two cells at once are beyond the window
    )
    for frame, favored in enumerate(expected):
        held.keep(_cells(frame), TOKENS)
        raised = held.favor(_logits(), _cells(frame + 1))
        for column in range(5):
            token = favored.get(column)
            if token is None:
                assert float(raised[column].sum()) == 0.0, (frame, column)
            else:
                assert float(raised[column, token]) == 2.0, (frame, column)


def test_an_expected_token_is_raised_at_its_place() -> None:
    tokens = torch.full(GRID.sides, -1)
    tokens[2, 0, 3] = 5
    held = Persistence(0.0, GRID, None, EXTENT, CPU, Expectation(tokens, 3.0))
    assert not bool(held.favor(_logits(), _cells(1)).any())
    raised = held.favor(_logits(), _cells(2))
    assert float(raised[3, 5]) == 3.0 and float(raised.sum()) == 3.0


def test_zero_is_off_and_so_is_a_model_without_a_past() -> None:
    logits = torch.randn(5, 6)
    for nats, extent in ((0.0, EXTENT), (2.0, Extent(1, 3, 3))):
        held = Persistence(nats, GRID, None, extent, CPU)
        held.keep(_cells(0), TOKENS)
        assert held.favor(logits, _cells(1)) is logits
