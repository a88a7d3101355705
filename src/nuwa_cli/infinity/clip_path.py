"""Where the subject of a long clip goes: one box a frame, for as many frames as are asked for.

A path planned for a clip of ten frames leaves the picture when it is simply continued, and the subject is
lost. So what the subject does is taken as three rates: it drifts, it grows or shrinks, and it bobs up and down
or to and fro around its way. The drift goes on at the pace that it has, eases out before the subject would
touch the edge, and the subject stays there; so does its growth. The bobbing goes on for ever.

The rates are measured in the given frames, where the model's own likelihood finds the subject
(`tasks.layouts`). A prompt may speak of another motion: then the model's planner says how it goes on. It
plans roughly, so where it has about the same in mind, what was measured holds.

Invariant: a box that begins inside the picture stays inside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuwa_cli.model.layout import KEY_FRAMES
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.tasks.layouts import find_box, plan_keys
from nuwa_cli.tasks.plan import Box, Plan

_STILL = 2.0 / 32  # of the frame: no more than two steps of a planned box is no motion
_SAME_SIZE = 0.25  # of the logarithm of a side: sizes that are found or planned waver as much
_LIKE, _LIKE_SIZE = (
    0.2,
    0.7,
)  # the same for two motions over a clip: a fifth of the frame, twice the size
_LARGEST, _SMALLEST = 0.8, 0.15  # sides of the frame that growing and shrinking end at

_Boxes = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Motion:
    """What a subject does, per frame; centers are (x, y) as shares of the frame."""

    drift: tuple[float, float]
    growth: float  # of the logarithm of its sides
    bob: tuple[float, float]  # how far it is off its way in the middle of each period
    period: int  # frames


STILL = Motion((0.0, 0.0), 0.0, (0.0, 0.0), 1)


def motion_between(keys: _Boxes, frames: int) -> Motion:
    """The motion that boxes (3, 4) at the beginning, middle and end of `frames` steps show; what is not
    more than the wavering of such boxes is none."""
    first, middle, last = keys
    drift = _unless_still(last[:2] - first[:2])
    bob = _unless_still(middle[:2] - (first[:2] + last[:2]) / 2)
    growth = float(np.log(np.maximum(last[2:], 1e-3) / np.maximum(first[2:], 1e-3)).mean())
    growth = growth if abs(growth) > _SAME_SIZE else 0.0
    frames = max(frames, 1)
    return Motion(_pair(drift / frames), growth / frames, _pair(bob), frames)


class ClipPath:
    """The boxes of a clip's frames, counted from the first of those that are given."""

    def __init__(self, given: Sequence[Box], motion: Motion) -> None:
        """`given`: the box in each given frame, at least one."""
        self.given = tuple(given)
        self.motion = motion

    def box(self, frame: int) -> Box:
        """The subject's box in one frame."""
        if frame < len(self.given):
            return self.given[frame]
        later = frame - len(self.given) + 1
        x, y, width, height = self.given[-1]
        scale = self._scale(later)
        phase = 1 - abs(2 * (later / self.motion.period % 1) - 1)
        centers = []
        for at, side, drift, bob in zip(
            (x, y), (width, height), self.motion.drift, self.motion.bob, strict=True
        ):
            # What the edge has cut off already stays so: it does not jump into the picture.
            low = side * scale / 2 - max(side / 2 - at, 0.0)
            high = 1 - side * scale / 2 + max(at + side / 2 - 1, 0.0)
            room = high - at if drift > 0 else at - low
            place = at + _eased(drift, room, later) + bob * phase
            centers.append(min(max(place, low), high))
        return centers[0], centers[1], width * scale, height * scale

    def _scale(self, later: int) -> float:
        """How much larger than in the last given frame the subject is."""
        sides = self.given[-1][2:]
        growth = self.motion.growth
        limit = _LARGEST / max(sides) if growth > 0 else min(sides) / _SMALLEST
        return math.exp(_eased(growth, max(math.log(limit), 0.0), later))


def find_path(model: Nuwa, plan: Plan, seed: int) -> ClipPath | None:
    """The path of the subject that the known frames of a plan show and its text speaks of; None where
    nobody is found.

    Args:
        plan: all given frames are known tokens; with a text its grid goes on after them.
    """
    assert plan.known_tokens is not None
    count = plan.known_tokens.shape[1]
    numbers = sorted({0, (count - 1) // 2, count - 1})
    found = {number: find_box(model, plan, number, seed) for number in numbers}
    last = found[count - 1]
    if last is None:
        return None
    boxes = np.array([found[number] or last for number in numbers])
    keys = boxes if len(boxes) == KEY_FRAMES else boxes[[0, 0, -1] if len(boxes) > 1 else [0] * 3]
    shown = motion_between(keys, count - 1)
    given = _smoothed(keys, shown, count)
    return ClipPath(given, shown)


def told_motion(model: Nuwa, plan: Plan, seed: int) -> Motion:
    """What the planner makes of the text of a plan: of the motions that it thinks possible, the one that
    comes nearest to what the known frames show."""
    keys, is_subject = plan_keys(model, plan, seed)
    if not bool(is_subject[0]):
        return STILL
    return motion_between(keys[0].double().cpu().numpy(), plan.layout_frames - 1)


def is_like(told: Motion, shown: Motion, frames: int) -> bool:
    """Whether two motions lead to about the same place in so many frames; planned ones waver."""
    ways = np.subtract(told.drift, shown.drift) * frames
    growth = abs(told.growth - shown.growth) * frames
    return bool(np.abs(ways).max() < _LIKE and growth < _LIKE_SIZE)


def _smoothed(keys: _Boxes, motion: Motion, count: int) -> list[Box]:
    """The box in each of `count` frames: that of the last one, moved back along the motion."""
    x, y, width, height = keys[-1]
    boxes = []
    for frame in range(count):
        before = count - 1 - frame
        phase = 1 - abs(2 * (frame / motion.period) - 1) if motion.period > 1 else 0.0
        scale = math.exp(-motion.growth * before)
        boxes.append(
            (
                float(x - motion.drift[0] * before + motion.bob[0] * phase),
                float(y - motion.drift[1] * before + motion.bob[1] * phase),
                float(width * scale),
                float(height * scale),
            )
        )
    return boxes


def _eased(rate: float, room: float, frames: int) -> float:
    """How far a rate leads in some frames, when it slows down so as never to pass `room`."""
    if rate == 0.0 or room <= 0.0:
        return 0.0
    return math.copysign(room * -math.expm1(-abs(rate) * frames / room), rate)


def _unless_still(way: _Boxes) -> _Boxes:
    return np.where(np.abs(way) > _STILL, way, 0.0)


def _pair(values: _Boxes) -> tuple[float, float]:
    return float(values[0]), float(values[1])
