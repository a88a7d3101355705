"""Samples of known pixels: means outside the hole, and nothing of what is inside."""

from __future__ import annotations

import torch

from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.samples import SAMPLES, sample_pixels

GRID = GridShape(1, 2, 3)


def test_a_sample_is_the_known_mean_and_its_share() -> None:
    pixels = torch.full((1, 3, 32, 48), 0.5)
    hole = torch.zeros(1, 1, 32, 48, dtype=torch.bool)
    hole[..., :2, :4] = True  # half of the first sample, which is 4 pixels a side
    samples = sample_pixels(pixels, hole, GRID)
    assert samples.shape == (1, 4, SAMPLES * 2, SAMPLES * 3)
    assert samples[0, :, 0, 0].tolist() == [0.25, 0.25, 0.25, 0.5]
    assert samples[0, :, 0, 1].tolist() == [0.5, 0.5, 0.5, 1.0]


def test_what_the_hole_holds_has_no_influence() -> None:
    pixels = torch.rand(2, 3, 32, 48)
    hole = torch.rand(2, 1, 32, 48) < 0.4
    damaged = torch.where(hole, torch.rand(2, 3, 32, 48) * 9, pixels)
    assert torch.equal(sample_pixels(pixels, hole, GRID), sample_pixels(damaged, hole, GRID))
