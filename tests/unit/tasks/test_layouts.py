"""Layouts of plans: confined to a region, or found in what is given and continued from there."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.model.condition import Condition
from nuwa_cli.model.layout import OUTSIDE, boxes_of, from_bins, rasterize
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.presets import get_preset
from nuwa_cli.tasks.layouts import confine, find_box, likeliest_text, plan_keys, plan_layout
from nuwa_cli.tasks.plan import Plan

share = st.floats(0.05, 1.0)


@given(boxes=st.tuples(share, share, share, share), focus=st.tuples(share, share, share, share))
def test_a_confined_box_lies_inside_the_focus_and_keeps_its_shape(
    boxes: tuple[float, ...], focus: tuple[float, float, float, float]
) -> None:
    inside = confine(torch.tensor([boxes]), focus)[0].tolist()
    for axis in (0, 1):
        low = focus[axis] - focus[axis + 2] / 2
        high = focus[axis] + focus[axis + 2] / 2
        assert inside[axis] - inside[axis + 2] / 2 >= low - 1e-5
        assert inside[axis] + inside[axis + 2] / 2 <= high + 1e-5
    assert inside[2] * boxes[3] == pytest.approx(inside[3] * boxes[2], rel=1e-3)
    assert inside[2] <= boxes[2] + 1e-6


def test_a_box_inside_the_focus_stays() -> None:
    box = torch.tensor([[0.5, 0.6, 0.2, 0.1]])
    assert torch.allclose(confine(box, (0.5, 0.5, 0.8, 0.8)), box)


class _Painter(Nuwa):
    """Explains token 1 inside the layout's box and token 0 outside, and nothing else."""

    def forward(self, target: Tensor, condition: Condition, *, time_offset: int = 0) -> Tensor:
        assert condition.layout is not None and time_offset == 0
        logits = torch.zeros(*target.shape, self.config.visual_vocab)
        logits[..., 0] = 5.0 * (condition.layout == OUTSIDE)
        logits[..., 1] = 5.0 * (condition.layout != OUTSIDE)
        return logits


@pytest.fixture(scope="module")
def painter() -> Nuwa:
    torch.manual_seed(0)
    return _Painter(get_preset("test").transformer).eval()


def _plan(known: Tensor | None, grid: GridShape, text: int = 5) -> Plan:
    return Plan(
        task="predict",
        kind="video",
        grid=grid,
        text=torch.tensor([[text, 0, 0]]),
        layout_frames=3,
        known_tokens=known,
    )


def test_the_given_subject_is_found_and_its_path_begins_there(painter: Nuwa) -> None:
    grid = GridShape(3, 4, 4)
    known = torch.full((1, 3, 4, 4), -1)
    known[0, 0] = 0
    known[0, 0, 2:, :2] = 1
    layout = plan_layout(painter, _plan(known, grid), seed=0)
    assert layout.shape == (1, 3, 4, 4)
    assert torch.equal(layout[0, 0] != OUTSIDE, known[0, 0] == 1)


def test_several_given_frames_choose_the_direction(painter: Nuwa) -> None:
    """Of the planned paths, the one is taken that passes the second given frame best."""
    grid = GridShape(3, 4, 4)
    ends = []
    for column in (0, 2):
        known = torch.full((1, 3, 4, 4), -1)
        known[0, :2] = 0
        known[0, 0, 1:3, 1:3] = 1
        known[0, 1, 1:3, column : column + 2] = 1
        layout = plan_layout(painter, _plan(known, grid), seed=1)
        boxes, _ = boxes_of(layout[0] != OUTSIDE)
        ends.append(float(boxes[1, 0]))
    assert ends[0] < ends[1]


def test_without_text_there_may_be_nobody(painter: Nuwa) -> None:
    known = torch.full((1, 3, 4, 4), -1)
    known[0, 0] = 0
    layout = plan_layout(painter, _plan(known, GridShape(3, 4, 4), text=0), seed=0)
    assert bool((layout == OUTSIDE).all())


def test_who_asks_for_a_place_alone_gets_nobody(painter: Nuwa) -> None:
    plan = _plan(None, GridShape(3, 4, 4))
    assert bool((plan_layout(painter, plan, 0) != OUTSIDE).any())
    unsure = copy.deepcopy(painter)
    with torch.no_grad():
        unsure.planner.slots[0] = 9.0
        unsure.planner.heads[0, 0] = 9.0
    for seed in range(6):
        assert bool((plan_layout(unsure, plan, seed) == OUTSIDE).all())


def test_a_hole_in_the_picture_does_not_count(painter: Nuwa) -> None:
    known = torch.full((1, 3, 16, 16), -1)
    known[0, 0, :8] = 0
    known[0, 0, 4:8, 5:11] = 1  # the upper half of something
    layout = plan_layout(painter, _plan(known, GridShape(3, 16, 16)), seed=0)
    found = (layout[0, 0] != OUTSIDE)[:8]
    assert int((found != (known[0, 0, :8] == 1)).sum()) <= 6  # a cell more or less at the sides


def test_a_layout_is_a_function_of_the_seed(painter: Nuwa) -> None:
    plans = [plan_layout(painter, _plan(None, GridShape(3, 4, 4)), seed) for seed in range(8)]
    again = plan_layout(painter, _plan(None, GridShape(3, 4, 4)), 3)
    assert torch.equal(plans[3], again)
    assert any(not torch.equal(plans[0], other) for other in plans[1:])


def test_rasterized_boxes_cover_what_they_say() -> None:
    boxes = from_bins(torch.tensor([[[16, 16, 15, 15]]]))
    tokens = rasterize(boxes, torch.tensor([[True]]), GridShape(1, 8, 8))
    assert int((tokens != OUTSIDE).sum()) == 16


def test_given_boxes_are_taken_as_they_are_and_nobody_wins(painter: Nuwa) -> None:
    plan = replace(_plan(None, GridShape(2, 4, 4)), boxes=((0.25, 0.25, 0.5, 0.5), None))
    layout = plan_layout(painter, plan, 0)
    assert (layout[0, 0] != OUTSIDE).nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert bool((layout[0, 1] == OUTSIDE).all())
    assert bool((plan_layout(painter, replace(plan, nobody=True), 0) == OUTSIDE).all())


def _half_shown(rows: slice) -> Plan:
    """A picture whose right half is a hole, with something in these rows left of it."""
    known = torch.full((1, 1, 16, 16), -1)
    known[..., :8] = 0
    known[..., rows, 5:8] = 1
    plan = _plan(known, GridShape(1, 16, 16))
    return replace(
        plan, kind="image", layout_frames=1, focus=(0.75, 0.5, 0.5, 1.0), may_be_shown=True
    )


def test_a_half_shown_subject_goes_on_into_the_hole(painter: Nuwa) -> None:
    layout = plan_layout(painter, _half_shown(slice(4, 12)), 0)[0, 0] != OUTSIDE
    shown = layout[:, :8]
    assert bool(layout[:, 8:].any()) or bool(shown.any())
    assert int((shown != (_half_shown(slice(4, 12)).known_tokens == 1)[0, 0, :, :8]).sum()) <= 8


def test_nothing_shown_keeps_the_subject_inside_the_hole(painter: Nuwa) -> None:
    keys, present = plan_keys(painter, _half_shown(slice(0, 0)), 0)
    assert bool(present) and float(keys[0, 0, 0] - keys[0, 0, 2] / 2) > 0.45


def test_a_box_is_found_in_any_known_frame(painter: Nuwa) -> None:
    known = torch.full((1, 3, 4, 4), -1)
    known[0, :2] = 0
    known[0, 1, 2:, 2:] = 1
    box = find_box(painter, _plan(known, GridShape(3, 4, 4)), 1, 0)
    assert box is not None and box[0] > 0.5 and box[1] > 0.5
    assert find_box(painter, _plan(known, GridShape(3, 4, 4), text=0), 0, 0) is None


def test_the_text_that_explains_what_is_known_is_told() -> None:
    """A model that gives token t to who is told the word t."""

    class Reader(Nuwa):
        def forward(self, target: Tensor, condition: Condition, *, time_offset: int = 0) -> Tensor:
            assert time_offset == 0
            logits = torch.zeros(*target.shape, self.config.visual_vocab)
            logits.scatter_(
                -1, condition.text[:, :1, None, None, None].expand(*target.shape, 1), 5.0
            )
            return logits

    texts = torch.tensor([[2, 0], [3, 0], [4, 0]])
    known = torch.full((1, 1, 4, 4), -1)
    known[..., :2, :] = 3
    known[..., 0, 0] = 4
    model = Reader(get_preset("test").transformer)
    assert likeliest_text(model, texts, known).tolist() == [[3, 0]]


def test_where_nothing_is_known_the_planner_decides(painter: Nuwa) -> None:
    """A hole explains every box alike: without the planner's say any candidate would do."""
    planned = copy.deepcopy(painter)
    with torch.no_grad():
        planned.planner.slots[:5] = 3.0
        heads = planned.planner.heads
        heads[:5] = -0.1
        heads[0, 1] = heads[1, 26] = heads[2, 16] = heads[4, 8] = 0.0  # somebody, x, y, height
        heads[3, 10], heads[3, 4] = 0.0, 0.002  # wide, or a little likelier narrow
    known = torch.full((1, 3, 16, 16), -1)
    known[0, 0, :, :4] = 0
    for seed in range(12):
        keys, present = plan_keys(planned, _plan(known, GridShape(3, 16, 16)), seed)
        assert bool(present)
        assert torch.equal(keys[0, 0], from_bins(torch.tensor([26, 16, 4, 8])))
