"""Training of the judging nets and of the re-ranker, on flat pictures instead of renders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch

from nuwa_cli.model.evaluator import DIRECTIONS
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.storybook.world import WorldConfig, is_held_out_subject
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.training.scene_bank import scene_bank
from nuwa_cli.training.train_dual_encoder import DualEncoderRecipe, train_dual_encoder
from nuwa_cli.training.train_evaluator import (
    EvaluatorRecipe,
    single_subject_scenes,
    train_evaluator,
)

WORLD = WorldConfig(subjects=("horse", "dog", "cat"), places=("beach", "snow", "room"))
RED = {"beach": 20, "snow": 120, "room": 220}
GREEN = {"horse": 20, "dog": 120, "cat": 220}
TINY = DualEncoderRecipe(
    train_scenes=24, test_scenes=16, views=24, test_views=12, view_size=48, steps=3, batch_size=8
)


class FlatRenderer:
    """Paints the place as redness and the subject as greenness of the whole frame."""

    def __init__(self) -> None:
        self.scenes = 0

    def render(self, specs: list[SceneSpec], frames: list[int]) -> SimpleNamespace:
        self.scenes += len(specs)
        subjects = [GREEN[s.subjects[0].id] if s.subjects else 0 for s in specs]
        colours = torch.tensor(
            [[RED[s.place], g, 90] for s, g in zip(specs, subjects, strict=True)]
        )
        pixels = colours.to(torch.uint8)[:, None, :, None, None]
        return SimpleNamespace(pixels=pixels.expand(-1, len(frames), 3, 128, 128))


def test_scenes_have_one_subject_and_show_held_out_pairs_too() -> None:
    specs = single_subject_scenes(WorldConfig.core(), 5, 40)
    assert {len(spec.subjects) for spec in specs} == {1}
    held_out = [is_held_out_subject(spec.subjects[0].id, spec.place) for spec in specs]
    assert any(held_out) and not all(held_out)


def test_a_bank_is_rendered_once_for_the_same_settings(tmp_path: Path) -> None:
    renderer = FlatRenderer()
    specs = single_subject_scenes(WORLD, 0, 20)
    first, again = (scene_bank(renderer, specs, [0, 9], 32, tmp_path) for _ in range(2))  # type: ignore[arg-type]
    assert renderer.scenes == 20 and torch.equal(first.frames, again.frames)
    assert first.captions == again.captions and len(first.captions[0]) == 6
    assert torch.equal(first.labels["motion"], again.labels["motion"])
    assert first.pixels(torch.tensor([3, 4]), torch.tensor([0, 1])).shape == (2, 1, 3, 32, 32)
    scene_bank(renderer, specs[:10], [0, 9], 32, tmp_path)  # type: ignore[arg-type]
    assert renderer.scenes == 30


def test_the_evaluator_is_measured_as_it_will_be_stored(tmp_path: Path) -> None:
    recipe = EvaluatorRecipe(
        train_scenes=16, test_scenes=10, frame_steps=3, motion_steps=1, batch_size=8
    )
    evaluator, accuracy = train_evaluator(FlatRenderer(), WORLD, tmp_path, recipe)  # type: ignore[arg-type]
    assert not evaluator.training and evaluator.config.directions == DIRECTIONS
    assert set(accuracy) >= {"subject", "place", "direction", "subject_softened"}
    assert all(0 <= share <= 1 for share in accuracy.values())
    for tensor in evaluator.state_dict().values():
        assert torch.equal(tensor, tensor.bfloat16().float())


def test_the_dual_encoder_trains_on_a_bank(tmp_path: Path) -> None:
    text = TextTokenizer.train(["a horse on the beach", "一只猫在屋里"], 300)
    model, figures = train_dual_encoder(FlatRenderer(), WORLD, text, tmp_path, TINY)  # type: ignore[arg-type]
    assert not model.training and model.config.text_vocab == 300
    assert set(figures) == {"right_of_16_train", "right_of_16_held_out", "views_right"}
    assert all(0 <= value <= 1 for value in figures.values())
    assert model.score(text.encode_batch(["a cat"]), torch.zeros(2, 3, 64, 64)).shape == (2,)


def test_the_dual_encoder_learns_to_tell_places_from_their_parts(tmp_path: Path) -> None:
    by_day = replace(WORLD, sunset_probability=0.0, night_probability=0.0)
    text = TextTokenizer.train(
        ["a beach", "a snow field", "a room", "in the evening at night"], 300
    )
    recipe = replace(TINY, steps=90, learning_rate=2e-3, views=48, test_views=48)
    _, figures = train_dual_encoder(FlatRenderer(), by_day, text, tmp_path, recipe)  # type: ignore[arg-type]
    assert figures["views_right"] > 0.6  # of seven captions


def test_training_is_a_function_of_its_seed(tmp_path: Path) -> None:
    recipe = EvaluatorRecipe(
        train_scenes=12, test_scenes=5, frame_steps=2, motion_steps=2, batch_size=4
    )
    first, again = (train_evaluator(FlatRenderer(), WORLD, tmp_path, recipe)[0] for _ in range(2))  # type: ignore[arg-type]
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name
