"""Growing to the left is growing to the right in a mirror, and the sides never meet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.infinity import joints
from nuwa_cli.infinity.geometry import Margins, plan_canvas
from nuwa_cli.infinity.mirror import lanes
from nuwa_cli.infinity.plans import Words
from nuwa_cli.infinity.source import SourceCells
from nuwa_cli.infinity.walk import walk
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tokenizer.vqgan import VQGAN

pytestmark = pytest.mark.parametrize("vqgan", [False], ids=["plain"], indirect=True)

Make = Callable[..., SourceCells]
NOTHING = Words(torch.zeros(1, 3, dtype=torch.int64), has_subject=False)


@pytest.fixture(autouse=True)
def no_second_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joints, "joint_step", lambda *_: 0.0)


def draw(plan: Plan, _: int) -> Tensor:
    """Tokens that depend on what the step sees, not on its number."""
    assert plan.canvas is not None
    rng = np.random.default_rng([int(plan.canvas.abs().sum()), 7])
    return torch.from_numpy(rng.integers(0, 64, (1, *plan.grid.sides[1:])))


def grown(picture: Any, margins: Margins, vqgan: VQGAN) -> Any:
    """The whole result, each of its pixels given once."""
    canvas = plan_canvas(*picture.shape[:2], margins, side=4, cell=8)
    result = np.zeros((canvas.height, canvas.width, 3), dtype=np.uint8)
    seen = np.zeros(result.shape[:2], dtype=int)
    result[canvas.source_pixels.slices] = picture
    seen[canvas.source_pixels.slices] += 1
    numbers = []
    for done in walk(
        lanes(picture, canvas, vqgan),
        draw=draw,
        tell=lambda _: NOTHING,
        shows=lambda *_: None,
        seed=0,
        known={},
    ):
        numbers.append(done.step.index)
        for place, pixels in done.strips:
            result[place.slices] = pixels
            seen[place.slices] += 1
    assert (seen == 1).all()
    assert numbers == list(range(len(numbers)))
    return result


@pytest.mark.parametrize("size", [(32, 32), (40, 60), (60, 40)])
def test_left_is_right_in_a_mirror(size: tuple[int, int], vqgan: VQGAN) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    left = grown(picture, Margins(left=70), vqgan)
    right = grown(np.ascontiguousarray(picture[:, ::-1]), Margins(right=70), vqgan)
    assert (left == right[:, ::-1]).all()


def test_two_sides_are_what_each_is_alone(vqgan: VQGAN) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (32, 36, 3), dtype=np.uint8)
    both = grown(picture, Margins(left=50, right=90), vqgan)
    assert (both[:, :86] == grown(picture, Margins(left=50), vqgan)).all()
    assert (both[:, 50:] == grown(picture, Margins(right=90), vqgan)).all()


def test_where_it_grows_up_too_all_is_drawn_as_it_lies(vqgan: VQGAN) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    canvas = plan_canvas(32, 32, Margins(left=30, top=20), side=4, cell=8)
    assert len({id(lane) for _, lane in lanes(picture, canvas, vqgan)}) == 1
