"""The order of steps: each cell once, windows that know enough, opposite directions in turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.infinity.controller import SOURCE, Controller
from nuwa_cli.infinity.geometry import Canvas, Margins, Rect


def make(
    rows: int, columns: int, sides: tuple[int, int, int, int] = (0, 0, 0, 0), side: int = 16
) -> Controller:
    """The controller of a source of cells that grows by cells (left, top, right, bottom)."""
    left, top, right, bottom = sides
    return Controller(
        Canvas(
            cell=1,
            side=side,
            margins=Margins(*sides),
            source_height=rows,
            source_width=columns,
            source=Rect(top, left, rows, columns),
            rows=top + rows + bottom,
            columns=left + columns + right,
        )
    )


@settings(deadline=None, max_examples=60)
@given(
    side=st.integers(2, 9),
    extra=st.tuples(st.just(0), st.integers(0, 20)),
    is_tall=st.booleans(),
    sides=st.tuples(*(st.integers(0, 25),) * 4),
)
def test_every_cell_is_filled_once_and_seen_with_enough_around_it(
    side: int, extra: tuple[int, int], is_tall: bool, sides: tuple[int, int, int, int]
) -> None:
    rows, columns = (side + more for more in (extra[::-1] if is_tall else extra))
    controller = make(rows, columns, sides, side)
    whole = controller.canvas.cells
    filled = np.full((whole.height, whole.width), -2)
    filled[controller.canvas.source.slices] = SOURCE
    for index, step in enumerate(controller):
        assert step.index == index and step == controller.step(index)
        assert step.patch.area and step.window.area == side * side
        assert step.window.overlap(whole) == step.window
        assert step.patch.overlap(step.window) == step.patch
        assert 2 * step.patch.area <= step.window.area
        assert (filled[step.patch.slices] == -2).all()
        filled[step.patch.slices] = index
        assert (filled[step.window.slices] != -2).all()
    assert (filled != -2).all()
    assert len(controller) == filled.max() + 1
    assert (controller.owners(whole) == filled).all()
    assert (controller.owners(whole.grown(3)) == filled).all()
    part = Rect(1, 1, rows, columns)
    assert (controller.owners(part) == filled[part.slices]).all()
    assert controller.known_after(part) == filled[part.slices].max()


def test_right_is_a_chain_of_half_windows() -> None:
    steps = list(make(16, 16, (0, 0, 20, 0)))
    assert [step.patch for step in steps] == [
        Rect(0, 16, 16, 8),
        Rect(0, 24, 16, 8),
        Rect(0, 32, 16, 4),
    ]
    assert [step.window.left for step in steps] == [8, 16, 20]


def test_left_mirrors_right_and_up_mirrors_down() -> None:
    for one, two in (((0, 0, 40, 0), (40, 0, 0, 0)), ((0, 0, 0, 40), (0, 40, 0, 0))):
        forward, backward = make(16, 16, one), make(16, 16, two)
        whole = forward.canvas.cells
        for ahead, back in zip(forward, backward, strict=True):
            for a, b in ((ahead.patch, back.patch), (ahead.window, back.window)):
                assert (a.height, a.width) == (b.height, b.width)
                assert whole.bottom - a.bottom in (b.top, whole.bottom - b.bottom)
                assert (b.left, b.top) == (
                    whole.right - a.right if one[2] else a.left,
                    whole.bottom - a.bottom if one[3] else a.top,
                )


def test_opposite_directions_take_turns() -> None:
    steps = list(make(16, 16, (8, 16, 32, 8)))
    assert [step.direction for step in steps[:5]] == ["right", "left", "right", "right", "right"]
    assert [step.direction[0] for step in steps[5:]] == ["d"] * 6 + ["u"] * 12
    assert {step.patch.left for step in steps[5:11]} == {0, 16, 24, 32, 40, 48}


def test_a_step_far_away_costs_nothing() -> None:
    controller = make(16, 16, (0, 0, 10**9, 10**9))
    last = controller.step(len(controller) - 1)
    assert (last.patch.bottom, last.patch.right) == (10**9 + 16, 10**9 + 16)
    assert controller.known_after(last.patch) == last.index


def test_joints() -> None:
    columns, rows = make(16, 24, (8, 0, 20, 8)).joints()
    assert rows == [16]
    assert columns == [8, 16, 24, 32, 40, 48]
    assert make(16, 16, (0, 0, 9, 0)).joints() == ([16, 24], [])


@pytest.mark.parametrize("done", [0, 1, 5, 100])
def test_bands_that_are_complete(done: int) -> None:
    controller = make(16, 16, (0, 0, 80, 0))
    (right, *others) = controller.regions
    count = right.num_complete(lambda patch: controller.known_after(patch) < done)
    assert count == min(done, 10)
    assert right.band_rect(count) == Rect(0, 16, 16, 8 * count)
    assert all(region.num_complete(lambda _: False) == 0 for region in others)
