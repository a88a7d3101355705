"""Symmetrical connections are learned without touching what tokens mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from nuwa_cli.errors import InputError
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.training.checkpoint import list_checkpoints, read_checkpoint
from nuwa_cli.training.export import load_trained_tokenizer
from nuwa_cli.training.joins import codes_around, draw_joins
from nuwa_cli.training.loop import Run
from nuwa_cli.training.recipe import TrainRecipe
from nuwa_cli.training.scenes import SceneSource
from nuwa_cli.training.train_vqgan import TokenizerStage

CPU = torch.device("cpu")
PLAIN = dataclasses.replace(get_preset("test").tokenizer, intact_skips=False)
JOINING = dataclasses.replace(PLAIN, intact_skips=True)


@pytest.fixture
def joins_recipe(source: SceneSource, tokenizer_recipe: TrainRecipe, tmp_path: Path) -> TrainRecipe:
    """A run of joins that begins with a tokenizer run of a few steps."""
    Run(TokenizerStage(tokenizer_recipe, source, CPU), tmp_path / "tokenizer").train()
    options = {
        "start_from": str(tmp_path / "tokenizer"),
        "train": "joins",
        "adversarial_start": 3,
    }
    return dataclasses.replace(tokenizer_recipe, steps=6, options=options)


def test_only_the_connections_learn(
    source: SceneSource, joins_recipe: TrainRecipe, tmp_path: Path
) -> None:
    before = load_trained_tokenizer(tmp_path / "tokenizer", JOINING).state_dict()
    Run(TokenizerStage(joins_recipe, source, CPU), tmp_path / "joins").train()
    after = load_trained_tokenizer(tmp_path / "joins", JOINING).state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if name.startswith("decoder.skips.")}
    assert list((tmp_path / "joins").glob("samples-*.png"))


def test_a_run_that_was_cut_is_the_whole_run(
    source: SceneSource, joins_recipe: TrainRecipe, tmp_path: Path
) -> None:
    def final(name: str) -> dict[str, torch.Tensor]:
        return read_checkpoint(list_checkpoints(tmp_path / name)[-1])[0]

    Run(TokenizerStage(joins_recipe, source, CPU), tmp_path / "whole").train()
    for cut in (1, 4):
        run_dir = tmp_path / f"cut-{cut}"
        Run(TokenizerStage(joins_recipe, source, CPU), run_dir).train(stop_at=cut)
        Run(TokenizerStage(joins_recipe, source, CPU), run_dir).train()
        whole, resumed = final("whole"), final(f"cut-{cut}")
        assert whole.keys() == resumed.keys()
        assert all(torch.equal(whole[name], resumed[name]) for name in whole), f"cut at {cut}"


def test_a_run_begins_with_the_nets_of_another(
    source: SceneSource, joins_recipe: TrainRecipe, tmp_path: Path
) -> None:
    stage = TokenizerStage(joins_recipe, source, CPU)
    tensors, _ = read_checkpoint(list_checkpoints(tmp_path / "tokenizer")[-1])
    for name, value in stage.discriminator.state_dict().items():
        assert torch.equal(value, tensors[f"weights.discriminator.{name}"]), name
    for name, value in stage.vqgan.state_dict().items():
        if ".add." in name:
            assert not value.any(), name
        if not name.startswith("decoder.skips."):
            assert torch.equal(value, tensors[f"average.vqgan.{name}"]), name


def test_a_run_begins_with_a_model_folder(
    source: SceneSource, tokenizer_recipe: TrainRecipe, model_folder: Path
) -> None:
    options = {"start_from": str(model_folder), "train": "joins"}
    recipe = dataclasses.replace(tokenizer_recipe, options=options)
    stage = TokenizerStage(recipe, source, CPU)
    model = load_trained_tokenizer(model_folder, get_preset("test").tokenizer)
    assert torch.equal(stage.vqgan.encoder.to_latents.weight, model.encoder.to_latents.weight)
    assert all(p.requires_grad == ("skips" in name) for name, p in stage.vqgan.named_parameters())


def test_the_decoder_learns_to_join(source: SceneSource, joins_recipe: TrainRecipe) -> None:
    options = {**joins_recipe.options, "adversarial_start": 1000}
    stage = TokenizerStage(dataclasses.replace(joins_recipe, options=options), source, CPU)
    batch = stage.batch(0)
    for _ in range(40):
        stage.step(batch, 0)
    pixels = batch.pixels()[:, 0]
    holes = draw_joins(stage.vqgan, len(pixels), joins_recipe.seed, step=0)
    codes, intact = codes_around(stage.vqgan, pixels, holes)
    with torch.no_grad():
        plain, joined = stage.vqgan.decoder(codes), stage.vqgan.decoder(codes, intact)
    inside = holes.expand_as(pixels)
    errors = [float((drawn - pixels)[inside].abs().mean()) for drawn in (plain, joined)]
    assert errors[1] < 0.9 * errors[0]


def test_codes_are_true_in_the_hole_and_of_the_damaged_picture_around_it() -> None:
    torch.manual_seed(1)
    vqgan, pixels = VQGAN(JOINING), torch.rand(1, 3, 32, 32) * 2 - 1
    hole = torch.zeros(1, 1, 32, 32, dtype=torch.bool)
    hole[..., 13:] = True  # all cells but one column
    codes, intact = codes_around(vqgan, pixels, hole)
    true_codes = vqgan.codebook.lookup(vqgan.encode(pixels))
    assert torch.equal(codes[..., 1:], true_codes[..., 1:])
    around = vqgan.codebook.lookup(vqgan.encode(pixels, hole))
    assert torch.equal(codes[..., 0], around[..., 0])
    expected = vqgan.intact_features(pixels, hole)
    assert all(map(torch.equal, intact.maps, expected.maps))
    assert [int(cells.sum()) for cells in intact.intact] == [32 * 13, 8 * 3, 4 * 1]


def test_holes_depend_on_the_step_alone() -> None:
    vqgan = VQGAN(JOINING)
    holes = draw_joins(vqgan, 40, seed=3, step=5)
    assert holes.shape == (40, 1, 32, 32) and holes.dtype == torch.bool
    assert holes.flatten(1).any(dim=1).all() and not holes.flatten(1).all(dim=1).any()
    assert torch.equal(holes, draw_joins(vqgan, 40, seed=3, step=5))
    assert not torch.equal(holes, draw_joins(vqgan, 40, seed=3, step=6))


def test_skips_are_added_to_a_tokenizer_but_never_dropped(
    source: SceneSource, joins_recipe: TrainRecipe, tmp_path: Path
) -> None:
    Run(TokenizerStage(joins_recipe, source, CPU), tmp_path / "joins").train(stop_at=2)
    with pytest.raises(InputError, match="another preset"):
        load_trained_tokenizer(tmp_path / "joins", PLAIN)
    other = dataclasses.replace(JOINING, code_dim=8)
    with pytest.raises(InputError, match="another preset"):
        load_trained_tokenizer(tmp_path / "joins", other)


def test_unknown_parts_are_refused(source: SceneSource, tokenizer_recipe: TrainRecipe) -> None:
    recipe = dataclasses.replace(tokenizer_recipe, options={"train": "encoder"})
    with pytest.raises(InputError, match="all, joins"):
        TokenizerStage(recipe, source, CPU)
