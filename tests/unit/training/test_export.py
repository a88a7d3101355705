"""From runs to a model folder: the averaged weights, complete, loadable, and trainable further."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.hub.card import with_figures
from nuwa_cli.hub.model_dir import load_model
from nuwa_cli.model.dual_encoder import DualEncoder, DualEncoderConfig
from nuwa_cli.presets import get_preset
from nuwa_cli.training.export import (
    Share,
    export_model,
    load_reranker,
    load_trained_sketch_tokenizer,
    load_trained_tokenizer,
    mixed_weights,
    save_reranker,
)
from nuwa_cli.training.loop import Run
from nuwa_cli.training.recipe import TrainRecipe
from nuwa_cli.training.scenes import SceneSource
from nuwa_cli.training.train_nuwa import ModelStage
from nuwa_cli.training.train_vqgan import TokenizerStage
from nuwa_cli.training.train_vqgan_seg import SketchStage
from nuwa_cli.training.vocabulary import build_text_tokenizer

CPU = torch.device("cpu")


def test_two_runs_become_a_model(
    source: SceneSource,
    tokenizer_recipe: TrainRecipe,
    sketch_recipe: TrainRecipe,
    model_recipe: TrainRecipe,
    tmp_path: Path,
) -> None:
    preset = get_preset("test")
    tokenizer_run = Run(TokenizerStage(tokenizer_recipe, source, CPU), tmp_path / "tokenizer")
    tokenizer_run.train(stop_at=1)
    vqgan = load_trained_tokenizer(tmp_path / "tokenizer", preset.tokenizer)
    Run(SketchStage(sketch_recipe, source, CPU), tmp_path / "sketch").train(stop_at=1)
    vqgan_seg = load_trained_sketch_tokenizer(tmp_path / "sketch", preset.sketch_tokenizer)
    text = build_text_tokenizer(source, preset.transformer.text_vocab, count=100)
    stage = ModelStage(model_recipe, source, vqgan, text, CPU, vqgan_seg)
    model_run = Run(stage, tmp_path / "model")
    text.save(tmp_path / "model" / "text.json")
    model_run.train(stop_at=3)

    config = DualEncoderConfig(
        text_vocab=text.vocab_size, text_dim=16, text_layers=1, joint_dim=8, image_size=32,
        widths=(8, 16), depths=(1, 1),
    )  # fmt: skip
    (tmp_path / "reranker").mkdir()
    save_reranker(DualEncoder(config), {"right": 1.0}, tmp_path / "reranker")
    export_model(
        tmp_path / "tokenizer",
        [Share(tmp_path / "model")],
        tmp_path / "tiny",
        defaults=SamplingConfig(guidance_scale=2.0),
        sketch_tokenizer=tmp_path / "sketch",
        reranker=load_reranker(tmp_path / "reranker"),
    )
    model = load_model(tmp_path / "tiny")
    assert model.config.name == "tiny" and model.reranker is not None
    averaged = model_run.average["nuwa"].state_dict()
    for name, value in model.transformer.state_dict().items():
        assert torch.equal(value, averaged[name].to(torch.bfloat16).float()), name
    card = (tmp_path / "tiny" / "README.md").read_text()
    assert "1 steps, 4 pictures" in card and "3 steps of `model`" in card

    again = load_trained_tokenizer(tmp_path / "tiny", preset.tokenizer)
    assert torch.equal(again.codebook.codes, model.tokenizer.codebook.codes)
    assert model.sketch_tokenizer is not None
    sketch = load_trained_sketch_tokenizer(tmp_path / "tiny", preset.sketch_tokenizer)
    assert torch.equal(sketch.codebook.codes, model.sketch_tokenizer.codebook.codes)
    kept = load_reranker(tmp_path / "tiny").state_dict()
    assert kept.keys() == model.reranker.state_dict().keys()
    assert all(torch.equal(kept[name], net) for name, net in model.reranker.state_dict().items())
    export_model(
        tmp_path / "tiny", [Share(tmp_path / "model")], tmp_path / "bare", defaults=SamplingConfig()
    )
    with pytest.raises(InputError, match="bare': has no re-ranker"):
        load_reranker(tmp_path / "bare")
    other = dataclasses.replace(preset.tokenizer, code_dim=8)
    with pytest.raises(InputError, match="another preset"):
        load_trained_tokenizer(tmp_path / "tiny", other)


def test_several_runs_are_mixed(
    source: SceneSource,
    tokenizer_recipe: TrainRecipe,
    model_recipe: TrainRecipe,
    tmp_path: Path,
) -> None:
    preset = get_preset("test")
    Run(TokenizerStage(tokenizer_recipe, source, CPU), tmp_path / "tokenizer").train(stop_at=1)
    vqgan = load_trained_tokenizer(tmp_path / "tokenizer", preset.tokenizer)
    text = build_text_tokenizer(source, preset.transformer.text_vocab, count=100)
    phase = {"until": 100, "mix": {"t2i": 1.0}, "images": 2}  # needs no sketches
    recipe = dataclasses.replace(model_recipe, phases=(phase,))
    runs = {}
    for name, steps in (("short", 1), ("long", 3)):
        runs[name] = Run(ModelStage(recipe, source, vqgan, text, CPU), tmp_path / name)
        text.save(tmp_path / name / "text.json")
        runs[name].train(stop_at=steps)
    shares = [Share.parse(f"{tmp_path / 'short'}=3"), Share.parse(f"{tmp_path / 'long'}=1")]
    weights, _, history = mixed_weights(shares)
    assert history.startswith("75% 1 steps of `model` on") and "25% 3 steps" in history
    short, long = (runs[name].average["nuwa"].state_dict() for name in ("short", "long"))
    assert weights.keys() == short.keys()
    for name, value in weights.items():
        torch.testing.assert_close(value, 0.75 * short[name] + 0.25 * long[name])

    (tmp_path / "long" / "text.json").write_text("{}")
    with pytest.raises(InputError, match=r"long'.*another preset or vocabulary"):
        mixed_weights(shares)


def test_shares() -> None:
    assert Share.parse("runs/a") == Share(Path("runs/a"), 1.0)
    assert Share.parse("runs/a=0.25") == Share(Path("runs/a"), 0.25)
    for text in ("runs/a=much", "runs/a=0", "runs/a=-1", "runs/a=inf", "runs/a=nan", "runs/a="):
        with pytest.raises(UsageError, match="is no share"):
            Share.parse(text)


def test_no_run_no_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no checkpoint"):
        load_trained_tokenizer(tmp_path / "nothing", get_preset("test").tokenizer)


def test_figures_replace_figures() -> None:
    card = "# a\n\n<!-- figures -->\nold\n<!-- /figures -->\n\n## b\n"
    once = with_figures(card, "| new |")
    assert "old" not in once and "| new |" in once and once.endswith("## b\n")
    assert with_figures(once, "| new |") == once
    assert "| new |" in with_figures("# bare\n", "| new |")
