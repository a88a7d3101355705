"""Edits: what the user gave comes back, at its own size, bit for bit outside the region."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st
from PIL import Image

from nuwa_cli.api import Given, NuwaPipeline
from nuwa_cli.api.drawing import Drawn
from nuwa_cli.api.finish import finish
from nuwa_cli.api.fitting import choose_fit, fit_given, hole_of
from nuwa_cli.errors import UsageError

SIZE, CELLS = 32, 4
MODES: tuple[Literal["crop", "pad", "stretch"], ...] = ("crop", "pad", "stretch")


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> NuwaPipeline:
    return NuwaPipeline.load(model_folder, device="cpu", dtype="float32")


def picture(height: int, width: int, seed: int = 0, count: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def box(height: int, width: int, bounds: tuple[int, int, int, int]) -> Any:
    left, top, right, bottom = bounds
    mask = np.zeros((1, height, width), dtype=np.bool_)
    mask[:, top:bottom, left:right] = True
    return mask


def model_output(seed: int, count: int) -> Drawn:
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    return Drawn(rng.integers(0, 3, (count, CELLS, CELLS)), frames, None, seed)


@settings(max_examples=200, deadline=None)
@drawn_from(
    size=st.tuples(st.integers(1, 64), st.integers(1, 64)),
    count=st.integers(1, 3),
    shape=st.sampled_from(["box", "noise", "all but a corner"]),
    mode=st.sampled_from([None, *MODES]),
    feather=st.sampled_from([0.0, 0.4, 7.0, 300.0]),
    seed=st.integers(0, 2**32 - 1),
)
def test_nothing_changes_outside(
    size: tuple[int, int], count: int, shape: str, mode: Any, feather: float, seed: int
) -> None:
    """Any size, region, mode and feather: the model's output is seen inside the region only, and
    is seen there."""
    height, width = size
    rng = np.random.default_rng(seed)
    masks = np.zeros((rng.choice([1, count]), height, width), dtype=np.bool_)
    if shape == "box":
        rows, columns = (np.sort(rng.integers(0, side, 2)) for side in size)
        masks[:, rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = True
    elif shape == "noise":
        masks |= rng.random(masks.shape) < 0.1
        masks[:, 0, 0] = True
    else:
        masks[:] = True
        masks[:, -1, -1] = masks.size == len(masks)
    keep_first = int(rng.integers(0, count))
    source = picture(height, width, seed, count)
    given = Given(frames=source, masks=masks, keep_first=keep_first, feather=feather, fit=mode)
    fitted = fit_given(given, SIZE, prompt="", num_frames=None)
    made = finish(given, fitted, model_output(seed, count))
    hole = hole_of(given)
    assert hole is not None and not hole[:keep_first].any()
    assert made.frames.shape == source.shape
    assert made.outside_identical is True
    assert (made.frames[~hole] == source[~hole]).all()
    assert (made.frames[:keep_first] == source[:keep_first]).all()
    if hole.all(axis=(1, 2)).any():
        assert (made.frames != source).any()


def test_the_measurement_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """`outside_identical` looks at the pixels."""
    given = Given(frames=picture(20, 20), masks=box(20, 20, (5, 5, 9, 9)))
    source, seen = given.frames, []
    assert source is not None
    monkeypatch.setattr("numpy.array_equal", lambda a, b: seen.append((a, b)) or False)
    fitted = fit_given(given, SIZE, prompt="", num_frames=None)
    assert finish(given, fitted, model_output(0, 1)).outside_identical is False
    assert seen[0][0].shape == (400 - 16, 3)


@pytest.mark.parametrize("task", ["inpaint", "edit"])
def test_the_engines_differ_and_both_keep_what_is_outside(
    pipeline: NuwaPipeline, task: str
) -> None:
    source = picture(32, 32)[0]
    mask = box(32, 32, (0, 0, 16, 32))[0]
    call = getattr(pipeline, task)
    made = {engine: call(source, mask, "a dog", engine=engine) for engine in ("lip", "nuwa")}
    for engine, result in made.items():
        assert result.recipe["options"]["engine"] == engine
        assert result.outside_identical and (result.frames[0][~mask] == source[~mask]).all()
    assert (made["lip"].tokens != made["nuwa"].tokens).any()
    assert (call(source, mask, "a dog").tokens == made["lip"].tokens).all()


@pytest.mark.parametrize("task", ["inpaint", "edit"])
@pytest.mark.parametrize("mode", [None, *MODES])
def test_pictures_of_any_size(pipeline: NuwaPipeline, task: str, mode: Any) -> None:
    source = picture(50, 70)[0]
    mask = box(50, 70, (10, 20, 30, 34))[0]
    call = getattr(pipeline, task)
    made = call(source, mask, "a dog", fit=mode, seed=1)
    again = call(source, mask, "a dog", fit=mode, seed=1)
    other = call(source, mask, "a dog", fit=mode, seed=2)
    assert made.frames.shape == (1, 50, 70, 3)
    assert made.fps is None
    assert made.outside_identical
    assert (made.frames[0][~mask] == source[~mask]).all()
    assert (made.frames[0][mask] != source[mask]).mean() > 0.9
    assert (made.frames == again.frames).all()
    assert (made.frames != other.frames).any()
    assert made.recipe["region"] == {"bounds": [10, 20, 20, 14], "share": 0.08}
    assert made.recipe["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert made.fit.startswith("70x50 fitted to 32x32: ")


def test_a_small_region_is_drawn_at_full_resolution() -> None:
    """The square lies around the region, pixel for pixel, not over the whole photograph."""
    masks = box(600, 900, (700, 500, 720, 512))
    fit = choose_fit(Given(frames=picture(600, 900), masks=masks), SIZE)
    assert fit is not None
    left, top, width, height = fit.window
    assert (width, height) == (SIZE, SIZE)
    assert left <= 700 and top <= 500 and left + width >= 720 and top + height >= 512


def test_transparency_stays_outside_and_ends_inside(pipeline: NuwaPipeline, tmp_path: Path) -> None:
    source = picture(40, 40)
    alpha = np.full((40, 40), 255, dtype=np.uint8)
    alpha[:, :10] = 7
    mask = box(40, 40, (5, 5, 20, 20))
    made = pipeline.run("inpaint", given=Given(frames=source, alpha=alpha, masks=mask), seed=1)
    assert made.alpha is not None
    assert (made.alpha[mask[0]] == 255).all()
    assert (made.alpha[~mask[0]] == alpha[~mask[0]]).all()
    assert (made.frames[~mask] == source[~mask]).all()
    made.save(tmp_path / "a.png")
    made.save(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.png") as written:
        assert written.mode == "RGBA"
        assert (np.asarray(written)[..., 3] == made.alpha).all()
    with Image.open(tmp_path / "a.jpg") as written:
        assert written.mode == "RGB"


def test_clips(pipeline: NuwaPipeline) -> None:
    """One frame stays unless a region is given; then everything outside it does."""
    source = picture(40, 60, count=3)
    moved = pipeline.edit_video(source, "a dog", seed=1)
    assert moved.frames.shape == source.shape  # padded, not cropped: all of it comes back
    assert (moved.frames[0] == source[0]).all()
    assert all((moved.frames[t] != source[t]).mean() > 0.5 for t in (1, 2))
    assert moved.recipe["options"]["keep_first"] == 1
    mask = box(40, 60, (0, 0, 20, 20))[0]
    painted = pipeline.edit_video(source, "a dog", masks=mask, seed=1)
    assert (painted.frames[:, ~mask] == source[:, ~mask]).all()
    assert all((painted.frames[t] != source[t]).any() for t in range(3))
    both = pipeline.edit_video(source, "a dog", masks=mask, keep_first=2, seed=1)
    assert (both.frames[:2] == source[:2]).all()
    assert (both.frames[2] != source[2]).any()
    assert all(made.outside_identical and made.fps == 6 for made in (moved, painted, both))
    cropped = pipeline.edit_video(source, "a dog", fit="crop", seed=1)
    assert cropped.frames.shape == (3, 40, 40, 3)
    assert (cropped.frames[0] == source[0, :, 10:50]).all()


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda p: p.edit(picture(9, 9)[0], box(9, 8, (1, 1, 3, 3))[0], "a"), "mask of 8x9 pixels"),
        (lambda p: p.edit(picture(9, 9)[0], np.zeros((9, 9)), "a"), "covers no pixel"),
        (lambda p: p.edit(picture(9, 9)[0], np.ones(9), "a"), "mask of shape"),
        (lambda p: p.edit(np.zeros((9, 9)), np.ones((9, 9)), "a"), "give uint8"),
        (lambda p: p.edit(picture(9, 9)[0], np.ones((9, 9)), ""), "prompt ''"),
        (lambda p: p.edit(picture(9, 9)[0], np.ones((9, 9)), "a", feather=-1), "feather '-1'"),
        (lambda p: p.edit(picture(9, 9)[0], np.ones((9, 9)), "a", fit="x"), "fit 'x'"),
        (lambda p: p.inpaint(picture(9, 9)[0], np.ones((9, 9)), best_of=2), "no prompt to judge"),
        (lambda p: p.inpaint(picture(9, 9)[0], np.ones((9, 9)), engine="x"), "engine 'x'"),
        (lambda p: p.edit_video(picture(9, 9, count=2), "a", keep_first=2), "give 0 … 1"),
        (lambda p: p.edit_video(picture(9, 9, count=2), "a", keep_first=0), "nothing of the clip"),
        (
            lambda p: p.edit_video(picture(9, 9, count=2), "a", masks=np.ones((3, 9, 9))),
            "mask of 3 frames for 2",
        ),
        (lambda p: p.run("edit", "a", given=Given()), "picture: none is given"),
        (lambda p: p.run("edit", "a", given=Given(masks=np.ones((1, 2, 2), bool))), "no picture"),
    ],
)
def test_refusals(pipeline: NuwaPipeline, call: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        call(pipeline)
