"""Batches of scenes: what a crop does to captions and labels."""

from __future__ import annotations

import torch

from nuwa_cli.storybook.captions import caption
from nuwa_cli.training.scenes import SceneSource


def test_a_crop_without_the_subject_tells_of_the_place_alone(source: SceneSource) -> None:
    batch = source.batch(3, 16)
    crops = torch.tensor([[0.0, 0.0, 1.0]] * 16)
    crops[8:] = torch.tensor([0.25, 0.25, 0.25])
    cut = batch.cropped(crops)
    shown = [bool(mask.any()) for mask in batch.subject_mask[..., 8:16, 8:16]]
    assert 0 < sum(shown[8:]) < 8
    for index, (spec, text) in enumerate(zip(cut.specs, cut.captions, strict=True)):
        if index < 8 or shown[index]:
            assert (spec, text) == (batch.specs[index], batch.captions[index])
        else:
            assert spec.labels["subject"] == -1
            assert spec.labels["place"] == batch.specs[index].labels["place"]
            assert text == caption(spec, spec.seed + 1)
