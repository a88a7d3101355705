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


def test_what_is_in_the_box_moves_with_it() -> None:
    """It has been everywhere, so nothing is known of the background."""
    layout = torch.full(GRID.sides, 7, dtype=torch.int64)
    held = Persistence(2.0, GRID, layout, EXTENT, CPU)
    held.shift = torch.tensor([[0, 0], [0, 1], [0, 0], [0, -1]])
    expected = (
        {1: 4, 2: 0, 3: 1, 4: 2},  # what would come from beyond the picture is free
        {0: 4, 1: 0, 2: 1, 3: 2, 4: 3},
        {0: 0, 1: 1, 2: 2, 3: 3},
    )
    for frame, favored in enumerate(expected):
        held.keep(_cells(frame), TOKENS)
        raised = held.favor(_logits(), _cells(frame + 1))
        for column in range(5):
            token = favored.get(column)
            if token is None:
                assert float(raised[column].sum()) == 0.0, (frame, column)
            else:
                assert float(raised[column, token]) == 2.0 == float(raised[column].sum())


def test_what_was_seen_of_the_background_is_favored_wherever_the_box_goes() -> None:
    layout = torch.zeros(GRID.sides, dtype=torch.int64)
    for frame, first in enumerate((0, 1, 1, 3)):
        layout[frame, 0, first : first + 2] = 7
    held = Persistence(2.0, GRID, layout, EXTENT, CPU)
    # frame 0 shows 2, 3, 4; frame 1 shows 0, 3, 4; the box never left 1 before frame 3
    expected: tuple[dict[int, set[int]], ...] = (
        {0: set(), 1: {4}, 2: {0, 2}, 3: {3}, 4: {4}},  # 2 is entered, and was background
        {0: {5}, 1: {1}, 2: {2}, 3: {3}, 4: {4}},
        {0: {5}, 1: set(), 2: {2}, 3: {3}, 4: {4}},  # 2 is uncovered, 3 and 4 entered by a leap
    )
    drawn = ([4, 0, 2, 3, 4], [5, 1, 2, 3, 4], [5, 1, 2, 3, 4])
    for frame, favored in enumerate(expected):
        held.keep(_cells(frame), torch.tensor(drawn[frame]))
        raised = held.favor(_logits(), _cells(frame + 1))
        for column, tokens in favored.items():
            found = {token: float(raised[column, token]) for token in range(6)}
            assert found == {token: 2.0 * (token in tokens) for token in range(6)}, (frame, column)


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
