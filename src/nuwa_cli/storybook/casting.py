"""What one subject does in a place: its motion, the verb for it, where it stands, how large it is.

A subject is drawn large and, when it travels, crosses the frame, so that motion and direction are
plain to see. Every choice comes from the generator that is handed in, in a fixed order: adding a
draw changes all scenes, so draws are added at the end only.

Stances: "stand" feet on the ground, "afloat" in water up to `sink`, "drift" the centre on the
standing line (under water, in space), "free" in the air at its own height.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from nuwa_cli.storybook.catalog import Place, Subject
from nuwa_cli.storybook.spec import SubjectSpec
from nuwa_cli.storybook.world import WorldConfig

_TRAVELS = ("left", "right", "up", "down", "toward", "away")
_SINK = {"land": 0.2, "swim": 0.03, "boat": 0.05, "duck": 0.1, "sea": 0.22, "space": 0.2}
_LAND_ACTIONS = ("stand", "sit", "park", "be", "walk", "run", "hop", "crawl", "roll", "slide")


def pick(random: Random, options: list[str], weights: list[float]) -> str:
    """One option by weight, from one draw."""
    mark = random.random() * sum(weights)
    for option, weight in zip(options, weights, strict=True):
        mark -= weight
        if mark < 0:
            return option
    return options[-1]


def between(random: Random, low: float, high: float) -> float:
    """A number in [low, high), from one draw."""
    return low + (high - low) * random.random()


def _motion(random: Random, subject: Subject, medium: str, world: WorldConfig) -> str:
    if subject.moves == "static":
        return "still"
    sideways = world.travel_probability
    rest = 1.0 - sideways
    options = {"left": sideways / 2, "right": sideways / 2, "still": rest * 0.45}
    if subject.moves == "ball":
        options["bounce"] = rest * 0.5
    else:
        options["toward"] = options["away"] = rest * 0.12
    flies = subject.moves == "fly" or subject.habitat in ("sea", "swim", "space")
    if flies and (subject.moves == "fly" or medium in ("underwater", "space")):
        options["up"] = options["down"] = rest * 0.3
    elif subject.is_alive and subject.habitat == "land":
        options["jump"] = rest * 0.2
    return pick(random, list(options), list(options.values()))


def _action(random: Random, subject: Subject, motion: str, medium: str, stance: str) -> str:
    """The verb that fits what will be seen: nobody stands in open water, nobody walks in space."""
    if motion in ("jump", "bounce"):
        return motion
    if motion in _TRAVELS and subject.travel:
        action = subject.travel
    else:
        action = subject.idle[int(random.random() * len(subject.idle))]
    if subject.is_person:
        return action
    if stance == "afloat" and action in _LAND_ACTIONS:
        return "swim" if subject.is_alive else "float"
    if stance == "drift" and action in _LAND_ACTIONS:
        return "swim" if subject.is_alive and medium == "underwater" else "float"
    if medium in ("space", "air") and action == "drive":
        return "fly"
    return action


def _stance(subject: Subject, motion: str, medium: str) -> str:
    airborne = subject.habitat in ("flyer", "aircraft") or (
        subject.moves == "fly" and motion in _TRAVELS
    )
    if medium in ("underwater", "space", "air"):
        return "drift"
    if airborne:
        return "free"
    return "afloat" if medium == "water" else "stand"


def _path(
    random: Random, motion: str, stance: str, slot: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Start and end (x, lift) of a motion; who rests is somewhere in `slot`, a range of x."""
    lift = between(random, 0.54, 0.62) if stance == "free" else 0.0
    x = between(random, *slot)
    if motion in ("left", "right"):
        way = between(random, 0.38, 0.58)
        middle = between(random, 0.47, 0.53)
        left, right = middle - way / 2, middle + way / 2
        drift = between(random, -0.05, 0.05) if stance in ("free", "drift") else 0.0
        ends = ((left, lift), (right, lift + drift))
        return ends if motion == "right" else ((right, lift), (left, lift + drift))
    if motion in ("up", "down"):
        reach = between(random, 0.36, 0.46)
        low, high = (lift - reach / 2, lift + reach / 2)
        if stance == "drift":
            low, high = -reach / 2, reach / 2
        return ((x, low), (x, high)) if motion == "up" else ((x, high), (x, low))
    return (x, lift), (x, lift)


def _size(random: Random, motion: str, stance: str, *, is_tall: bool) -> float:
    if stance == "free" and motion not in ("left", "right"):
        return between(random, 0.46, 0.6)
    if motion in ("left", "right"):
        return between(random, 0.48, 0.62)
    if motion in ("up", "down", "jump", "bounce"):
        return between(random, 0.45, 0.56)
    return between(random, 0.66, 0.84) if is_tall else between(random, 0.58, 0.76)


def _mirrored(random: Random, subject: Subject, motion: str) -> bool:
    if motion in ("left", "right") and subject.facing != "front":
        return motion != subject.facing
    return random.random() < 0.5


def cast(
    random: Random, subject: Subject, place: Place, world: WorldConfig, motion: str
) -> SubjectSpec:
    """What `subject` does in `place`, alone in the middle; `motion` "" leaves it to chance."""
    motion = motion or _motion(random, subject, place.medium, world)
    stance = _stance(subject, motion, place.medium)
    action = _action(random, subject, motion, place.medium, stance)
    start, end = _path(random, motion, stance, (0.42, 0.58))
    mirrored = _mirrored(random, subject, motion)
    if subject.prop:
        # Room in front of a golfer for the ball to fly.
        back = -0.1 if mirrored else 0.1
        start, end = (start[0] + back, start[1]), (end[0] + back, end[1])
    return SubjectSpec(
        id=subject.id,
        action=action,
        motion=motion,
        stance=stance,
        mirrored=mirrored,
        size=_size(random, motion, stance, is_tall=subject.moves == "static"),
        start=start,
        end=end,
        depth=random.random(),
        sink=_SINK.get(subject.habitat, 0.0) if stance == "afloat" else 0.0,
        phase=random.random(),
    )


def side_by_side(first: SubjectSpec, second: SubjectSpec) -> tuple[SubjectSpec, SubjectSpec]:
    """Two subjects side by side, smaller, moving alike: the second follows the first's motion."""
    shrink = 0.7
    centers = (0.29, 0.72)
    placed = []
    for spec, center in zip((first, second), centers, strict=True):
        middle = (spec.start[0] + spec.end[0]) / 2
        pull = 0.62 if spec.motion in ("left", "right") else 1.0
        start = (center + (spec.start[0] - middle) * pull, spec.start[1])
        end = (center + (spec.end[0] - middle) * pull, spec.end[1])
        placed.append(replace(spec, size=spec.size * shrink, start=start, end=end))
    return placed[0], placed[1]
