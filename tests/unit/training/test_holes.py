"""Holes and crops for training completion."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nuwa_cli.training import holes
from nuwa_cli.training.holes import cover_subjects, crop, draw_crops, draw_holes


@given(seed=st.integers(0, 10**6), size=st.sampled_from([16, 32, 64]))
def test_no_hole_is_empty_or_everything(seed: int, size: int) -> None:
    drawn = draw_holes(8, size, size // 4, torch.Generator().manual_seed(seed))
    shares = drawn.float().mean(dim=(1, 2))
    assert drawn.shape == (8, size, size) and drawn.dtype == torch.bool
    assert bool((shares > 0).all()) and bool((shares < 1).all())


def test_holes_lie_on_all_sides_and_some_leave_little() -> None:
    drawn = draw_holes(400, 64, 16, torch.Generator().manual_seed(0))
    for corner in (drawn[:, 0, 0], drawn[:, 0, -1], drawn[:, -1, 0], drawn[:, -1, -1]):
        assert 0.2 < float(corner.float().mean()) < 0.65
    shares = drawn.float().mean(dim=(1, 2))
    assert 0.05 < float((shares > 0.88).float().mean()) < 0.2


def test_holes_are_a_function_of_the_generator() -> None:
    one, same = (draw_holes(5, 32, 8, torch.Generator().manual_seed(4)) for _ in range(2))
    assert torch.equal(one, same)


@pytest.mark.parametrize("kind", ["rectangle", "ellipse", "beyond_line", "all_but_little"])
def test_a_kind_looks_as_it_is_called(kind: str) -> None:
    hole = holes._hole(kind, 64, 0.25, torch.Generator().manual_seed(1))
    rows, columns = hole.any(dim=1), hole.any(dim=0)
    box = hole[rows][:, columns]
    if kind in ("rectangle", "beyond_line"):
        assert bool(box.all())
    elif kind == "ellipse":
        assert 0.7 < float(box.float().mean()) < 0.85
    else:
        assert float((~hole).float().mean()) < 0.12


def test_a_crop_is_a_part_enlarged_and_labels_are_not_mixed() -> None:
    ramp = torch.arange(64, dtype=torch.uint8).expand(2, 1, 64, 64)
    crops = torch.tensor([[0.0, 0.0, 1.0], [0.5, 0.25, 0.5]])
    smooth = crop(ramp, crops, smooth=True)
    assert torch.equal(smooth[0], ramp[0])
    assert int(smooth[1].min()) == 32 and int(smooth[1].max()) == 63
    labels = crop(ramp // 32 * 9, crops, smooth=False)
    assert labels[1].unique().tolist() == [9]


def test_crops_stay_inside() -> None:
    crops = draw_crops(torch.full((200,), 0.5), torch.Generator().manual_seed(0))
    left, top, side = crops.unbind(dim=1)
    assert bool((left + side <= 1 + 1e-6).all()) and bool((top + side <= 1 + 1e-6).all())
    assert 0.35 < float((side < 1).float().mean()) < 0.65


def test_each_crop_has_its_own_chance() -> None:
    crops = draw_crops(torch.tensor([0.0, 1.0]), torch.Generator().manual_seed(1))
    assert float(crops[0, 2]) == 1 and float(crops[1, 2]) < 1


def test_some_holes_lie_over_the_subject() -> None:
    holes = torch.zeros(300, 32, 32, dtype=torch.bool)
    subjects = holes.clone()
    subjects[:200, 5:20, 8:30] = True
    covered = cover_subjects(holes, subjects, 0.25, torch.Generator().manual_seed(0))
    changed = covered.flatten(1).any(dim=1)
    assert not changed[200:].any()
    assert 0.17 < float(changed[:200].float().mean()) < 0.33
    assert (covered & subjects)[changed].flatten(1).any(dim=1).all()
    left = (~covered & subjects)[changed].flatten(1).any(dim=1).float().mean()
    assert float(left) > 0.5  # most leave a part to be seen
