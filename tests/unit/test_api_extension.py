"""Pictures that grow: the source stays, pieces tile the result, and a run can be taken up again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.api import Extension, Margins, NuwaPipeline, Segment, extension
from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.infinity.pool import UNKNOWN
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.run import run_plan

AROUND = Margins(9, 14, 40, 20)
SIDES = Margins(left=40, right=60)


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> NuwaPipeline:
    return NuwaPipeline.load(model_folder, device="cpu", dtype="float32")


def picture(height: int, width: int, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("size", "margins"),
    [
        ((32, 32), Margins(right=40)),
        ((50, 34), AROUND),
        ((20, 61), Margins(top=11)),
        ((4, 21), Margins(bottom=2, left=1)),
    ],
)
def test_any_size(pipeline: NuwaPipeline, size: tuple[int, int], margins: Margins) -> None:
    source = picture(*size)
    made = pipeline.extend(source, margins, "a dog on the beach", seed=1)
    again = pipeline.extend(source, margins, "a dog on the beach", seed=1)
    other = pipeline.extend(source, margins, "a dog on the beach", seed=2)
    height, width = size[0] + margins.top + margins.bottom, size[1] + margins.left + margins.right
    assert made.frames.shape == (1, height, width, 3)
    place = np.s_[margins.top : margins.top + size[0], margins.left : margins.left + size[1]]
    assert (made.frames[0][place] == source).all()
    assert made.outside_identical
    assert (made.frames == again.frames).all()
    assert (made.tokens == again.tokens).all()
    assert (made.tokens != other.tokens).any()
    assert (made.frames != other.frames).any()
    assert (made.tokens == UNKNOWN).sum() == (other.tokens == UNKNOWN).sum() >= 16
    assert (made.seed, made.score, made.fps) == (1, None, None)


def test_places_have_a_temperature_of_their_own(
    pipeline: NuwaPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = pipeline.model
    defaults = dataclasses.replace(model.config.defaults, temperature=0.5, place_temperature=0.9)
    config = dataclasses.replace(model.config, defaults=defaults)
    warm = NuwaPipeline(dataclasses.replace(model, config=config), pipeline.device, pipeline.dtype)
    used: list[tuple[bool, float]] = []

    def seen(net: object, plan: Plan, sampling: SamplingConfig) -> torch.Tensor:
        used.append((plan.nobody, sampling.temperature))
        return run_plan(net, plan, sampling)  # type: ignore[arg-type]

    monkeypatch.setattr(extension, "run_plan", seen)
    made = warm.extend(picture(32, 32), Margins(right=64), "a dog", seed=1)
    assert set(used) == {(False, 0.5), (True, 0.9)}
    assert made.recipe["options"]["place_temperature"] == 0.9
    used.clear()
    given = warm.extend(picture(32, 32), Margins(right=64), "a dog", seed=1, temperature=0.3)
    assert {heat for _, heat in used} == {0.3}
    assert "place_temperature" not in given.recipe["options"]


def test_recipe(pipeline: NuwaPipeline, tmp_path: Path) -> None:
    extension = pipeline.start_extension(
        picture(32, 32),
        Margins(1, 2, 3, 4),
        "a dog",
        segments=[Segment(20, "grass")],
        sources=({"name": "a.png", "sha256": "0"},),
        seed=7,
        top_k=3,
    )
    recipe = extension.recipe()
    assert (recipe["command"], recipe["prompt"], recipe["seed"]) == ("extend", "a dog", 7)
    options = recipe["options"]
    assert [options[side] for side in ("left", "up", "right", "down")] == [1, 2, 3, 4]
    assert options["prompts"] == [[0, "a dog"], [20, "grass"]]
    assert options["top_k"] == 3
    assert recipe["inputs"] == [{"name": "a.png", "sha256": "0"}]
    assert recipe["model"]["name"] == "tiny"
    assert recipe["digital_source_type"].endswith("compositeWithTrainedAlgorithmicMedia")
    extension.generate().save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size


def test_words_and_settings_matter(pipeline: NuwaPipeline) -> None:
    source, margins = picture(32, 32), Margins(right=50)
    made = [
        pipeline.extend(source, margins, seed=1).tokens,
        pipeline.extend(source, margins, "a dog", seed=1).tokens,
        pipeline.extend(source, margins, "grass", seed=1).tokens,
        pipeline.extend(source, margins, "a dog", segments=[Segment(50, "grass")], seed=1).tokens,
        pipeline.extend(source, margins, "a dog", seed=1, temperature=3.0).tokens,
    ]
    assert len({tokens.tobytes() for tokens in made}) == len(made)
    first = made[1] == made[3]
    assert first[..., :6].all() and not first.all()  # until the other words begin


def pieces_of(extension: Extension, known: Any = None) -> tuple[Any, dict[int, Any], list[Any]]:
    """The result, the tokens of the steps, and after each step what was there."""
    frame = np.zeros((extension.height, extension.width, 3), dtype=np.uint8)
    seen = np.zeros(frame.shape[:2], dtype=int)
    tokens: dict[int, Any] = {}
    states = []
    for piece in extension.pieces(known):
        if piece.tokens is not None:
            states.append(seen.copy())  # what the steps before gave
            assert piece.step == len(tokens)
            tokens[piece.step] = piece.tokens
        height, width = piece.pixels.shape[:2]
        place = np.s_[piece.top : piece.top + height, piece.left : piece.left + width]
        frame[place] = piece.pixels
        seen[place] += 1
    states.append(seen)
    assert (seen == 1).all()
    assert len(tokens) == extension.num_steps
    return frame, tokens, states


def test_pieces(pipeline: NuwaPipeline) -> None:
    """They tile the result; `complete_box` says what of it is there, and it grows with the steps."""
    source = picture(32, 40)
    done: list[tuple[int, int]] = []
    extension = pipeline.start_extension(
        source, AROUND, seed=1, on_progress=lambda step, of: done.append((step, of))
    )
    assert extension.origin == (14, 9)
    frame, tokens, states = pieces_of(extension)
    assert (frame == pipeline.extend(source, AROUND, seed=1).frames[0]).all()
    assert done == [(n + 1, extension.num_steps) for n in range(extension.num_steps)]
    areas = []
    for count, seen in enumerate(states):
        top, left, height, width = extension.complete_box(count)
        assert seen[top : top + height, left : left + width].all()
        assert top <= 14 and left <= 9 and top + height >= 46 and left + width >= 49
        areas.append(height * width)
    assert areas == sorted(areas)
    assert areas[0] == 32 * 40
    assert areas[-1] == frame.shape[0] * frame.shape[1]
    half = {step: tokens[step] for step in tokens if step < len(tokens) // 2}
    again, _, _ = pieces_of(extension, half)
    assert (again == frame).all()
    with pytest.raises(InputError, match="step '1'"):
        pieces_of(extension, {1: tokens[1][:-1]})


def test_a_strip_is_there_early(pipeline: NuwaPipeline) -> None:
    """To the right, all but the last few bands have left, and can be kept."""
    extension = pipeline.start_extension(picture(32, 32), Margins(right=320))
    lag = extension.num_steps - 2
    _, _, width, _ = extension.complete_box(lag)
    _, left, height, width = extension.complete_box(lag)
    assert (left, height) == (0, 32)
    assert 320 - 7 * 16 <= width - 32 < 320


def test_joints(pipeline: NuwaPipeline) -> None:
    extension = pipeline.start_extension(picture(32, 32), Margins(left=10, right=40))
    assert extension.joints == ((10, 42, 58, 74), ())
    columns, rows = pipeline.start_extension(picture(64, 64), Margins(0, 20, 0, 70)).joints
    assert columns == ()
    assert rows == (20, 84, 116, 148)


@settings(max_examples=8, deadline=None)
@given(width=st.integers(4, 90), height=st.integers(4, 60), seed=st.integers(0, 9))
def test_pictures_of_a_text_at_any_size(
    pipeline: NuwaPipeline, width: int, height: int, seed: int
) -> None:
    extension = pipeline.start_wide("a dog on the beach", width, height, seed=seed, best_of=1)
    made = extension.generate()
    assert made.frames.shape == (1, height, width, 3)
    assert made.recipe["command"] == "t2i"
    assert made.recipe["options"]["size"] == [width, height]
    assert made.recipe["digital_source_type"].endswith("/trainedAlgorithmicMedia")
    if width == height == 32:
        assert extension.num_steps == 0


def test_the_middle_is_the_models_own_picture(pipeline: NuwaPipeline) -> None:
    alone = pipeline.text_to_image("a dog on the beach", seed=3)
    wide = pipeline.start_wide("a dog on the beach", 96, 32, seed=3).generate()
    assert (wide.frames[0, :, 32:64] == alone.frames[0]).all()
    same = pipeline.start_wide("a dog on the beach", 32, 32, seed=3).generate()
    assert (same.frames == alone.frames).all()


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda p: p.extend(picture(9, 9), Margins()), "no side grows"),
        (lambda p: p.extend(picture(3, 9), Margins(right=1)), "too thin"),
        (lambda p: p.extend(np.zeros((9, 9)), Margins(right=1)), "give uint8"),
        (lambda p: p.extend(picture(9, 9), Margins(right=2**31)), "no picture file"),
        (lambda p: p.extend(picture(9, 9), Margins(right=1), " "), "prompt ' '"),
        (lambda p: p.extend(picture(9, 9), Margins(right=1), top_p=0.0), "top-p"),
        (lambda p: p.start_wide("a dog", 0, 9), "size '0x9'"),
        (lambda p: p.start_wide("", 90, 32), "prompt ''"),
        (lambda p: p.start_wide("a dog", 90, 3), "too thin"),
    ],
)
def test_refusals(pipeline: NuwaPipeline, call: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        call(pipeline)


def test_two_sides_at_once_are_what_they_are_one_by_one(
    pipeline: NuwaPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = picture(32, 40)
    together = pipeline.extend(source, SIDES, "a dog on the beach", seed=3)
    counts = []

    def one_by_one(self: Extension, asked: Any) -> list[Any]:
        counts.append(len(asked))
        return [self._draw(plan, seed) for plan, seed in asked]

    monkeypatch.setattr(Extension, "_draw_all", one_by_one)
    apart = pipeline.extend(source, SIDES, "a dog on the beach", seed=3)
    assert counts and set(counts) == {2}
    assert (together.tokens == apart.tokens).all()
    assert (together.frames == apart.frames).all()
