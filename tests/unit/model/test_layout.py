"""Layouts: boxes in, boxes out, and a planner that depends on earlier slots only."""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa_cli.model.layout import (
    BINS,
    KEY_FRAMES,
    LAYOUT_VOCAB,
    NUM_SLOTS,
    OUTSIDE,
    LayoutPlanner,
    box_path,
    boxes_of,
    from_bins,
    key_boxes,
    rasterize,
    to_bins,
)
from nuwa_cli.ops.grid import GridShape


def _planner() -> LayoutPlanner:
    torch.manual_seed(0)
    planner = LayoutPlanner(8)
    for parameter in planner.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return planner


def test_box_of_a_mask_and_back_to_cells() -> None:
    mask = torch.zeros(2, 64, 64, dtype=torch.uint8)
    mask[0, 16:48, 8:24] = 1  # rows 16-47, columns 8-23; the second mask stays empty
    boxes, present = boxes_of(mask)
    assert present.tolist() == [True, False]
    torch.testing.assert_close(boxes[0], torch.tensor([0.25, 0.5, 0.25, 0.5]))
    layout = rasterize(boxes[None], present[None], GridShape(2, 16, 16))[0]
    inside = layout[0] != OUTSIDE
    assert inside[4:12, 2:6].all() and int(inside.sum()) == 8 * 4
    assert not (layout[1] != OUTSIDE).any()
    assert int(layout.max()) < LAYOUT_VOCAB
    # eight rows meet all eight parts, four columns every second one
    assert layout[0, 4:12, 2].tolist() == [1 + 8 * row + 1 for row in range(8)]
    assert layout[0, 11, 2:6].tolist() == [LAYOUT_VOCAB - 8 + part for part in (1, 3, 5, 7)]


def test_the_smallest_box_still_has_a_cell() -> None:
    boxes = torch.tensor([[[0.51, 0.49, 0.0, 0.0]]])
    layout = rasterize(boxes, torch.ones(1, 1, dtype=torch.bool), GridShape(1, 16, 16))
    assert int((layout != OUTSIDE).sum()) == 1


def test_bins_are_coarse_but_near() -> None:
    shares = torch.rand(100)
    assert float((from_bins(to_bins(shares)) - shares).abs().max()) <= 0.5 / BINS + 1e-6


def test_path_goes_through_its_keys_and_then_stays() -> None:
    keys = torch.rand(1, KEY_FRAMES, 4)
    path = box_path(keys, 14, 9)
    torch.testing.assert_close(path[:, [0, 4, 8, 13]], keys[:, [0, 1, 2, 2]])
    torch.testing.assert_close(path[:, 2], (keys[:, 0] + keys[:, 1]) / 2)
    torch.testing.assert_close(box_path(keys, 1, 1), keys[:, :1])


def test_a_slot_depends_on_earlier_slots_only() -> None:
    planner, pooled = _planner(), torch.randn(2, 8)
    bins = torch.randint(BINS, (2, NUM_SLOTS))
    before = planner(pooled, bins, is_clip=True)
    for slot in range(NUM_SLOTS):
        changed = bins.clone()
        changed[:, slot] = (changed[:, slot] + 1) % BINS
        after = planner(pooled, changed, is_clip=True)
        assert torch.equal(after[:, : slot + 1], before[:, : slot + 1])
        assert slot == NUM_SLOTS - 1 or not torch.equal(after[:, slot + 1 :], before[:, slot + 1 :])
    assert not torch.equal(before, planner(pooled, bins, is_clip=False))


def test_drawing_follows_the_teacher_forced_distribution() -> None:
    planner, pooled = _planner(), torch.randn(1, 8)
    numbers: Tensor = torch.rand(1, NUM_SLOTS, dtype=torch.float64)
    bins = planner.draw(pooled, numbers, is_clip=True, temperature=1.0)
    mass = planner(pooled, bins, is_clip=True).double().softmax(-1).cumsum(-1)[0]
    for slot, chosen in enumerate(bins[0].tolist()):
        assert numbers[0, slot] <= mass[slot, chosen] + 1e-9
        assert chosen == 0 or numbers[0, slot] > mass[slot, chosen - 1] - 1e-9
    boxes, is_subject = key_boxes(bins)
    assert boxes.shape == (1, KEY_FRAMES, 4) and is_subject.shape == (1,)


def test_drawing_goes_on_from_given_slots_and_samples_do_not_mix() -> None:
    planner, pooled = _planner(), torch.randn(1, 8)
    numbers: Tensor = torch.rand(3, NUM_SLOTS, dtype=torch.float64)
    given = torch.tensor([[1, 30, 2, 9]])
    bins = planner.draw(pooled.expand(3, -1), numbers, is_clip=True, given=given)
    assert torch.equal(bins[:, :4], given.expand(3, -1))
    alone = planner.draw(pooled, numbers[1:2], is_clip=True, given=given)
    assert torch.equal(bins[1:2], alone)
