"""Raster order and the coordinate map between grids."""

from __future__ import annotations

import pytest
import torch

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.grid import GridShape, coordinates, grid_of, map_coordinates


def test_coordinates_are_frame_major() -> None:
    grid = GridShape(2, 3, 4)
    expected = [(k, i, j) for k in range(2) for i in range(3) for j in range(4)]
    assert [tuple(place) for place in coordinates(grid).tolist()] == expected


def test_map_coordinates_floors_each_axis() -> None:
    target, source = GridShape(5, 6, 7), GridShape(2, 9, 3)
    mapped = map_coordinates(coordinates(target), target, source).tolist()
    places = coordinates(target).tolist()
    assert mapped == [[k * 2 // 5, i * 9 // 6, j * 3 // 7] for k, i, j in places]


def test_a_grid_without_cells_is_refused() -> None:
    with pytest.raises(UsageError, match="0x4x4"):
        GridShape(0, 4, 4)


def test_tokens_need_four_axes() -> None:
    assert grid_of(torch.zeros(9, 2, 3, 4)) == GridShape(2, 3, 4)
    with pytest.raises(UsageError, match="not \\(b, t, h, w\\)"):
        grid_of(torch.zeros(2, 3, 4))
