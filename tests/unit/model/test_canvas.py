"""What holes are told of the intact cells around them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nuwa_cli.model.canvas import KnownNeighbors, NearestKnown, nearest_known, patch_side
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.embedding import PositionTables
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.ops.rotary import grid_rotary_table
from nuwa_cli.presets import get_preset

CONFIG = get_preset("test").transformer


@given(
    cells=st.lists(st.integers(-1, 5), min_size=6, max_size=6),
)
def test_the_nearest_known_cell_on_each_side(cells: list[int]) -> None:
    canvas = torch.tensor(cells).view(1, 1, 1, 6)
    (left, left_steps), (right, right_steps), _, _ = nearest_known(canvas)
    for place in range(6):
        before = [i for i in range(place + 1) if cells[i] >= 0]
        after = [i for i in range(place, 6) if cells[i] >= 0]
        assert int(left[0, 0, 0, place]) == (cells[before[-1]] if before else -1)
        assert int(left_steps[0, 0, 0, place]) == (place - before[-1] if before else 0)
        assert int(right[0, 0, 0, place]) == (cells[after[0]] if after else -1)
        assert int(right_steps[0, 0, 0, place]) == (after[0] - place if after else 0)


def test_above_and_below_are_left_and_right_of_the_turned_canvas() -> None:
    canvas = torch.randint(-1, 4, (2, 3, 5, 4))
    left, right, above, below = nearest_known(canvas)
    turned = nearest_known(canvas.transpose(-1, -2))
    for here, there in ((left, turned[2]), (right, turned[3])):
        assert torch.equal(here[0], there[0].transpose(-1, -2))
        assert torch.equal(here[1], there[1].transpose(-1, -2))
    assert not torch.equal(above[0], below[0])


def test_only_holes_are_told() -> None:
    torch.manual_seed(0)
    nearest = NearestKnown(8)
    nn.init.normal_(nearest.distance)
    canvas = torch.randint(-1, 4, (1, 2, 4, 4))
    told = nearest(canvas, nn.Embedding(4, 8))
    assert not bool(told[canvas >= 0].any())
    assert bool(told[canvas < 0].any(dim=-1).all())


def test_a_patch_of_pixels_divides_the_grid() -> None:
    assert [patch_side(16, 16), patch_side(21, 21), patch_side(4, 6), patch_side(5, 7)] == [
        2,
        3,
        2,
        1,
    ]


@pytest.fixture(scope="module")
def model() -> Nuwa:
    torch.manual_seed(0)
    model = Nuwa(CONFIG).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def _logits(model: Nuwa, canvas: Tensor, pixels: Tensor | None = None) -> Tensor:
    target = torch.zeros(1, 1, 4, 4, dtype=torch.int64)
    condition = Condition(torch.ones(1, 4, dtype=torch.int64), canvas=canvas, pixels=pixels)
    with torch.no_grad():
        return model(target, condition)[0, 0]


@pytest.mark.parametrize("place", [(0, 1), (1, 0), (3, 3)], ids=["right", "below", "far"])
def test_the_first_cell_of_a_hole_hears_of_every_side(model: Nuwa, place: tuple[int, int]) -> None:
    """Raster order would show the top left cell nothing at all."""
    canvas = torch.full((1, 1, 4, 4), -1)
    canvas[0, 0, *place] = 3
    before = _logits(model, canvas)[0, 0]
    canvas[0, 0, *place] = 9
    assert float((_logits(model, canvas)[0, 0] - before).abs().max()) > 1e-3


def test_pixels_are_seen_from_everywhere(model: Nuwa) -> None:
    canvas = torch.full((1, 1, 4, 4), -1)
    canvas[..., 3, 3] = 3
    pixels = torch.zeros(1, 4, 16, 16)
    pixels[:, 3, 12:, 12:] = 1.0
    before = _logits(model, canvas, pixels)
    pixels[:, 0, 15, 15] = 0.9
    changed = (_logits(model, canvas, pixels) - before).abs().amax(dim=-1)
    assert bool((changed > 1e-6).all())


def test_known_neighbors_look_to_all_sides() -> None:
    torch.manual_seed(0)
    grid = GridShape(1, 3, 3)
    neighbors, content, tables = (
        KnownNeighbors(8, 2),
        nn.Embedding(5, 8),
        PositionTables(1, 3, 3, 8),
    )
    for parameter in (*neighbors.parameters(), *tables.parameters()):
        nn.init.normal_(parameter, std=0.3)
    rotary = grid_rotary_table(grid, 4, torch.float32, torch.device("cpu"))

    def middle(canvas: Tensor) -> Tensor:
        told: Tensor = neighbors(
            canvas, content, tables(grid), rotary, extent=Extent(1, 3, 3), backend="reference"
        )
        return told[0, 0, 1, 1]

    with torch.no_grad():
        for place in range(9):
            if place == 4:
                continue
            one, other = torch.full((2, 1, 1, 3, 3), -1)
            one.view(-1)[place], other.view(-1)[place] = 1, 2
            assert not torch.allclose(middle(one), middle(other)), place
