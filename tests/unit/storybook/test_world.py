"""The vocabulary, the held-out rule and the scenes of the storybook world."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import UsageError
from nuwa_cli.storybook import landscapes
from nuwa_cli.storybook.catalog import load_catalog, read_data
from nuwa_cli.storybook.motion import MOTION_ID
from nuwa_cli.storybook.scene import sample_scene
from nuwa_cli.storybook.world import (
    TIMES,
    WorldConfig,
    is_held_out_action,
    is_held_out_subject,
    place_weight,
)

CORE = WorldConfig.core()
FULL = WorldConfig.full()
SEEDS = range(1500)
GOLDEN_SEVEN = ("snow", "bee", "up")


def test_the_core_is_large_enough() -> None:
    assert len(CORE.subjects) >= 64
    assert len(CORE.places) == 14
    assert set(CORE.subjects) < set(FULL.subjects)
    assert len(FULL.subjects) >= 120
    assert len(FULL.places) >= 24


def test_core_entries_come_first_so_that_labels_are_dense() -> None:
    catalog = load_catalog()
    assert tuple(catalog.subjects)[: len(CORE.subjects)] == CORE.subjects
    assert tuple(catalog.places)[: len(CORE.places)] == CORE.places


def test_every_place_is_painted_with_the_medium_that_the_catalog_says() -> None:
    for place in load_catalog().places.values():
        assert landscapes.paint(place.id, 0, place.times[0]).medium == place.medium, place.id


def test_names_are_unique_in_each_language() -> None:
    subjects = load_catalog().subjects.values()
    for words in ([n for s in subjects for n in s.en], [n for s in subjects for n in s.zh]):
        assert len(words) == len(set(words))


def test_every_subject_has_somewhere_to_be_in_the_core_world() -> None:
    for subject in FULL.subjects:
        assert sum(place_weight(subject, place) > 0 for place in CORE.places) >= 3, subject


def test_explicit_pairs_name_known_things_and_do_not_contradict() -> None:
    catalog, rules = load_catalog(), read_data("rules")
    for kind, known in (("subject_place", catalog.subjects), ("action_place", catalog.actions)):
        held = [tuple(pair) for pair in rules["held_out"][kind]]
        trained = [tuple(pair) for pair in rules["trained"][kind]]
        assert not set(held) & set(trained)
        for name, place in (*held, *trained):
            assert name in known and place in catalog.places, (name, place)
        for name, place in held:
            if kind == "subject_place":
                assert place_weight(name, place) > 0, (name, place)


def test_the_articles_impossible_pairs_are_held_out_and_the_classics_are_not() -> None:
    assert is_held_out_subject("golfer", "swimming_pool")
    assert is_held_out_action("golf", "swimming_pool")
    assert is_held_out_subject("horse", "beach")
    assert not is_held_out_subject("golfer", "grass_hill")
    assert not is_held_out_action("golf", "grass_hill")
    assert not is_held_out_action("stand", "sea")


def test_about_one_pair_in_ten_is_held_out() -> None:
    pairs = [(s, p) for s in FULL.subjects for p in FULL.places]
    share = sum(is_held_out_subject(*pair) for pair in pairs) / len(pairs)
    assert 0.07 < share < 0.13


def test_training_never_shows_a_held_out_pair_and_the_other_split_only_those() -> None:
    for split in ("train", "held_out"):
        for seed in SEEDS:
            scene = sample_scene(seed, CORE, split)
            held = [
                is_held_out_subject(s.id, scene.place) or is_held_out_action(s.action, scene.place)
                for s in scene.subjects
            ]
            assert not any(held) if split == "train" else all(held), scene


def test_the_core_recipe_has_the_promised_proportions() -> None:
    scenes = [sample_scene(seed, CORE) for seed in SEEDS]
    firsts = [scene.subjects[0] for scene in scenes]
    share = {
        "alone": sum(len(s.subjects) == 1 for s in scenes) / len(scenes),
        "static": sum(s.camera.kind == "static" for s in scenes) / len(scenes),
        "clear": sum(s.weather == "clear" for s in scenes) / len(scenes),
        "sideways": sum(f.motion in ("left", "right") for f in firsts) / len(scenes),
    }
    assert share["alone"] > 0.82 and share["static"] > 0.82 and share["clear"] > 0.82
    assert share["sideways"] > 0.5
    assert {scene.place for scene in scenes} == set(CORE.places)
    assert {first.id for first in firsts} == set(CORE.subjects)


def test_who_travels_alone_crosses_a_third_of_the_frame_and_looks_where_it_goes() -> None:
    catalog = load_catalog()
    for seed in SEEDS:
        scene = sample_scene(seed, FULL)
        first = scene.subjects[0]
        if first.motion not in ("left", "right"):
            continue
        way = first.end[0] - first.start[0]
        assert (way > 0) == (first.motion == "right")
        if len(scene.subjects) == 1:
            assert abs(way) >= 0.35
        facing = catalog.subjects[first.id].facing
        if facing != "front":
            looks_left = (facing == "left") != first.mirrored
            assert looks_left == (first.motion == "left")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**63), split=st.sampled_from(["train", "held_out"]))
def test_a_scene_is_a_pure_function_of_its_seed(seed: int, split: str) -> None:
    first = sample_scene(seed, FULL, split)
    random.random()
    assert sample_scene(seed, FULL, split) == first
    assert 0 <= first.landscape_seed < FULL.landscape_pool
    assert first.time in load_catalog().places[first.place].times
    for subject in first.subjects:
        assert place_weight(subject.id, first.place) > 0


def test_a_known_seed_gives_the_scene_that_weights_were_trained_on() -> None:
    scene = sample_scene(7, CORE)
    assert (scene.place, scene.subjects[0].id, scene.subjects[0].motion) == GOLDEN_SEVEN


def test_labels_are_the_indices_of_the_tables() -> None:
    catalog = load_catalog()
    scene = sample_scene(3, CORE, subject="golfer", place="grass_hill")
    assert scene.labels == {
        "place": list(catalog.places).index("grass_hill"),
        "subject": list(catalog.subjects).index("golfer"),
        "time": TIMES.index(scene.time),
        "motion": MOTION_ID["still"],
    }


def test_fixed_choices_are_kept() -> None:
    scene = sample_scene(5, CORE, "held_out", subject="horse", place="beach", motion="left")
    assert scene.place == "beach"
    assert [(s.id, s.motion) for s in scene.subjects] == [("horse", "left")]


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "zxqv"},
        {"place": "zxqv"},
        {"motion": "zxqv"},
        {"split": "zxqv"},
        {"subject": "golfer", "place": "swimming_pool"},
        {"subject": "golfer", "place": "grass_hill", "split": "held_out"},
    ],
)
def test_impossible_wishes_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        sample_scene(0, CORE, **wrong)
