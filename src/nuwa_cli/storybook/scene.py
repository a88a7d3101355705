"""How a seed becomes a scene.

Sampling is a pure function of (seed, world, split): draw who, where and what they do, keep the
draw if its pairs belong to the split, then draw company, hour, weather, landscape and camera. The
training split never yields a held-out pair, the held-out split nothing else.
"""

from __future__ import annotations

from random import Random

from nuwa_cli.errors import UsageError
from nuwa_cli.storybook.casting import between, cast, pick, side_by_side
from nuwa_cli.storybook.catalog import Place, load_catalog
from nuwa_cli.storybook.motion import MOTION_ID
from nuwa_cli.storybook.spec import CAMERAS, Camera, SceneSpec, SubjectSpec
from nuwa_cli.storybook.world import (
    WEATHERS,
    WorldConfig,
    is_held_out_action,
    is_held_out_subject,
    place_weight,
)

__all__ = ["SPLITS", "Camera", "SceneSpec", "SubjectSpec", "sample_scene"]

SPLITS = ("train", "held_out")

_ATTEMPTS = 500
_WET_WEATHER_MEDIA = ("ground", "water")


def _camera(random: Random, world: WorldConfig) -> Camera:
    if random.random() >= world.camera_probability:
        return Camera("static", random.random(), 0.0)
    kind = CAMERAS[1 + int(random.random() * 4)]
    if kind.startswith("pan"):
        return Camera(kind, between(random, 0.0, 0.15), between(random, 0.6, 0.85))
    return Camera(kind, random.random(), between(random, 0.2, 0.3))


def _is_held_out(spec: SubjectSpec, place: str) -> bool:
    return is_held_out_subject(spec.id, place) or is_held_out_action(spec.action, place)


def sample_scene(
    seed: int,
    world: WorldConfig,
    split: str = "train",
    *,
    subject: str = "",
    place: str = "",
    motion: str = "",
) -> SceneSpec:
    """The scene of `seed` in `world`: the same arguments give the same scene on every machine.

    `subject`, `place` and `motion` fix a choice that the seed would make. Raises `UsageError` for
    an unknown name, and where the split has no scene with the fixed choices.
    """
    catalog = load_catalog()
    for name, known in ((subject, catalog.subjects), (place, catalog.places), (motion, MOTION_ID)):
        if name and name not in known:
            raise UsageError(f"'{name}': no such entry; use one of {', '.join(known)}")
    if split not in SPLITS:
        raise UsageError(f"split '{split}': unknown; use one of {', '.join(SPLITS)}")
    random = Random(f"scene:{split}:{seed}")
    for _ in range(_ATTEMPTS):
        who = subject or world.subjects[int(random.random() * len(world.subjects))]
        where = place
        if not where:
            options = [p for p in world.places if place_weight(who, p) > 0]
            where = pick(random, options, [place_weight(who, p) for p in options])
        first = cast(random, catalog.subjects[who], catalog.places[where], world, motion)
        if _is_held_out(first, where) == (split == "held_out"):
            break
    else:
        raise UsageError(
            f"scene '{subject or 'any'} x {place or 'any'}': the split '{split}' has none; "
            "choose another pair"
        )
    subjects: tuple[SubjectSpec, ...] = (first,)
    if split == "train" and not subject and random.random() < world.pair_probability:
        second = _companion(random, first, catalog.places[where], world)
        subjects = side_by_side(first, second) if second else subjects
    if split == "train" and not subject and random.random() < world.empty_probability:
        subjects = ()
    return _finish(random, seed, catalog.places[where], subjects, world)


def _companion(
    random: Random, first: SubjectSpec, place: Place, world: WorldConfig
) -> SubjectSpec | None:
    """Someone else who may be in the same place with the same motion, if a few draws find one."""
    catalog = load_catalog()
    for _ in range(8):
        who = world.subjects[int(random.random() * len(world.subjects))]
        subject = catalog.subjects[who]
        if who == first.id or not place_weight(who, place.id):
            continue
        same = first.motion in ("left", "right") and subject.moves != "static"
        second = cast(random, subject, place, world, first.motion if same else "still")
        if not _is_held_out(second, place.id) and (same or first.motion not in ("left", "right")):
            return second
    return None


def _finish(
    random: Random, seed: int, place: Place, subjects: tuple[SubjectSpec, ...], world: WorldConfig
) -> SceneSpec:
    hours = {
        "day": 1.0 - world.sunset_probability - world.night_probability,
        "sunset": world.sunset_probability,
        "night": world.night_probability,
    }
    time = pick(random, list(place.times), [hours[hour] for hour in place.times])
    weather = "clear"
    is_wet = random.random() < world.weather_probability
    if is_wet and place.medium in _WET_WEATHER_MEDIA and not place.dry:
        weather = WEATHERS[1 + int(random.random() * 2)]
    return SceneSpec(
        seed=seed,
        place=place.id,
        time=time,
        weather=weather,
        landscape_seed=int(random.random() * world.landscape_pool),
        subjects=subjects,
        camera=_camera(random, world),
        num_frames=world.num_frames,
        fps=world.fps,
    )
