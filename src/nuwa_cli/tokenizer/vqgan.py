"""The VQ-GAN: pictures ↔ grids of tokens, one frame at a time (paper §3.1, eq. 1-5).

    pixels (b, c, H, W) ─ stem, blocks ─ latents (b, e, h, w) ─ codebook ─ tokens (b, h, w)
    tokens ─ codes ─ blocks, depth-to-space ─ pixels

One codebook serves pictures and video frames, because a video is encoded frame by frame: the same
network with `in_channels` = number of classes is the VQ-GAN-Seg for one-hot sketches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.config import VQGANConfig
from nuwa_cli.tokenizer.blocks import DepthToSpace, ResidualBlock, SpaceToDepth
from nuwa_cli.tokenizer.codebook import Codebook, Quantized

_HEAD_WIDTH = 64  # channels of the decoder's last grid, at 4 pixels a cell
_REFINE_WIDTH = 8  # channels of the only layer at full resolution


class Encoder(nn.Module):
    """Pixels (b, c, H, W) → latents (b, code_dim, h, w)."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width, factor = config.in_channels, config.stem_factor
        for next_width, depth in zip(config.widths, config.depths, strict=True):
            layers.append(SpaceToDepth(width, next_width, factor))
            layers.extend(ResidualBlock(next_width) for _ in range(depth))
            width, factor = next_width, 2
        self.layers = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(width)
        self.to_latents = nn.Linear(width, config.code_dim)

    def forward(self, pixels: Tensor) -> Tensor:
        h = self.layers(pixels).permute(0, 2, 3, 1)
        return self.to_latents(self.norm(h)).permute(0, 3, 1, 2)


class Decoder(nn.Module):
    """Code vectors (b, code_dim, h, w) → pixels (b, c, H, W), unbounded (clamp to show)."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.from_codes = nn.Conv2d(config.code_dim, config.widths[-1], 1)
        layers: list[nn.Module] = []
        width = config.widths[-1]
        for next_width, depth in zip(reversed(config.widths), reversed(config.depths), strict=True):
            if next_width != width:
                layers.append(DepthToSpace(width, next_width, 2))
            layers.extend(ResidualBlock(next_width) for _ in range(depth + 1))
            width = next_width
        head_factor = max(config.stem_factor // 4, 1)
        layers += [DepthToSpace(width, _HEAD_WIDTH, head_factor), ResidualBlock(_HEAD_WIDTH, 2)]
        self.layers = nn.Sequential(*layers)
        self.to_pixels = DepthToSpace(_HEAD_WIDTH, _REFINE_WIDTH, config.stem_factor // head_factor)
        self.refine = nn.Conv2d(_REFINE_WIDTH, config.in_channels, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        return self.refine(self.to_pixels(self.layers(self.from_codes(codes))))


class VQGAN(nn.Module):
    """Encoder, codebook and decoder of one kind of picture."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.codebook = Codebook(config.codebook_size, config.code_dim)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels (b, c, H, W) in [-1, 1] → tokens (b, h, w) int64."""
        return self.codebook.tokens(self.encoder(self._as_weights(pixels)))

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens (b, h, w) int64 → pixels (b, c, H, W) float32 in [-1, 1]."""
        codes = self._as_weights(self.codebook.lookup(tokens))
        return self.decoder(codes).float().clamp(-1.0, 1.0)

    def forward(
        self, pixels: Tensor, *, is_continuous: bool = False
    ) -> tuple[Tensor, Tensor, Quantized]:
        """Reconstruction (b, c, H, W), latents, and what the codebook made of them.

        With `is_continuous` the decoder sees the unit latents themselves: an autoencoder, trained
        for a moment before there are codes worth having.
        """
        latents = self.encoder(pixels)
        quantized = self.codebook(latents)
        codes = F.normalize(latents.float(), dim=1) if is_continuous else quantized.vectors
        return self.decoder(codes), latents, quantized

    def _as_weights(self, x: Tensor) -> Tensor:
        return x.to(self.decoder.refine.weight.dtype).contiguous(memory_format=torch.channels_last)
