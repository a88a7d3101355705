"""Levels and pixels: there and back without loss, and what lies outside is clamped."""

from __future__ import annotations

import torch

from nuwa_cli.ops.pixels import to_levels, to_pixels


def test_every_level_comes_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8)
    pixels = to_pixels(levels)
    assert pixels.dtype == torch.float32
    assert (pixels[0], pixels[-1]) == (-1.0, 1.0)
    assert torch.equal(to_levels(pixels), levels)


def test_the_nearest_level_is_taken_and_none_wraps_around() -> None:
    pixels = torch.tensor([-3.0, -0.997, 0.0, 0.999, 3.0], dtype=torch.bfloat16)
    assert to_levels(pixels).tolist() == [0, 0, 128, 255, 255]
