"""Which positions a query may see, against plain loops."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.neighborhood import Extent, Order, visible_mask

ODD = st.sampled_from([1, 3, 5])
SIDE = st.integers(1, 4)
GRIDS = st.builds(GridShape, SIDE, SIDE, SIDE)
EXTENTS = st.builds(Extent, ODD, ODD, ODD)


def places(grid: GridShape) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(side) for side in grid.sides)))


@settings(max_examples=40, deadline=None)
@given(GRIDS, EXTENTS, st.sampled_from(["causal", "strict"]))
def test_causal_orders_are_raster_order_within_the_window(
    grid: GridShape, extent: Extent, order: Order
) -> None:
    seen = visible_mask(grid, grid, extent, order)
    for row, query in enumerate(places(grid)):
        for column, other in enumerate(places(grid)):
            near = all(abs(a - b) <= r for a, b, r in zip(query, other, extent.radius, strict=True))
            earlier = other < query if order == "strict" else other <= query
            assert bool(seen[row, column]) == (near and earlier)


@settings(max_examples=40, deadline=None)
@given(GRIDS, GRIDS, EXTENTS)
def test_full_order_maps_coordinates(target: GridShape, source: GridShape, extent: Extent) -> None:
    seen = visible_mask(target, source, extent, "full")
    for row, query in enumerate(places(target)):
        center = [x * s // t for x, s, t in zip(query, source.sides, target.sides, strict=True)]
        for column, other in enumerate(places(source)):
            near = all(
                abs(a - b) <= r for a, b, r in zip(center, other, extent.radius, strict=True)
            )
            assert bool(seen[row, column]) == near


def test_even_windows_are_refused() -> None:
    with pytest.raises(UsageError, match="3,4,3"):
        Extent(3, 4, 3)


def test_two_grids_have_no_order() -> None:
    with pytest.raises(UsageError, match="causal"):
        visible_mask(GridShape(1, 2, 2), GridShape(1, 2, 3), Extent(3, 3, 3), "causal")


def test_radius_is_clipped_to_the_grid() -> None:
    assert Extent(9, 5, 3).radius_within(GridShape(2, 3, 1)) == (1, 2, 0)
