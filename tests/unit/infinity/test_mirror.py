"""Growing to the left is growing to the right in a mirror, and the sides never meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.infinity import joints
from nuwa_cli.infinity.geometry import Margins, plan_canvas
from nuwa_cli.infinity.mirror import lanes
from nuwa_cli.infinity.plans import DrawAll, Words
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


def grown(
    picture: Any, margins: Margins, vqgan: VQGAN, draw_all: DrawAll | None = None, known: Any = ()
) -> Any:
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
        known=dict(known),
        draw_all=draw_all,
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


def test_both_sides_are_drawn_at_once(vqgan: VQGAN) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (32, 36, 3), dtype=np.uint8)
    counts = []

    def draw_all(asked: Sequence[tuple[Plan, int]]) -> list[Tensor]:
        counts.append(len(asked))
        return [draw(plan, seed) for plan, seed in asked]

    margins = Margins(left=50, right=90)  # 4 and 6 steps
    together = grown(picture, margins, vqgan, draw_all)
    assert (together == grown(picture, margins, vqgan)).all()
    assert counts == [2, 2, 2, 2]
    grown(picture, Margins(left=50), vqgan, draw_all)
    assert len(counts) == 4
    done = {1: np.zeros((4, 2), dtype=np.int64)}  # what stands in a journal needs no other
    grown(picture, margins, vqgan, draw_all, done)
    assert counts[4:] == [2, 2, 2]


def test_where_it_grows_up_too_all_is_drawn_as_it_lies(vqgan: VQGAN) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    canvas = plan_canvas(32, 32, Margins(left=30, top=20), side=4, cell=8)
    assert len({id(lane) for _, lane in lanes(picture, canvas, vqgan)}) == 1
