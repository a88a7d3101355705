"""The segmenter: which sketch class each pixel of a picture shows.

It judges whether a generated picture follows its sketch, so like the evaluator it is trained on
renders only (`training/train_segmenter.py`) and never used to choose among samples. A small U-net:

    frames (b, 3, S, S) ─ stem, S/2 ─ … ─ S/16 with a summary of the whole picture ─ back to S/2

The summary tells water from sky where a cell alone cannot. Class names are stored in the config, in
the order of the logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.config import _Config, _require
from nuwa_cli.model.convnet import BatchNorm, ResidualConv, shrink
from nuwa_cli.ops.pixels import to_pixels

LOGITS_FACTOR = 2
"""The logits have one cell for so many pixels along each axis."""

_CHUNK = 16  # frames segmented at once


@dataclass(frozen=True, kw_only=True)
class SegmenterConfig(_Config):
    """Class names in the order of the logits, and sizes; about 0.5 M parameters as given."""

    classes: tuple[str, ...]
    image_size: int = 128  # frames are shrunk to this square
    widths: tuple[int, ...] = (24, 48, 72, 88)  # at S/2, S/4, S/8, S/16
    depths: tuple[int, ...] = (1, 1, 1, 1)

    def __post_init__(self) -> None:
        _require(
            len(set(self.classes)) == len(self.classes) > 1,
            "classes: fewer than two, or a name comes twice",
        )
        _require(
            len(self.widths) == len(self.depths) > 0, "widths and depths: differ in length, or none"
        )
        factor = LOGITS_FACTOR * 2 ** (len(self.widths) - 1)
        _require(
            self.image_size > 0 and self.image_size % factor == 0,
            f"image_size {self.image_size}: not a multiple of {factor}",
        )


class SegmentNet(nn.Module):
    """Frames (b, 3, S, S) in [-1, 1] → class logits (b, classes, S/2, S/2)."""

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.stem = nn.Conv2d(3, widths[0], 5, LOGITS_FACTOR, 2, bias=False)
        self.down = nn.ModuleList(
            nn.Conv2d(wide, next_wide, 3, 2, 1, bias=False) for wide, next_wide in pairwise(widths)
        )
        self.before = nn.ModuleList(
            _stage(width, depth) for width, depth in zip(widths, config.depths, strict=True)
        )
        self.summary = nn.Linear(widths[-1], widths[-1])
        self.up = nn.ModuleList(
            nn.Conv2d(next_wide, wide, 1, bias=False) for wide, next_wide in pairwise(widths)
        )
        self.after = nn.ModuleList(
            _stage(width, depth)
            for width, depth in zip(widths[:-1], config.depths[:-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], len(config.classes), 3, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        h = self.stem(frames.contiguous(memory_format=torch.channels_last))
        skips: list[Tensor] = []
        for level, stage in enumerate(self.before):
            if level:
                h = self.down[level - 1](h)
            h = stage(h)
            skips.append(h)
        h = skips.pop()
        h = h + F.relu(self.summary(h.mean((2, 3))))[..., None, None]
        for level in reversed(range(len(skips))):
            h = F.interpolate(self.up[level](h), scale_factor=2, mode="bilinear")
            h = self.after[level](h + skips[level])
        logits: Tensor = self.head(h)
        return logits

    @torch.inference_mode()
    def segment(self, frames: Tensor) -> Tensor:
        """Frames (n, 3, H, W) uint8, any size → class indices (n, H, W) uint8.

        Logits are enlarged before the largest is taken, so that borders are as smooth as the frame.
        The model must be in eval mode.
        """
        weight = self.head.weight
        maps = []
        for part in torch.split(frames, _CHUNK):
            pixels = to_pixels(part.to(weight.device))
            logits = self(shrink(pixels, self.config.image_size).to(weight.dtype)).float()
            for row in logits:  # one frame at a time: 32 planes at full size are large
                full = F.interpolate(row[None], frames.shape[-2:], mode="bilinear")
                maps.append(full[0].argmax(0).to(torch.uint8).cpu())
        return torch.stack(maps)


def _stage(width: int, depth: int) -> nn.Sequential:
    blocks = (ResidualConv(width) for _ in range(depth))
    return nn.Sequential(BatchNorm(width), nn.ReLU(), *blocks)
