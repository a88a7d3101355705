"""Where everything lies: sizes, scales, and the source on its own pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import UsageError
from nuwa_cli.infinity.geometry import MAX_SIDE, Canvas, Margins, Rect, plan_canvas

sizes = st.tuples(st.integers(4, 3000), st.integers(4, 3000))
margins = st.builds(Margins, *(st.integers(0, 2500),) * 4)


def plan(height: int, width: int, margins: Margins) -> Canvas:
    return plan_canvas(height, width, margins, side=16, cell=16)


@settings(deadline=None, max_examples=50)
@given(size=sizes, margins=margins)
def test_any_size(size: tuple[int, int], margins: Margins) -> None:
    """The shorter side is the model's, cells cover the margins, and not by a cell too many."""
    height, width = size
    canvas = plan(height, width, margins)
    assert min(canvas.source.height, canvas.source.width) == 16
    assert canvas.height == height + margins.top + margins.bottom
    assert canvas.width == width + margins.left + margins.right
    assert canvas.result_rect(canvas.source) == canvas.source_pixels
    for cells, pixels, per_cell in (
        (canvas.source.left, margins.left, width / canvas.source.width),
        (canvas.source.top, margins.top, height / canvas.source.height),
        (canvas.columns - canvas.source.right, margins.right, width / canvas.source.width),
        (canvas.rows - canvas.source.bottom, margins.bottom, height / canvas.source.height),
    ):
        assert (cells - 1) * per_cell < pixels or cells == pixels == 0
        assert cells * per_cell >= pixels - 1e-6


@settings(deadline=None, max_examples=50)
@given(size=sizes, margins=margins, data=st.data())
def test_tiles_become_tiles(size: tuple[int, int], margins: Margins, data: st.DataObject) -> None:
    """Cut the canvas anywhere: the parts become parts of the result, without gap or overlap."""
    canvas = plan(*size, margins)
    row = data.draw(st.integers(0, canvas.rows))
    column = data.draw(st.integers(0, canvas.columns))
    whole = canvas.result_rect(canvas.cells)
    assert whole == Rect(0, 0, canvas.height, canvas.width)
    above = canvas.result_rect(Rect(0, 0, row, canvas.columns))
    below = canvas.result_rect(Rect(row, 0, canvas.rows - row, canvas.columns))
    before = canvas.result_rect(Rect(0, 0, canvas.rows, column))
    after = canvas.result_rect(Rect(0, column, canvas.rows, canvas.columns - column))
    assert (above.top, above.bottom, below.bottom) == (0, below.top, canvas.height)
    assert (before.left, before.right, after.right) == (0, after.left, canvas.width)


@settings(deadline=None, max_examples=50)
@given(size=sizes, margins=margins)
def test_working_pixels_of_the_source(size: tuple[int, int], margins: Margins) -> None:
    canvas = plan(*size, margins)
    cells = canvas.source.scaled(16)
    box = canvas.working_box(canvas.source_pixels)
    assert box == pytest.approx((cells.left, cells.top, cells.right, cells.bottom))


@pytest.mark.parametrize(
    ("size", "cells"),
    [
        ((256, 256), (16, 16)),
        ((256, 300), (16, 19)),
        ((768, 1024), (16, 21)),
        ((1024, 768), (21, 16)),
        ((17, 4000), (16, 3765)),
    ],
)
def test_working_sizes(size: tuple[int, int], cells: tuple[int, int]) -> None:
    canvas = plan(*size, Margins(right=1))
    assert (canvas.source.height, canvas.source.width) == cells
    assert canvas.columns == cells[1] + 1


def test_rectangles() -> None:
    rect = Rect(2, 3, 4, 5)
    assert (rect.bottom, rect.right, rect.area) == (6, 8, 20)
    assert rect.grown(1) == Rect(1, 2, 6, 7)
    assert rect.overlap(Rect(0, 0, 4, 4)) == Rect(2, 3, 2, 1)
    assert rect.overlap(Rect(9, 9, 4, 4)).area == 0
    assert rect.seen_from(Rect(1, 1, 9, 9)) == Rect(1, 2, 4, 5)
    assert rect.scaled(2) == Rect(4, 6, 8, 10)
    assert np.ones((9, 9))[rect.slices].shape == (4, 5)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="4000x3 pixels: is too thin"):
        plan(3, 4000, Margins(right=1))
    with pytest.raises(UsageError, match="no picture file holds it"):
        plan(100, 100, Margins(right=MAX_SIDE))
    with pytest.raises(UsageError, match="up '-1': is negative"):
        Margins(top=-1)
    assert not Margins()
    assert Margins(bottom=1)
