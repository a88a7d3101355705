"""What a picture without words is told: the captions that the dual encoder finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.api import NuwaPipeline
from nuwa_cli.api.given import Given
from nuwa_cli.api.orders import Order
from nuwa_cli.hub.model_dir import LoadedModel
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.storybook.captions import subject_captions

SIDE = 32


class Sees(torch.nn.Module):
    """A dual encoder that finds captions as likely as it was told, and keeps what it was shown."""

    def __init__(self, *shares: float) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(shares).log()[:, None])
        self.shown: list[Tensor] = []

    def forward(self, tokens: Tensor, pixels: Tensor) -> Tensor:
        assert tokens.shape[1] >= 2 and pixels.shape[:2] == (1, 3)
        self.shown.append(pixels)
        return self.logits


def picture(level: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((SIDE, SIDE, 3), level, dtype=np.uint8)


def hole(columns: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    mask[:, :columns] = True
    return mask


@pytest.fixture
def told(model_folder: Path) -> Callable[[Sees | None], NuwaPipeline]:
    """Makes a pipeline whose dual encoder is fake, and which knows three places and scenes."""
    pipeline = NuwaPipeline.load(model_folder, device="cpu", dtype="float32")

    def make(encoder: Sees | None) -> NuwaPipeline:
        model: LoadedModel = dataclasses.replace(pipeline.model, reranker=encoder)  # type: ignore[arg-type]
        made = NuwaPipeline(model, pipeline.device, pipeline.dtype)
        known = torch.zeros(3, model.config.transformer.max_text_len, dtype=torch.int64)
        known[:, 0] = torch.tensor([5, 6, 7])
        for name in ("place_tokens", "scene_tokens"):
            object.__setattr__(made.toolkit, name, lambda: known)
        return made

    return make


def words(pipeline: NuwaPipeline, order: Order) -> list[int]:
    return pipeline.prepare(order).plan.text[0].tolist()


def still(prompt: str = "", level: int = 0, seed: int = 0) -> Order:
    given = Given(frames=picture(level)[None])
    return Order("predict", prompt, given=given, num_frames=3, seed=seed)


def damaged(level: int, columns: int, inside: int = 0) -> Order:
    shown = np.where(hole(columns)[..., None], np.uint8(inside), picture(level))
    return Order("inpaint", "", given=Given(frames=shown[None], masks=hole(columns)[None]))


def test_a_place_is_always_named(told: Any) -> None:
    pipeline = told(Sees(0.3, 0.3, 0.4))
    assert words(pipeline, damaged(90, 8))[:2] == [7, 0]
    for size in ((SIDE, SIDE), (40, 90)):
        shown = np.zeros((*size, 3), dtype=np.uint8)
        assert pipeline.reader.tokens("", shown, "place")[0, 0] == 7
    asked = pipeline.reader.tokens("dog", shown, "place")
    assert torch.equal(asked, pipeline.toolkit.prompt_tokens("dog"))


def test_the_dual_encoder_tells_where_a_picture_without_words_is(model_folder: Path) -> None:
    pipeline = NuwaPipeline.load(model_folder, device="cpu", dtype="float32")
    encoder, toolkit = pipeline.model.reranker, pipeline.toolkit
    assert encoder is not None
    places = toolkit.place_tokens()
    assert places is not None
    places = torch.cat((places, toolkit.prompt_tokens("dog"), toolkit.prompt_tokens("play golf")))
    object.__setattr__(toolkit, "place_tokens", lambda: places)
    told = set()
    for seed in range(8):
        noise = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        source = noise // 4 + np.uint8(25 * seed)
        pixels = to_pixels(torch.from_numpy(source).permute(2, 0, 1)[None])
        scores = torch.cat([encoder.score(place[None], pixels) for place in places])
        wide = np.pad(source, ((0, 0), (9, 9), (0, 0)))  # what a square leaves out
        found = pipeline.reader.tokens("", wide, "place")
        assert torch.equal(found[0], places[scores.argmax()])
        told.add(tuple(found[0].tolist()))
    assert len(told) > 1
    asked = pipeline.reader.tokens("dog", source, "place")
    assert torch.equal(asked, toolkit.prompt_tokens("dog"))


@pytest.mark.parametrize(("shares", "first"), [((0.1, 0.6, 0.3), 6), ((0.45, 0.45, 0.1), 0)])
def test_somebody_is_named_where_that_is_sure(told: Any, shares: Any, first: int) -> None:
    pipeline = told(Sees(*shares))
    assert words(pipeline, still())[0] == first
    assert pipeline.reader.tokens("", picture(0), "scene")[0, 0] == first
    dog = pipeline.toolkit.prompt_tokens("a dog")[0].tolist()
    assert words(pipeline, still("a dog")) == dog


def test_what_lies_in_a_hole_is_not_read(told: Any) -> None:
    encoder = Sees(0.3, 0.3, 0.4)
    pipeline = told(encoder)
    for inside in (0, 255):
        pipeline.prepare(damaged(90, 8, inside))
    first, second = encoder.shown
    assert torch.equal(first, second)
    assert first.unique().numel() == 1  # the hole has the color of the rest


def test_where_nothing_is_known_nothing_is_told(told: Any) -> None:
    encoder = Sees(0.3, 0.3, 0.4)
    assert not any(words(told(encoder), damaged(90, SIDE)))
    assert not encoder.shown


def test_a_picture_is_read_once(told: Any) -> None:
    encoder = Sees(0.1, 0.6, 0.3)
    pipeline = told(encoder)
    for seed in range(3):
        for level in (10, 20):
            pipeline.prepare(still(level=level, seed=seed))
    assert len(encoder.shown) == 2
    pipeline.prepare(damaged(10, 8))
    assert len(encoder.shown) == 3
    for level in range(40):
        pipeline.prepare(still(level=100 + level))
    pipeline.prepare(still(level=20))
    assert len(encoder.shown) == 44  # long ago


def test_without_a_dual_encoder_the_model_tells_the_place_alone(told: Any) -> None:
    pipeline = told(None)
    assert words(pipeline, damaged(90, 8))[0] in (5, 6, 7)
    assert not any(words(pipeline, still()))


def test_captions_of_scenes_are_plain() -> None:
    captions = subject_captions()
    assert "a horse in the meadow" in captions and len(set(captions)) == len(captions)


def test_how_clearly_a_place_shows(told: Any) -> None:
    """Of texts that name a place alone, and by a dual encoder; pixels may be higher than wide."""
    pipeline = told(Sees(0.2, 0.5, 0.3))
    texts = pipeline.toolkit.place_tokens()
    pixels = torch.zeros(1, 3, 2 * SIDE, SIDE)
    found = [pipeline.reader.shows_place(text[None], pixels) for text in texts]
    assert found == pytest.approx(np.log([0.2, 0.5, 0.3]).tolist(), abs=1e-6)
    dog = pipeline.toolkit.prompt_tokens("dog")
    assert pipeline.reader.shows_place(dog, pixels) is None
    assert told(None).reader.shows_place(texts[:1], pixels) is None
