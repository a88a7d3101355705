"""Where the subject of a long clip goes: on as it went, and never out of the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.infinity.clip_path import (
    STILL,
    ClipPath,
    Motion,
    find_path,
    is_like,
    motion_between,
    told_motion,
)
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.layout import OUTSIDE
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.presets import get_preset
from nuwa_cli.tasks.layouts import plan_keys
from nuwa_cli.tasks.plan import Plan

rate = st.floats(-0.3, 0.3)
side = st.floats(0.1, 1.0)


@given(
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    width=side,
    height=side,
    drift=st.tuples(rate, rate),
    growth=rate,
    bob=st.tuples(rate, rate),
    period=st.integers(1, 12),
)
def test_a_box_that_begins_inside_stays_inside(
    x: float,
    y: float,
    width: float,
    height: float,
    drift: tuple[float, float],
    growth: float,
    bob: tuple[float, float],
    period: int,
) -> None:
    start = (width / 2 + x * (1 - width), height / 2 + y * (1 - height), width, height)
    path = ClipPath([start], Motion(drift, growth, bob, period))
    for frame in (0, 1, 2, 5, 9, 50, 199):
        cx, cy, w, h = path.box(frame)
        limit = max(width, height, 0.8) + 1e-9
        assert min(w, h) > 0 and max(w, h) <= limit
        assert cx - w / 2 >= -1e-9 and cx + w / 2 <= 1 + 1e-9
        assert cy - h / 2 >= -1e-9 and cy + h / 2 <= 1 + 1e-9


def test_a_drift_goes_on_at_its_pace_and_ends_before_the_edge() -> None:
    path = ClipPath([(0.2, 0.5, 0.2, 0.2)], Motion((0.02, 0.0), 0.0, (0.0, 0.0), 9))
    ways = np.diff([path.box(frame)[0] for frame in range(300)])
    assert ways[0] == pytest.approx(0.02, rel=0.05)
    assert (ways > 0).all() and (np.diff(ways) < 0).all()
    assert path.box(299)[0] == pytest.approx(0.9, abs=1e-3)
    assert path.box(299)[1:] == (0.5, 0.2, 0.2)


def test_who_stands_still_stays_where_he_is() -> None:
    box = (0.4, 0.6, 0.3, 0.5)
    assert ClipPath([box], STILL).box(199) == pytest.approx(box)


def test_what_the_edge_cuts_off_does_not_jump_in() -> None:
    path = ClipPath([(1.0, 0.5, 0.4, 0.4)], Motion((0.05, 0.0), 0.0, (0.0, 0.0), 9))
    assert path.box(100)[0] == 1.0


def test_bobbing_goes_on_for_ever_and_ends_where_it_began() -> None:
    path = ClipPath([(0.5, 0.7, 0.2, 0.2)], Motion((0.0, 0.0), 0.0, (0.0, -0.3), 8))
    for period in range(0, 80, 8):
        assert path.box(period)[1] == pytest.approx(0.7)
        assert path.box(period + 4)[1] == pytest.approx(0.4)


def test_motion_is_more_than_the_wavering_of_boxes() -> None:
    first = np.array([0.5, 0.5, 0.3, 0.3])
    wavering = np.stack((first, first + 0.03, first - 0.03))
    assert motion_between(wavering, 9) == Motion((0, 0), 0, (0, 0), 9)
    right = np.array([0.1, 0, 0, 0])
    straight = np.stack((first, first + right, first + 2 * right))
    assert motion_between(straight, 10).drift == pytest.approx((0.02, 0.0))
    assert motion_between(straight, 10).bob == pytest.approx((0.0, 0.0))
    jump = np.stack((first, first - np.array([0, 0.2, 0, 0]), first))
    assert motion_between(jump, 10).bob == pytest.approx((0.0, -0.2))
    nearer = np.stack((first, first * [1, 1, 1.5, 1.5], first * [1, 1, 2, 2]))
    assert motion_between(nearer, 10).growth == pytest.approx(np.log(2) / 10)


def test_motions_that_lead_to_the_same_place_are_alike() -> None:
    slow = Motion((0.01, 0.0), 0.0, (0.0, 0.0), 9)
    assert is_like(slow, STILL, 10) and is_like(Motion((-0.005, 0.0), 0.05, (0, 0), 9), slow, 10)
    assert not is_like(Motion((0.04, 0.0), 0.0, (0.0, 0.0), 9), STILL, 10)
    assert not is_like(Motion((0.0, 0.0), 0.1, (0.0, 0.0), 9), STILL, 10)


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


def _plan(known: Tensor, text: int) -> Plan:
    return Plan(
        task="extend",
        kind="video",
        grid=GridShape(3, 4, 4),
        text=torch.tensor([[text, 0, 0]]),
        layout_frames=3,
        known_tokens=known,
    )


def _walking(columns: list[int]) -> Tensor:
    known = torch.zeros(1, len(columns), 4, 4, dtype=torch.int64)
    for frame, column in enumerate(columns):
        known[0, frame, 1:3, column : column + 2] = 1
    return known


@pytest.mark.parametrize("text", [0, 5])
def test_the_given_way_goes_on(painter: Nuwa, text: int) -> None:
    plan = _plan(_walking([0, 1, 2]), text)
    path = find_path(painter, plan, seed=0)
    assert path is not None and len(path.given) == 3
    assert path.box(2)[0] - path.box(0)[0] > 0.2
    assert path.motion.drift[0] > 0 and path.motion.period == 2


def test_one_frame_shows_no_motion(painter: Nuwa) -> None:
    path = find_path(painter, _plan(_walking([1]), 5), seed=0)
    assert path is not None and len(path.given) == 1
    assert path.motion == STILL


def test_where_nobody_is_there_is_no_path(painter: Nuwa) -> None:
    known = torch.zeros(1, 3, 4, 4, dtype=torch.int64)
    assert find_path(painter, _plan(known, 0), seed=0) is None


def test_a_text_tells_the_motion(painter: Nuwa) -> None:
    """It is that of the path that the planner lets follow on the first frame."""
    plan = _plan(_walking([1]), 5)
    keys, is_subject = plan_keys(painter, plan, seed=2)
    assert bool(is_subject[0])
    told = told_motion(painter, plan, seed=2)
    assert told == motion_between(keys[0].double().numpy(), 2) != STILL
    assert told_motion(painter, _plan(torch.zeros(1, 1, 4, 4).long(), 0), seed=2) == STILL
