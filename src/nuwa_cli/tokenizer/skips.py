"""How a decoder joins what it draws in a hole to what stands around it (NÜWA-LIP's symmetrical connections).

At every stage, the decoder's features get those of the encoder at intact cells, in reverse order. That
tells it what is there, but not how far it is off. So the last connection is one of pixels: where the
decoder misses the picture at the border of a hole, in light or in tint, it misses it inside in the same
way, as far as the same thing goes on. How far that is, the connection reads from the decoder's features:
up to an edge, and no further.

Invariants: only what is seen at intact cells is read; every connection is zero before it is trained, and
always beyond its reach.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.tokenizer.blocks import ResidualBlock
from nuwa_cli.tokenizer.continuation import nearest_intact, offsets, take

_EXPANSION = 2  # of the blocks here


class FeatureSkip(nn.Module):
    """Encoder features at intact cells for decoder features there and within `reach` cells of them."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.look = nn.Conv2d(width, width, 1)
        self.blocks = nn.Sequential(*(ResidualBlock(width, _EXPANSION) for _ in range(reach)))
        self.add = _zero(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor, seen: Tensor, intact: Tensor) -> Tensor:
        """x and seen (b, width, h, w), intact (b or 1, 1, h, w) bool → x, corrected."""
        joined = self.add(self.blocks(x + torch.where(intact, self.look(seen), 0.0)))
        reach = len(self.blocks)
        is_near = F.max_pool2d(intact.float(), 2 * reach + 1, 1, reach) > 0
        return x + torch.where(is_near, joined, 0.0)


class PixelSkip(nn.Module):
    """What the decoder misses at intact pixels, carried on to pixels of the hole within `reach` cells."""

    def __init__(self, channels: int, width: int, factor: int, reach: int) -> None:
        super().__init__()
        self.factor = factor
        self.reach = reach * factor
        cell = factor * factor
        self.norm = nn.LayerNorm(width)
        self.look = nn.Conv2d(width + (channels + 1) * cell, width, 1)
        self.block = ResidualBlock(width, _EXPANSION)
        self.add = _zero(nn.Conv2d(width, (channels + 1) * cell, 1))

    def forward(self, drawn: Tensor, x: Tensor, seen: Tensor, intact: Tensor) -> Tensor:
        """Pixels drawn and seen (b, c, H, W), features x (b, width, H / factor, W / factor), intact pixels
        (b or 1, 1, H, W) bool → pixels, corrected."""
        nearest = nearest_intact(~intact)
        missed = take(seen - drawn, nearest)
        away = offsets(nearest).square().sum(dim=1, keepdim=True).sqrt() / self.reach
        fade = (1 - away).clamp(min=0).to(drawn.dtype)
        features = self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        folded = F.pixel_unshuffle(
            torch.cat((missed, fade.expand_as(drawn[:, :1])), 1), self.factor
        )
        h = self.block(self.look(torch.cat((features, folded), dim=1)))
        share, more = F.pixel_shuffle(self.add(h), self.factor).tensor_split((1,), dim=1)
        return drawn + fade * (share * missed + more)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
