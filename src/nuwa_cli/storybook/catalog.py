"""The vocabulary of the storybook world: subjects, actions and places, read from the TOML files in
`data/`.

The order of the entries in a file fixes their label ids (evaluators are trained on them), so files
are append only. Everything is plain data; what may happen where is decided in `world.py`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from nuwa_cli.errors import InputError
from nuwa_cli.sketches.palette import CLASS_ID

FACINGS = ("left", "right", "front")
MOVES = ("static", "go", "fly", "ball")
_LIVING = tuple(CLASS_ID[name] for name in ("person", "animal", "bird", "sea animal", "insect"))
MEDIA = ("ground", "floor", "water", "underwater", "air", "space")


@dataclass(frozen=True)
class Subject:
    """One character or thing: its sprite, its sketch class, its words and habits."""

    id: str
    index: int
    core: bool
    emoji: str
    class_id: int
    habitat: str
    moves: str
    facing: str
    idle: tuple[str, ...]
    travel: str
    home: tuple[str, ...]
    en: tuple[str, ...]
    zh: tuple[str, ...]
    measure: str
    key: str
    turn: float
    clip: tuple[float, float]
    prop: str

    @property
    def is_person(self) -> bool:
        """True for people (of all kinds)."""
        return self.class_id == CLASS_ID["person"]

    @property
    def is_alive(self) -> bool:
        """True for people and animals."""
        return self.class_id in _LIVING


@dataclass(frozen=True)
class Action:
    """What a subject does, as verb forms: he "plays golf", plain "play golf", ing "playing
    golf".
    """

    id: str
    index: int
    he: str
    plain: str
    ing: str
    zh: str
    zh_alone: str
    zh_again: str


@dataclass(frozen=True)
class Place:
    """Where a scene plays: `en`/`zh` say where something is, `view_en`/`view_zh` name the place
    itself.
    """

    id: str
    index: int
    core: bool
    medium: str
    times: tuple[str, ...]
    dry: bool
    en: tuple[str, ...]
    zh: tuple[str, ...]
    view_en: tuple[str, ...]
    view_zh: tuple[str, ...]


@dataclass(frozen=True)
class Catalog:
    """All entries by id, in label order."""

    subjects: dict[str, Subject]
    actions: dict[str, Action]
    places: dict[str, Place]


def read_data(name: str) -> dict[str, Any]:
    """The table in `data/<name>.toml` of this package."""
    text = resources.files("nuwa_cli.storybook").joinpath("data", f"{name}.toml").read_text("utf-8")
    return tomllib.loads(text)


def _span(ends: list[float]) -> tuple[float, float]:
    first, last = ends
    return float(first), float(last)


def _subject(index: int, key: str, row: dict[str, Any]) -> Subject:
    subject = Subject(
        id=key,
        index=index,
        core=row.get("core", False),
        emoji=row["emoji"],
        class_id=CLASS_ID[row["class"]],
        habitat=row["habitat"],
        moves=row["moves"],
        facing=row.get("facing", "front"),
        idle=tuple(row["idle"]),
        travel=row.get("travel", ""),
        home=tuple(row["home"]),
        en=tuple(row["en"]),
        zh=tuple(row["zh"]),
        measure=row.get("measure", "个"),
        key=row.get("key", ""),
        turn=float(row.get("turn", 0.0)),
        clip=_span(row.get("clip", [0.0, 1.0])),
        prop=row.get("prop", ""),
    )
    if subject.facing not in FACINGS or subject.moves not in MOVES:
        raise InputError(
            f"subject '{key}': unknown facing or moves; use {', '.join(FACINGS + MOVES)}"
        )
    return subject


@lru_cache(maxsize=1)
def load_catalog() -> Catalog:
    """The catalog of this package; raises `InputError` where an entry names something unknown."""
    subjects = {
        key: _subject(index, key, row)
        for index, (key, row) in enumerate(read_data("subjects").items())
    }
    actions = {
        key: Action(
            id=key,
            index=index,
            he=row["he"],
            plain=row["plain"],
            ing=row["ing"],
            zh=row["zh"],
            zh_alone=row.get("zh_alone", row["zh"]),
            zh_again=row.get("zh_again", ""),
        )
        for index, (key, row) in enumerate(read_data("actions").items())
    }
    places = {
        key: Place(
            id=key,
            index=index,
            core=row.get("core", False),
            medium=row["medium"],
            times=tuple(row.get("times", ("day", "sunset", "night"))),
            dry=row.get("dry", False),
            en=tuple(row["en"]),
            zh=tuple(row["zh"]),
            view_en=tuple(row["view_en"]),
            view_zh=tuple(row["view_zh"]),
        )
        for index, (key, row) in enumerate(read_data("places").items())
    }
    for subject in subjects.values():
        named = [*subject.idle, *([subject.travel] if subject.travel else [])]
        for action in named:
            if action not in actions:
                raise InputError(
                    f"action '{action}': not in actions.toml; see subject '{subject.id}'"
                )
        for place in subject.home:
            if place not in places:
                raise InputError(f"place '{place}': not in places.toml; see subject '{subject.id}'")
    return Catalog(subjects, actions, places)
