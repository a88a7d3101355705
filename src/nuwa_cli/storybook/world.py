"""What may happen where: the size of a world, its probabilities, and the pairs that training never
sees.

Zero-shot mixing is the point of NÜWA, so most subjects may appear in most places, and one in ten
(subject, place) and (action, place) pairs is held out of training by a hash, besides explicit
lists. Invariants: whether a pair is held out depends on its two names alone (not on the world or a
seed); explicit "trained" pairs win over the hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2b
from typing import Any

from nuwa_cli.storybook.catalog import Place, Subject, load_catalog, read_data

TIMES = ("day", "sunset", "night")
WEATHERS = ("clear", "rain", "snow")


@dataclass(frozen=True)
class WorldConfig:
    """Which subjects and places there are, and how often what happens (probabilities in [0, 1])."""

    subjects: tuple[str, ...]
    places: tuple[str, ...]
    landscape_pool: int = 16
    num_frames: int = 10
    fps: int = 6
    pair_probability: float = 0.15
    empty_probability: float = 0.0
    camera_probability: float = 0.15
    weather_probability: float = 0.15
    travel_probability: float = 0.68
    sunset_probability: float = 0.2
    night_probability: float = 0.15

    @classmethod
    def core(cls) -> WorldConfig:
        """The core vocabulary: the subjects and the 14 places marked `core` in the data files."""
        catalog = load_catalog()
        return cls(
            subjects=tuple(s.id for s in catalog.subjects.values() if s.core),
            places=tuple(p.id for p in catalog.places.values() if p.core),
        )

    @classmethod
    def full(cls) -> WorldConfig:
        """Every subject in every place, with more cameras and weather."""
        catalog = load_catalog()
        return cls(
            subjects=tuple(catalog.subjects),
            places=tuple(catalog.places),
            landscape_pool=24,
            pair_probability=0.25,
            camera_probability=0.25,
            weather_probability=0.2,
        )


@lru_cache(maxsize=1)
def _rules() -> dict[str, Any]:
    return read_data("rules")


def _is_held_out(kind: str, name: str, place: str) -> bool:
    rules = _rules()
    if [name, place] in rules["trained"][kind]:
        return False
    if [name, place] in rules["held_out"][kind]:
        return True
    digest = blake2b(f"{kind}|{name}|{place}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % int(rules["held_out"]["one_in"]) == 0


@cache
def is_held_out_subject(subject: str, place: str) -> bool:
    """True if training never shows this subject in this place."""
    return _is_held_out("subject_place", subject, place)


@cache
def is_held_out_action(action: str, place: str) -> bool:
    """True if training never shows this action in this place."""
    if action in _rules()["held_out"]["never_actions"]:
        return False
    return _is_held_out("action_place", action, place)


@cache
def place_weight(subject_id: str, place_id: str) -> float:
    """How often, relative to other places, this subject is seen there; 0 = never, in any split."""
    catalog = load_catalog()
    subject: Subject = catalog.subjects[subject_id]
    place: Place = catalog.places[place_id]
    rules = _rules()
    weight = float(rules["habitats"][subject.habitat].get(place.medium, 0.0))
    if place_id in subject.home:
        weight = max(weight, 1.0) * float(rules["home_factor"])
    return weight
