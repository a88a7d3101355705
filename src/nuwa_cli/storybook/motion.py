"""Where a subject is at time t of a clip: trajectories as pure functions.

t runs from 0 (first frame) to 1 (last frame). A pose is relative to the stage of the scene: `x` is
the centre as a fraction of the frame width, `lift` the height above the subject's own standing
line as a fraction of the frame height, `scale` multiplies its size, `rotation` is in degrees,
clockwise.

Invariant: a subject that travels left or right moves by exactly its end minus its start, so the
label "left" or "right" is always visible in the clip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOTIONS = ("still", "left", "right", "up", "down", "toward", "away", "jump", "bounce")
MOTION_ID = {name: index for index, name in enumerate(MOTIONS)}

_FAR, _NEAR = 0.55, 1.0
_HIT = 0.45


@dataclass(frozen=True)
class Pose:
    """One moment of one subject."""

    x: float
    lift: float
    scale: float
    rotation: float


def _smooth(t: float) -> float:
    return t * t * (3.0 - 2.0 * t)


def swing_angle(t: float) -> float:
    """The golfer's body over the clip: back a little, then through; degrees."""
    if t < 0.35:
        return 7.0 * _smooth(t / 0.35)
    if t < 0.55:
        return 7.0 - 19.0 * _smooth((t - 0.35) / 0.2)
    return -12.0 + 12.0 * _smooth((t - 0.55) / 0.45)


def ball_flight(t: float) -> tuple[float, float]:
    """The golf ball relative to where it lies: (way toward the golfer's front, height), fractions
    of the frame.
    """
    if t < _HIT:
        return 0.0, 0.0
    flight = (t - _HIT) / (1.0 - _HIT)
    return 0.24 * flight, 0.85 * flight * (1.0 - 0.4 * flight)


def pose(
    motion: str,
    t: float,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    phase: float = 0.0,
    sways: float = 0.0,
    rolls: bool = False,
) -> Pose:
    """The pose at time t of a subject that moves from `start` to `end`, both (x, lift).

    `sways` is the amplitude in degrees of a slow rocking (boats, balloons), `rolls` turns a ball
    with the way it makes, `phase` in [0, 1) shifts the periodic parts.
    """
    x = start[0] + (end[0] - start[0]) * t
    lift = start[1] + (end[1] - start[1]) * t
    scale, rotation = 1.0, 0.0
    wave = math.sin(2.0 * math.pi * (t * 1.2 + phase))
    if motion == "toward":
        scale = _FAR + (_NEAR - _FAR) * t
    elif motion == "away":
        scale = _NEAR - (_NEAR - _FAR) * t
    elif motion == "jump":
        lift += 0.26 * abs(math.sin(math.pi * (1.5 * t + phase)))
    elif motion == "bounce":
        lift += 0.3 * abs(math.sin(math.pi * (2.5 * t + phase)))
    if sways:
        lift += 0.012 * wave
        rotation += sways * math.sin(2.0 * math.pi * (t + phase))
    if rolls:
        rotation += 400.0 * (end[0] - start[0]) * t
    return Pose(x, lift, scale, rotation)
