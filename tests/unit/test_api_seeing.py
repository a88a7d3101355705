"""What a picture without words is told: the caption that the dual encoder is sure of."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nuwa_cli.api import NuwaPipeline
from nuwa_cli.api.given import Given
from nuwa_cli.api.orders import Order
from nuwa_cli.api.reading import read_place, read_scene
from nuwa_cli.storybook.captions import subject_captions

SCENES = torch.tensor([[3, 0], [4, 0], [5, 6]])
PICTURE = np.zeros((8, 8, 3), dtype=np.uint8)


class Sees(torch.nn.Module):
    """A dual encoder that finds captions as likely as it was told."""

    def __init__(self, *shares: float) -> None:
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(shares).log()[:, None])

    def forward(self, tokens: torch.Tensor, pixels: torch.Tensor) -> torch.Tensor:
        assert tokens.shape[1] >= 2 and pixels.shape[:2] == (1, 3)
        return self.logits


def test_a_place_is_always_named() -> None:
    assert read_place(Sees(0.3, 0.3, 0.4), SCENES, PICTURE).tolist() == [[5, 6]]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shares", "told"), [((0.1, 0.6, 0.3), [[4, 0]]), ((0.45, 0.45, 0.1), None)]
)
def test_somebody_is_named_where_that_is_sure(shares: Any, told: Any) -> None:
    toolkit: Any = SimpleNamespace(scene_tokens=lambda: SCENES)
    seen = read_scene(Sees(*shares), toolkit, PICTURE)  # type: ignore[arg-type]
    assert (None if seen is None else seen.tolist()) == told


def test_captions_of_scenes_are_plain() -> None:
    captions = subject_captions()
    assert "a horse in the meadow" in captions and len(set(captions)) == len(captions)


def test_a_still_without_words_is_told_what_it_shows(model_folder: Path) -> None:
    pipeline = NuwaPipeline.load(model_folder, device="cpu", dtype="float32")
    still = Given(frames=np.zeros((1, 32, 32, 3), dtype=np.uint8))
    model = dataclasses.replace(pipeline.model, reranker=Sees(0.9, 0.1))  # type: ignore[arg-type]
    sure = NuwaPipeline(model, pipeline.device, pipeline.dtype)
    known = torch.zeros(2, sure.model.config.transformer.max_text_len, dtype=torch.int64)
    known[0, 0], known[1, 0] = 7, 8
    toolkit = sure._toolkit()
    object.__setattr__(toolkit, "scene_tokens", lambda: known)
    sure._toolkit = lambda: toolkit  # type: ignore[method-assign]
    told = sure.prepare(Order("predict", "", given=still, num_frames=3))
    assert torch.equal(told.plan.text[0], known[0])
    asked = sure.prepare(Order("predict", "a dog", given=still, num_frames=3))
    assert torch.equal(asked.plan.text, toolkit.prompt_tokens("a dog"))
