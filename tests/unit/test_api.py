"""The library: one call, one output, which depends on its inputs and its seed alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from nuwa_cli.api import NuwaPipeline, Order
from nuwa_cli.devices import pick_device, pick_dtype
from nuwa_cli.errors import UsageError
from nuwa_cli.tasks.run import candidate_seeds


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> NuwaPipeline:
    return NuwaPipeline.load(model_folder, device="cpu", dtype="bfloat16")


def test_picture(pipeline: NuwaPipeline, tmp_path: Path) -> None:
    made = pipeline.text_to_image("a dog on the beach", seed=3)
    assert made.frames.shape == (1, 32, 32, 3)
    assert made.frames.dtype == np.uint8
    assert made.tokens.shape == (1, 4, 4)
    assert (made.seed, made.score, made.fps) == (3, None, None)
    made.save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="no picture format"):
        made.save(tmp_path / "a.mp4")


def test_clip(pipeline: NuwaPipeline) -> None:
    made = pipeline.text_to_video("a dog on the beach", seed=3)
    assert made.frames.shape == (3, 32, 32, 3)  # the model's own length
    assert made.fps == 6
    longer = pipeline.text_to_video("a dog on the beach", seed=3, num_frames=9, fps=12)
    assert longer.frames.shape == (9, 32, 32, 3)  # more frames than are decoded at once
    assert longer.fps == 12


def test_an_output_depends_on_its_seed_alone(pipeline: NuwaPipeline) -> None:
    first = pipeline.text_to_video("a dog", seed=1)
    state = torch.get_rng_state()
    other = pipeline.text_to_video("a dog", seed=2)
    pipeline.text_to_image("grass", seed=1)
    again = pipeline.text_to_video("a dog", seed=1)
    assert (first.tokens == again.tokens).all()
    assert (first.frames == again.frames).all()
    assert (first.tokens != other.tokens).any()
    assert torch.equal(state, torch.get_rng_state())


def test_prompt_and_settings_matter(pipeline: NuwaPipeline) -> None:
    base = pipeline.text_to_video("a dog", seed=1, temperature=2.0)
    greedy = pipeline.text_to_video("a dog", seed=1, temperature=0.0)
    assert (base.tokens != greedy.tokens).any()
    only_one = pipeline.text_to_video("a dog", seed=1, top_k=1)
    assert (greedy.tokens == only_one.tokens).all()
    assert base.recipe["options"]["temperature"] == 2.0
    with pytest.raises(UsageError, match="top-p"):
        pipeline.text_to_image("a dog", top_p=0.0)
    with pytest.raises(UsageError, match="task 'x': unknown"):
        pipeline.run("x", "a dog")


def test_best_of_keeps_the_best(pipeline: NuwaPipeline) -> None:
    """The winner is one of the candidates, each reproducible alone, and none scores higher."""
    steps: list[tuple[int, int]] = []
    best = pipeline.text_to_image(
        "a dog", seed=4, best_of=5, on_progress=lambda done, of: steps.append((done, of))
    )
    assert best.score is not None
    reranker = pipeline.model.reranker
    assert reranker is not None
    text = pipeline.model.text.encode_batch(["a dog"])
    scores = {}
    for seed in candidate_seeds(4, 5):
        alone = pipeline.text_to_image("a dog", seed=seed, best_of=1)
        pixels = pipeline.model.tokenizer.decode(torch.from_numpy(alone.tokens))
        scores[seed] = float(reranker.score(text, pixels))
    winner = max(scores, key=lambda seed: scores[seed])
    assert best.recipe["sample_seed"] == winner
    assert best.score == pytest.approx(scores[winner], abs=1e-5)
    assert best.seed == 4
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


def test_best_of_needs_a_reranker(pipeline: NuwaPipeline) -> None:
    model = dataclasses.replace(pipeline.model, reranker=None)
    without = NuwaPipeline(model, pipeline.device, pipeline.dtype)
    assert without.text_to_image("a dog").score is None
    with pytest.raises(UsageError, match=r"best-of '2'.*no re-ranker"):
        without.text_to_image("a dog", best_of=2)


def test_neighbouring_seeds_share_no_candidate() -> None:
    seeds = [seed for first in range(50) for seed in candidate_seeds(first, 20)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert candidate_seeds(7, 20)[:3] == candidate_seeds(7, 3)
    assert candidate_seeds(7, 1) == [7]


def test_notes(pipeline: NuwaPipeline) -> None:
    assert pipeline.notes("a dog on the beach") == []
    assert pipeline.notes("在草地上打高尔夫球") == []
    (note,) = pipeline.notes("zxqv")
    assert note == "prompt: never seen in training: 'zxqv'"
    (note,) = pipeline.notes("a dog " * 100)
    assert note.startswith("prompt is too long; its end is ignored: '")
    assert note.endswith("a dog'")


@pytest.mark.parametrize("name", ["cuda:9", "mps", "gpu", "", "cpu:3"])
def test_devices_that_are_not_there(name: str) -> None:
    with pytest.raises(UsageError, match="available: auto, cpu"):
        pick_device(name)


def test_number_formats() -> None:
    cpu = pick_device("cpu")
    assert pick_dtype("float32", cpu) == torch.float32
    assert pick_dtype("auto", cpu) in (torch.float32, torch.bfloat16)
    with pytest.raises(UsageError, match="dtype 'int8'"):
        pick_dtype("int8", cpu)


def test_unknown_attention(model_folder: Path) -> None:
    with pytest.raises(UsageError, match="attention 'magic'"):
        NuwaPipeline.load(model_folder, attention="magic")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_back_ends_agree(model_folder: Path, dtype: str) -> None:
    """--attention and --dtype reach the model; in float32 the tokens are the same."""
    made = {
        name: NuwaPipeline.load(
            model_folder, device="cpu", dtype=dtype, attention=name
        ).text_to_image("a dog", seed=1)
        for name in ("auto", "reference", "sdpa")
    }
    if dtype == "float32":
        assert all((made[name].tokens == made["auto"].tokens).all() for name in made)
    assert {m.recipe["dtype"] for m in made.values()} == {dtype}


def test_results_made_together_are_what_each_is_alone(model_folder: Path) -> None:
    """Pictures, clips and the best of several, in one call: tokens, frames and recipes of each."""
    pipeline = NuwaPipeline.load(model_folder)
    orders = [
        Order("t2i", "a dog", seed=3),
        Order("t2v", "a dog runs on the beach", num_frames=2, seed=4),
        Order("t2i", "play golf on grass", seed=5, best_of=3),
        Order("t2i", "在草地上打高尔夫球", seed=6, sampling={"guidance_scale": 1.0}),
        Order("t2i", "a dog", seed=7),
    ]
    shown: list[tuple[int, int]] = []
    together = list(
        pipeline.run_many(
            orders, together=4, on_frame=lambda number, index, _: shown.append((number, index))
        )
    )
    assert sorted(shown) == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0), (4, 0)]
    for order, result in zip(orders, together, strict=True):
        (alone,) = pipeline.run_many([order])
        assert np.array_equal(result.tokens, alone.tokens)
        assert np.array_equal(result.frames, alone.frames)
        assert result.recipe == alone.recipe
