"""Recipes: read, checked, and honest about time."""

from __future__ import annotations

from pathlib import Path

import pytest

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.training.recipe import TrainRecipe, check_options, load_recipe
from nuwa_cli.training.scenes import make_world
from nuwa_cli.training.task_batches import ModelOptions
from nuwa_cli.training.train_vqgan import TokenizerOptions
from nuwa_cli.training.train_vqgan_seg import SketchOptions

RECIPES = sorted((Path(__file__).parents[3] / "recipes").glob("*.toml"))
DEFAULTS = {"tokenizer": TokenizerOptions(), "sketch": SketchOptions(), "model": ModelOptions()}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid(path: Path) -> None:
    recipe = load_recipe(path)
    check_options(recipe.options, DEFAULTS[recipe.stage])
    make_world(recipe.world, recipe.world_changes)


def test_learning_rate_rises_stays_and_falls() -> None:
    recipe = TrainRecipe(
        stage="model",
        preset="test",
        steps=100,
        learning_rate=1.0,
        warmup_steps=10,
        cooldown_steps=20,
    )
    assert recipe.learning_rate_at(0) == pytest.approx(0.1)
    assert recipe.learning_rate_at(50) == 1.0
    assert recipe.learning_rate_at(90) == pytest.approx(0.5)
    assert 0 < recipe.learning_rate_at(99) <= 0.05


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text('stage = "model"\npreset = "test"\nsteps = 1\nlearning_rate = 1.0\nlr = 2\n')
    with pytest.raises(InputError, match="lr"):
        load_recipe(path)
    with pytest.raises(InputError, match="speed"):
        check_options({"speed": 1}, ModelOptions())
    with pytest.raises(UsageError, match="nowhere"):
        make_world("nowhere", {})
    path.write_text(
        'stage = "model"\npreset = "test"\nsteps = 1\nlearning_rate = 1.0\n'
        "[[phases]]\nuntil = 1\nmix = { t2x = 1.0 }\n"
    )
    with pytest.raises(InputError, match="t2x"):
        load_recipe(path)
    with pytest.raises(InputError, match="not valid TOML"):
        path.write_text("stage = ")
        load_recipe(path)
