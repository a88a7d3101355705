"""The wavefront schedule: every cell once, never too early, never later than needed."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.sampling.schedule import Position, Schedule

ODD = st.sampled_from([1, 3, 5, 7])
GRIDS = st.builds(GridShape, st.integers(1, 4), st.integers(1, 6), st.integers(1, 6))
EXTENTS = st.builds(Extent, ODD, ODD, ODD)


def seen_by(position: Position, grid: GridShape, extent: Extent) -> list[Position]:
    """Positions before this one inside its clipped window."""
    ranges = [
        range(max(x - r, 0), min(x + r + 1, side))
        for x, r, side in zip(position, extent.radius, grid.sides, strict=True)
    ]
    return [(k, i, j) for k, i, j in itertools.product(*ranges) if (k, i, j) < position]


@settings(max_examples=150, deadline=None)
@given(GRIDS, EXTENTS)
def test_earliest_possible_levels(grid: GridShape, extent: Extent) -> None:
    schedule = Schedule(grid, extent)
    waves = list(schedule.waves())
    assert len(waves) == schedule.num_steps
    assert all(waves)
    level = {position: step for step, wave in enumerate(waves) for position in wave}
    cells = list(itertools.product(*(range(side) for side in grid.sides)))
    assert sorted(level) == cells
    assert sum(len(wave) for wave in waves) == len(cells)
    for position in cells:
        earlier = [level[other] for other in seen_by(position, grid, extent)]
        if extent.frames > 1 or grid.frames == 1:
            assert level[position] == 1 + max(earlier, default=-1)
        else:  # independent frames are still taken one behind the other
            assert level[position] > max(earlier, default=-1)


@settings(max_examples=60, deadline=None)
@given(GRIDS, EXTENTS)
def test_frames_in_flight_and_order(grid: GridShape, extent: Extent) -> None:
    schedule = Schedule(grid, extent)
    last_step = {
        position[0]: step for step, wave in enumerate(schedule.waves()) for position in wave
    }
    begun: set[int] = set()
    for step, wave in enumerate(schedule.waves()):
        assert wave == sorted(wave)
        begun |= {position[0] for position in wave}
        assert sum(last_step[frame] >= step for frame in begun) <= schedule.frames_in_flight


@pytest.mark.parametrize(
    ("grid", "extent", "steps", "widest"),
    [
        (GridShape(1, 16, 16), Extent(7, 7, 7), 76, 4),
        (GridShape(8, 16, 16), Extent(7, 7, 7), 188, 16),
        (GridShape(10, 21, 21), Extent(7, 7, 7), 245, 32),
        (GridShape(10, 16, 16), Extent(3, 3, 3), 82, 62),
        (GridShape(10, 16, 16), Extent(3, 5, 5), 142, 32),
    ],
)
def test_known_counts(grid: GridShape, extent: Extent, steps: int, widest: int) -> None:
    schedule = Schedule(grid, extent)
    assert schedule.num_steps == steps
    assert max(len(wave) for wave in schedule.waves()) == widest


def test_raster_order_is_one_position_a_step() -> None:
    grid = GridShape(2, 3, 4)
    schedule = Schedule(grid, Extent(3, 5, 5), "raster")
    cells = itertools.product(*(range(side) for side in grid.sides))
    assert list(schedule.waves()) == [[cell] for cell in cells]
    assert schedule.num_steps == grid.num_tokens
    assert schedule.frames_in_flight == 1
