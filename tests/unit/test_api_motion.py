"""Sketches and prediction through the library, and the detail that given frames lend to later ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st

from nuwa_cli.api import Given, NuwaPipeline
from nuwa_cli.api.detail import carry_detail, unchanged
from nuwa_cli.api.drawing import Drawn
from nuwa_cli.api.finish import finish
from nuwa_cli.api.fitting import fit_given
from nuwa_cli.errors import InputError, UsageError

SIZE, CELLS = 32, 4
CELL = SIZE // CELLS


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> NuwaPipeline:
    return NuwaPipeline.load(model_folder, device="cpu", dtype="float32")


def frames(count: int, height: int = SIZE, width: int = SIZE, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_sketches_of_any_size(pipeline: NuwaPipeline) -> None:
    sketch = np.zeros((50, 90), dtype=np.int64)
    sketch[25:] = 5
    made = pipeline.sketch_to_image(sketch, seed=1)
    assert made.frames.shape == (1, SIZE, SIZE, 3)
    assert made.fit.startswith("90x50 fitted to 32x32: cropped 20 pixels left and right")
    assert made.recipe["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    assert made.recipe["prompt"] == ""
    another = np.random.default_rng(0).integers(0, 32, sketch.shape)
    busy = pipeline.sketch_to_image(another, seed=1, guidance_scale=9.0)
    told = pipeline.sketch_to_image(sketch, "a dog", seed=1)
    other = pipeline.sketch_to_image(sketch, seed=2)
    for different in (told, other):
        assert (different.tokens != made.tokens).any()
    calm = pipeline.sketch_to_image(sketch, seed=1, guidance_scale=9.0)
    assert (calm.tokens != busy.tokens).any()
    clip = pipeline.sketch_to_video(np.stack([sketch] * 4), "a dog", seed=1, fps=3)
    assert clip.frames.shape == (4, SIZE, SIZE, 3)
    assert clip.fps == 3


@pytest.mark.parametrize(
    ("sketch", "why"),
    [
        (np.zeros(5, dtype=np.uint8), "sketch of shape"),
        (np.zeros((5, 5)), "give class ids"),
        (np.full((5, 5), 32), "class ids 32 … 32"),
        (np.full((5, 5), -1), "class ids -1"),
    ],
)
def test_what_is_no_sketch(pipeline: NuwaPipeline, sketch: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        pipeline.sketch_to_image(sketch)


def test_a_model_without_sketches(pipeline: NuwaPipeline) -> None:
    config = dataclasses.replace(pipeline.model.config, sketch_tokenizer=None)
    model = dataclasses.replace(pipeline.model, config=config, sketch_tokenizer=None)
    without = NuwaPipeline(model, pipeline.device, pipeline.dtype)
    with pytest.raises(InputError, match=r"model 'tiny': reads no sketches.*--model"):
        without.sketch_to_image(np.zeros((9, 9), dtype=np.uint8))


def test_prediction_begins_with_the_given_pixels(pipeline: NuwaPipeline) -> None:
    given = frames(2)
    made = pipeline.predict(given, "a dog", num_frames=5, seed=1)
    assert made.frames.shape == (5, SIZE, SIZE, 3)
    assert (made.frames[:2] == given).all()  # not their reconstruction
    assert made.outside_identical is None
    assert made.fps == 6
    longer = pipeline.predict(given, "a dog", num_frames=12, seed=1)
    assert (longer.tokens[:5] == made.tokens).all()  # further frames change nothing before them
    still = pipeline.predict(frames(1, 40, 64)[0], seed=1)
    assert still.frames.shape == (3, SIZE, SIZE, 3)
    assert still.fit.startswith("64x40 fitted to 32x32: cropped 12 pixels left and right")
    with pytest.raises(UsageError, match=r"frames '2'.*at least 3"):
        pipeline.predict(given, num_frames=2)
    with pytest.raises(UsageError, match="no prompt to judge by"):
        pipeline.predict(given, num_frames=3, best_of=2)


def test_a_still_scene_stays_as_it_was_given() -> None:
    """Where every token stays, the given pixels stand; where none does, the drawn frame."""
    given, drawn = frames(1)[0], frames(2, seed=2)
    tokens = np.arange(CELLS * CELLS).reshape(CELLS, CELLS)
    weights = unchanged(np.stack((tokens, tokens + 1)), tokens, SIZE)
    assert weights.shape == (2, SIZE, SIZE)
    made = carry_detail(drawn, given, weights)
    assert (made[0] == given).all()
    assert (made[1] == drawn[1]).all()


def test_a_static_background_stays(pipeline: NuwaPipeline) -> None:
    """Through the library: a model that changes nothing outside one cell leaves those pixels as
    given, within 10/255 on average and exactly two cells away."""
    source = frames(1)
    given = Given(frames=source)
    fitted = fit_given(given, SIZE, prompt="", num_frames=4)
    tokens = np.zeros((4, CELLS, CELLS), dtype=np.int64)
    tokens[1:, 0, 0] = (1, 2, 3)
    decoded = pipeline.model.tokenizer.decode(torch.from_numpy(tokens))
    soft = ((decoded + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    made = finish(given, fitted, Drawn(tokens, np.ascontiguousarray(soft), None, 0)).frames
    outside = np.ones((SIZE, SIZE), dtype=np.bool_)
    outside[:CELL, :CELL] = False
    difference = np.abs(made.astype(int) - source)[1:, outside]
    assert difference.mean() < 10
    assert (made[:, 2 * CELL :] == source[:, 2 * CELL :]).all()
    assert (made[1:, : CELL // 2, : CELL // 2] == soft[1:, : CELL // 2, : CELL // 2]).all()


def test_detail_fades_between_cells() -> None:
    """One changed cell: none of the residual in its middle, all of it two cells away, no jump."""
    tokens = np.zeros((CELLS, CELLS), dtype=np.int64)
    changed = tokens.copy()
    changed[0, 0] = 1
    (weights,) = unchanged(changed[None], tokens, SIZE)
    middle = CELL // 2
    assert weights[:middle, :middle].max() == 0
    assert (weights[2 * CELL :] == 255).all() and (weights[:, 2 * CELL :] == 255).all()
    steps = np.abs(np.diff(weights.astype(int), axis=0)).max()
    assert steps <= 255 / CELL + 1


@settings(max_examples=25, deadline=None)
@drawn_from(seed=st.integers(0, 2**32 - 1))
def test_cross_fading_is_exact_to_rounding(seed: int) -> None:
    given, drawn = frames(1, 5, 7, seed)[0], frames(3, 5, 7)
    rng = np.random.default_rng(seed)
    weights = rng.integers(0, 256, drawn.shape[:3], dtype=np.uint8)
    share = weights[..., None] / 255
    exact = given * share + drawn * (1 - share)
    assert np.abs(carry_detail(drawn, given, weights) - exact).max() <= 0.501
