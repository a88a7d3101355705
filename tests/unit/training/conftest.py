"""A tiny world: three subjects drawn as colored discs, two places, pictures of 32 pixels."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.sprites import Sprite, SpritePack
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.training.recipe import TrainRecipe
from nuwa_cli.training.scenes import SceneSource

SUBJECTS = ("dog", "cat", "car")


def _disc(color: tuple[int, int, int]) -> torch.Tensor:
    axis = torch.linspace(-1, 1, 32)
    inside = (axis[:, None] ** 2 + axis[None] ** 2 < 0.8).to(torch.uint8)
    rgba = torch.tensor([*color, 255], dtype=torch.uint8)[:, None, None] * inside
    return rgba[None]


@pytest.fixture(scope="session")
def source() -> SceneSource:
    """Scenes of the tiny world."""
    colors = ((220, 40, 40), (40, 60, 220), (240, 220, 40))
    pack = SpritePack(
        {
            name: Sprite(_disc(color), (0.05, 0.05, 0.95, 0.95), 1.0)
            for name, color in zip(SUBJECTS, colors, strict=True)
        }
    )
    world = dataclasses.replace(
        WorldConfig.core(),
        subjects=SUBJECTS,
        places=("grass_hill", "beach"),
        landscape_pool=2,
        pair_probability=0.0,
        camera_probability=0.0,
        weather_probability=0.0,
    )
    return SceneSource(Renderer(pack, cache_size=16), world, 32, 3, 3)


@pytest.fixture
def tokenizer_recipe() -> TrainRecipe:
    """A tokenizer run of a few steps with everything switched on."""
    return TrainRecipe(
        stage="tokenizer",
        preset="test",
        steps=8,
        batch_size=4,
        learning_rate=3e-3,
        warmup_steps=2,
        log_every=1,
        sample_every=100,
        save_every=100,
        options={"continuous_steps": 2, "adversarial_start": 4, "revive_every": 3},
    )


@pytest.fixture
def sketch_recipe(tokenizer_recipe: TrainRecipe) -> TrainRecipe:
    """The same for sketches."""
    return dataclasses.replace(
        tokenizer_recipe, stage="sketch", options={"continuous_steps": 2, "revive_every": 3}
    )


@pytest.fixture
def model_recipe() -> TrainRecipe:
    """A model run that draws every task."""
    return TrainRecipe(
        stage="model",
        preset="test",
        steps=7,
        learning_rate=3e-3,
        warmup_steps=2,
        log_every=1,
        sample_every=100,
        save_every=100,
        options={"sample_prompts": ["a dog", "a cat"]},
        phases=(
            {"until": 2, "mix": {"text": 1.0}},
            {
                "until": 100,
                "mix": {"t2i": 1.0, "t2v": 1.0, "v2v": 1.0, "s2i": 1.0, "s2v": 1.0, "text": 0.5},
                "images": 4,
                "clips": 2,
                "num_frames": 2,
            },
        ),
    )
