"""Probes ask for what will be judged, of scenes that training never sees."""

from __future__ import annotations

import pytest

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.probes import known_world, make_probes, names_all
from nuwa_cli.model.evaluator import DIRECTIONS, EvaluatorConfig
from nuwa_cli.storybook.scene import sample_scene
from nuwa_cli.storybook.world import WorldConfig, is_held_out_action, is_held_out_subject

CORE = WorldConfig.core()
CONFIG = EvaluatorConfig(subjects=CORE.subjects, places=CORE.places, directions=DIRECTIONS)
WORLD = known_world(CONFIG, num_frames=10, fps=6)


def test_held_out_probes_are_held_out_and_the_others_are_not() -> None:
    for split in ("train", "held_out"):
        for probe in make_probes(WORLD, "image", split, 30):
            held_out = is_held_out_subject(probe.subject, probe.place) or is_held_out_action(
                probe.spec.subjects[0].action, probe.place
            )
            assert held_out == (split == "held_out"), probe


def test_clips_travel_and_say_where_to() -> None:
    probes = make_probes(WORLD, "video", "train", 40)
    assert {probe.direction for probe in probes} >= {"left", "right"}
    assert "still" not in {probe.direction for probe in probes}
    for probe in probes:
        if probe.direction == "left":
            assert "left" in probe.prompt or "左" in probe.prompt
    assert {probe.language for probe in probes} == {"en", "zh"}


def test_probes_are_a_function_of_their_arguments_and_differ() -> None:
    probes = make_probes(WORLD, "image", "train", 20)
    assert probes == make_probes(WORLD, "image", "train", 20)
    assert len({probe.seed for probe in probes}) == 20
    assert not {p.seed for p in probes} & {
        p.seed for p in make_probes(WORLD, "image", "train", 20, first_seed=1 << 29)
    }


def test_partial_captions_do_not_count() -> None:
    spec = sample_scene(3, WORLD, subject="horse", place="grass_hill", motion="left")
    assert names_all("a horse runs to the left on the grass", spec, "video")
    assert names_all("一匹马在草地上向左奔跑", spec, "video")
    assert not names_all("a horse on the grass", spec, "video")
    assert names_all("a horse on the grass", spec, "image")
    assert not names_all("a horse", spec, "image")
    assert not names_all("on the grass", spec, "image")


def test_a_golfer_is_named_by_what_only_a_golfer_does() -> None:
    spec = sample_scene(3, WORLD, subject="golfer", place="grass_hill")
    assert names_all("play golf on the grass", spec, "image")


def test_asking_for_more_than_there_is_is_refused() -> None:
    config = EvaluatorConfig(subjects=("golfer",), places=("grass_hill",), directions=DIRECTIONS)
    lonely = known_world(config, 10, 6)
    with pytest.raises(UsageError):
        make_probes(lonely, "image", "held_out", 3)
