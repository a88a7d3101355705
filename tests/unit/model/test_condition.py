"""The condition record: shapes, null, selection, batching."""

from __future__ import annotations

import pytest
import torch

from nuwa_cli.errors import UsageError
from nuwa_cli.model.condition import ABSENT, Condition, cat_conditions
from nuwa_cli.ops.grid import GridShape

TEXT = torch.tensor([[5, 6, 0], [0, 0, 0]])
SKETCH = torch.arange(8).view(2, 1, 2, 2)


def test_null_has_the_same_shapes_and_nothing_in_them() -> None:
    condition = Condition(TEXT, SKETCH, SKETCH)
    null = condition.null()
    assert null.grid == condition.grid == GridShape(1, 2, 2)
    assert not null.text.any()
    assert null.sketch is not None and null.canvas is not None
    assert bool((null.sketch == ABSENT).all())
    assert bool((null.canvas == ABSENT).all())


def test_where_little_is_known_it_stays_in_the_null() -> None:
    canvas = torch.full((3, 1, 8, 8), ABSENT)
    canvas[0, 0, 0, :3] = 7  # 3 of 64 cells
    canvas[1, 0, 0, :4] = 7
    pixels = torch.ones(3, 4, 32, 32)
    null = Condition(torch.ones(3, 2).long(), canvas=canvas, pixels=pixels).null()
    assert null.canvas is not None and null.pixels is not None
    assert torch.equal(null.canvas[0], canvas[0])
    assert bool((null.canvas[1:] == ABSENT).all())
    assert bool((null.pixels[0] == 1).all()) and not null.pixels[1].any()
    assert not null.text.any()


def test_select_cuts_every_part() -> None:
    one = Condition(TEXT, SKETCH).select(slice(1, 2))
    assert one.batch_size == 1
    assert one.sketch is not None and torch.equal(one.sketch, SKETCH[1:])


def test_cat_pads_text_and_fills_missing_grids() -> None:
    both = cat_conditions([Condition(TEXT[:1], SKETCH[:1]), Condition(torch.ones(1, 5).long())])
    assert both.text.tolist() == [[5, 6, 0, 0, 0], [1, 1, 1, 1, 1]]
    assert both.sketch is not None
    assert both.sketch.flatten(1).tolist() == [[0, 1, 2, 3], [ABSENT] * 4]
    assert both.canvas is None


def test_grids_that_differ_are_refused() -> None:
    with pytest.raises(UsageError, match="same shape"):
        Condition(TEXT, SKETCH, torch.zeros(2, 1, 2, 3).long())
    with pytest.raises(UsageError, match="batch of 2"):
        Condition(TEXT, SKETCH[:1])
    wide = Condition(TEXT, torch.zeros(2, 1, 2, 3).long())
    with pytest.raises(UsageError, match="differ"):
        cat_conditions([Condition(TEXT, SKETCH), wide])
