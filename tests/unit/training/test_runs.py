"""Both stages: they learn, and a run that was cut anywhere ends bit for bit like one that was not."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg
from nuwa_cli.training.batches import make_batches
from nuwa_cli.training.checkpoint import list_checkpoints, read_checkpoint
from nuwa_cli.training.loop import Run
from nuwa_cli.training.recipe import TrainRecipe, check_options
from nuwa_cli.training.scenes import SceneSource
from nuwa_cli.training.stage import Stage
from nuwa_cli.training.task_batches import ModelOptions, TaskBatches
from nuwa_cli.training.train_nuwa import ModelStage
from nuwa_cli.training.train_vqgan import TokenizerStage
from nuwa_cli.training.train_vqgan_seg import SketchStage
from nuwa_cli.training.vocabulary import build_text_tokenizer

CPU = torch.device("cpu")
MakeStage = Callable[[TrainRecipe], Stage]


@pytest.fixture(scope="module")
def text(source: SceneSource) -> TextTokenizer:
    return build_text_tokenizer(source, get_preset("test").transformer.text_vocab, count=200)


def _make_tokenizer(source: SceneSource) -> MakeStage:
    return lambda recipe: TokenizerStage(recipe, source, CPU)


def _make_model(source: SceneSource, text: TextTokenizer) -> MakeStage:
    def make(recipe: TrainRecipe) -> Stage:
        torch.manual_seed(5)
        preset = get_preset("test")
        seg = VQGANSeg(preset.sketch_tokenizer)
        return ModelStage(recipe, source, VQGAN(preset.tokenizer), text, CPU, seg)

    return make


def _final(run_dir: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(list_checkpoints(run_dir)[-1])[0]


def _assert_cut_equals_whole(make: MakeStage, recipe: TrainRecipe, folder: Path) -> None:
    Run(make(recipe), folder / "whole").train()
    whole = _final(folder / "whole")
    for cut in range(1, recipe.steps):
        Run(make(recipe), folder / "cut").train(stop_at=cut)
    Run(make(recipe), folder / "cut").train()
    resumed = _final(folder / "cut")
    assert resumed.keys() == whole.keys()
    differing = [name for name in whole if not torch.equal(whole[name], resumed[name])]
    assert not differing, differing[:3]
    assert _logged_losses(folder / "cut") == _logged_losses(folder / "whole")


def _logged_losses(run_dir: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (run_dir / "log.jsonl").read_text().splitlines()]


def test_tokenizer_run_cut_at_every_step_is_the_whole_run(
    source: SceneSource, tokenizer_recipe: TrainRecipe, tmp_path: Path
) -> None:
    _assert_cut_equals_whole(_make_tokenizer(source), tokenizer_recipe, tmp_path)


def test_sketch_run_cut_at_every_step_is_the_whole_run(
    source: SceneSource, sketch_recipe: TrainRecipe, tmp_path: Path
) -> None:
    _assert_cut_equals_whole(
        lambda recipe: SketchStage(recipe, source, CPU), sketch_recipe, tmp_path
    )


def test_model_run_cut_at_every_step_is_the_whole_run(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe, tmp_path: Path
) -> None:
    _assert_cut_equals_whole(_make_model(source, text), model_recipe, tmp_path)


def test_tokenizer_learns(
    source: SceneSource, tokenizer_recipe: TrainRecipe, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(tokenizer_recipe, steps=60, options={"continuous_steps": 20})
    Run(_make_tokenizer(source)(recipe), tmp_path).train()
    losses = _logged_losses(tmp_path)
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert (tmp_path / "loss.png").stat().st_size > 1000
    assert list(tmp_path.glob("samples-*.png"))


def test_sketch_tokenizer_learns(
    source: SceneSource, sketch_recipe: TrainRecipe, tmp_path: Path
) -> None:
    recipe = dataclasses.replace(sketch_recipe, steps=60, log_every=5)
    Run(SketchStage(recipe, source, CPU), tmp_path / "run").train()
    losses = _logged_losses(tmp_path / "run")
    assert losses[-1] < 0.7 * losses[0]


def test_a_sketch_task_needs_a_sketch_tokenizer(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe
) -> None:
    phases = ({**model_recipe.phases[1], "mix": {"s2v": 1.0}},)
    recipe = dataclasses.replace(model_recipe, phases=phases)
    stage = ModelStage(recipe, source, VQGAN(get_preset("test").tokenizer), text, CPU)
    with pytest.raises(UsageError, match="--sketch-tokenizer"):
        stage.step(stage.batch(0), 0)


def test_model_overfits_one_batch(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe
) -> None:
    options = {"condition_dropout": 0.0, "token_noise": 0.0}
    phases = ({"until": 100, "mix": {"t2i": 1.0}, "images": 4},)
    recipe = dataclasses.replace(model_recipe, options=options, phases=phases)
    stage = _make_model(source, text)(recipe)
    batch = stage.batch(0)
    losses = [stage.step(batch, step)["t2i_loss"] for step in range(60)]
    assert losses[-1] < 0.4 * losses[0]


def test_only_what_the_recipe_names_learns(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe
) -> None:
    names = ("decoder.neighbors", "encoder.pixels")
    phases = ({"until": 100, "mix": {"i2i": 1.0}, "images": 2},)
    recipe = dataclasses.replace(model_recipe, options={"trained": list(names)}, phases=phases)
    stage = _make_model(source, text)(recipe)
    model = stage.modules["nuwa"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(3):
        stage.step(stage.batch(step), step)
    moved = {name for name, now in model.state_dict().items() if not torch.equal(now, before[name])}
    assert moved
    assert all(name.startswith(names) for name in moved), moved
    assert {prefix for prefix in names if any(n.startswith(prefix) for n in moved)} == set(names)


def test_a_name_that_no_parameter_has_is_refused(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe
) -> None:
    recipe = dataclasses.replace(model_recipe, options={"trained": ["decoder.neighbours"]})
    with pytest.raises(UsageError, match=r"'decoder\.neighbours'"):
        _make_model(source, text)(recipe)


def test_a_picture_of_which_little_is_known_is_a_whole_scene(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe
) -> None:
    phases = ({"until": 100, "mix": {"i2i": 1.0}, "images": 64},)
    crops_of_all = {"crop_share": 1.0, "bare_crop_share": 1.0, "subject_hole_share": 0.0}
    recipe = dataclasses.replace(model_recipe, options=crops_of_all, phases=phases)
    cropped = TaskBatches(recipe, check_options(recipe.options, ModelOptions()), source, text)
    whole_options = dataclasses.replace(cropped.options, crop_share=0.0, bare_crop_share=0.0)
    whole = TaskBatches(recipe, whole_options, source, text)
    shown, scenes = cropped.make(0), whole.make(0)
    assert shown.scenes is not None
    assert scenes.scenes is not None
    assert shown.holes is not None
    hidden = shown.holes.flatten(1).float().mean(dim=1)
    same = (shown.scenes.frames == scenes.scenes.frames).flatten(1).all(dim=1)
    little_known = hidden > 0.9
    assert little_known.any()
    assert same[little_known].all()
    assert same[hidden < 0.8].float().mean() < 0.1  # of a few the part is all but the whole


def test_batches_depend_on_the_step_alone(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe
) -> None:
    make = _make_model(source, text)
    first, second = make(model_recipe), make(model_recipe)
    for step in (7, 3, 5):
        a, b = first.batch(step), second.batch(step)
        assert a.task == b.task and torch.equal(a.text, b.text)
        assert (a.scenes is None) == (b.scenes is None)
        if a.scenes is not None and b.scenes is not None:
            assert torch.equal(a.scenes.frames, b.scenes.frames)
            assert torch.equal(a.noise, b.noise)


def test_processes_make_the_same_batches_as_a_thread(source: SceneSource) -> None:
    def make(step: int) -> torch.Tensor:
        return source.batch(step, 2).frames

    threaded = list(make_batches(make, range(4)))
    forked = list(make_batches(make, range(4), workers=2))
    assert all(torch.equal(a, b) for a, b in zip(threaded, forked, strict=True))


def test_an_error_in_a_batch_ends_the_run() -> None:
    def fail(step: int) -> int:
        raise ValueError(f"step {step}")

    with pytest.raises(ValueError, match="step 0"):
        next(make_batches(fail, range(3)))


def test_another_recipe_is_refused(
    source: SceneSource, tokenizer_recipe: TrainRecipe, tmp_path: Path
) -> None:
    make = _make_tokenizer(source)
    Run(make(tokenizer_recipe), tmp_path).train(stop_at=1)
    changed = dataclasses.replace(tokenizer_recipe, learning_rate=1e-3)
    with pytest.raises(UsageError, match="learning_rate"):
        Run(make(changed), tmp_path)
    longer = dataclasses.replace(tokenizer_recipe, steps=40)
    assert Run(make(longer), tmp_path).step == 1


def test_a_damaged_checkpoint_falls_back_and_never_starts_afresh(
    source: SceneSource, tokenizer_recipe: TrainRecipe, tmp_path: Path
) -> None:
    make = _make_tokenizer(source)
    Run(make(tokenizer_recipe), tmp_path).train(stop_at=1)
    Run(make(tokenizer_recipe), tmp_path).train(stop_at=2)
    old, new = list_checkpoints(tmp_path)
    _flip_a_byte(new / "tensors.safetensors")
    notes: list[str] = []
    assert Run(make(tokenizer_recipe), tmp_path, notes.append).step == 1
    assert any(new.name in note for note in notes)
    _flip_a_byte(old / "tensors.safetensors")
    with pytest.raises(InputError, match="no valid checkpoint"):
        Run(make(tokenizer_recipe), tmp_path)


def test_sample_sheets_of_clips(
    source: SceneSource, text: TextTokenizer, model_recipe: TrainRecipe, tmp_path: Path
) -> None:
    stage = _make_model(source, text)(model_recipe)
    stage.sample({"nuwa": stage.modules["nuwa"]}, tmp_path / "sheet.png", 9)
    assert (tmp_path / "sheet.png").exists()


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(bytes(content))
