"""The VQ-GAN: pictures ↔ grids of tokens, one frame at a time (paper §3.1, eq. 1-5).

    pixels (b, c, H, W) ─ stem, blocks ─ latents (b, e, h, w) ─ codebook ─ tokens (b, h, w)
    tokens ─ codes ─ blocks, depth-to-space ─ pixels

One codebook serves pictures and video frames, because a video is encoded frame by frame: the same
network with `in_channels` = number of classes is the VQ-GAN-Seg for one-hot sketches.

A damaged picture (NÜWA-LIP, its defect-free VQ-GAN) is encoded around its hole, which is taken to hold
what stands next to it (`continuation`) or, as in the paper, nothing at all (masked convolutions,
`blocks`). A decoder with symmetrical connections looks at the encoder's features of intact cells, so
that what it draws in the hole continues the lines that end there.

Invariant: nothing inside a hole reaches a token or a feature outside it, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.config import VQGANConfig
from nuwa_cli.tokenizer.blocks import DepthToSpace, ResidualBlock, SpaceToDepth, coarser_hole
from nuwa_cli.tokenizer.codebook import Codebook, Quantized
from nuwa_cli.tokenizer.continuation import continue_into
from nuwa_cli.tokenizer.skips import FeatureSkip, PixelSkip

Estimate = Literal["continued", "zero"]
"""What the encoder takes a hole to hold: its nearest intact pixels, or zeros at every convolution."""

_HEAD_WIDTH = 64  # channels of the decoder's last grid, at 4 pixels a cell
_REFINE_WIDTH = 8  # channels of the only layer at full resolution
SKIP_REACH = 1  # cells of a stage beyond the border of a hole that its connection corrects
PIXEL_SKIP_REACH = 6  # cells of the last grid, the same for pixels


@dataclass(frozen=True)
class IntactFeatures:
    """What is seen outside a hole, finest first: pixels, and the features of every encoder stage."""

    maps: tuple[Tensor, ...]  # (b, c, h, w)
    intact: tuple[Tensor, ...]  # (b, 1, h, w) bool, False in cells that the hole touches


class Encoder(nn.Module):
    """Pixels (b, c, H, W) → latents (b, code_dim, h, w), if need be around a hole (b, 1, H, W)."""

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

    def forward(self, pixels: Tensor, hole: Tensor | None = None) -> Tensor:
        return self.latents(self.stages(pixels, hole)[-1])

    def stages(self, pixels: Tensor, hole: Tensor | None = None) -> list[Tensor]:
        """Features (b, c, h, w) of every stage, finest first; with a hole, by masked convolutions."""
        maps: list[Tensor] = []
        x = pixels
        for layer in self.layers:
            if isinstance(layer, SpaceToDepth):
                x = layer(x)
                hole = None if hole is None else coarser_hole(hole, layer.factor)
                maps.append(x)
            else:
                x = maps[-1] = layer(x, hole)
        return maps

    def latents(self, features: Tensor) -> Tensor:
        """Features (b, c, h, w) of the last stage → latents (b, code_dim, h, w)."""
        return self.to_latents(self.norm(features.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)

    def intact_cells(self, hole: Tensor) -> list[Tensor]:
        """Cells (b, 1, h, w) of every stage, finest first, that the hole does not touch."""
        cells: list[Tensor] = []
        for layer in self.layers:
            if isinstance(layer, SpaceToDepth):
                hole = coarser_hole(hole, layer.factor)
                cells.append(~hole)
        return cells


class Decoder(nn.Module):
    """Code vectors (b, code_dim, h, w) → pixels (b, c, H, W), unbounded (clamp to show).

    With `config.intact_skips`, it can be shown what is intact (`skips`). Nothing else depends on that:
    without intact features it decodes as if it had no skips.
    """

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.from_codes = nn.Conv2d(config.code_dim, config.widths[-1], 1)
        layers: list[nn.Module] = []
        width = config.widths[-1]
        self.stage_starts: list[int] = []  # layers that a stage begins with, coarsest first
        for next_width, depth in zip(reversed(config.widths), reversed(config.depths), strict=True):
            if self.stage_starts:
                layers.append(DepthToSpace(width, next_width, 2))
            self.stage_starts.append(len(layers))
            layers.extend(ResidualBlock(next_width) for _ in range(depth + 1))
            width = next_width
        head_factor = max(config.stem_factor // 4, 1)
        layers += [DepthToSpace(width, _HEAD_WIDTH, head_factor), ResidualBlock(_HEAD_WIDTH, 2)]
        self.layers = nn.Sequential(*layers)
        factor = config.stem_factor // head_factor
        self.to_pixels = DepthToSpace(_HEAD_WIDTH, _REFINE_WIDTH, factor)
        self.refine = nn.Conv2d(_REFINE_WIDTH, config.in_channels, 3, padding=1)
        self.skips = nn.ModuleList()  # coarsest first, as the decoder comes to them
        if config.intact_skips:
            self.skips.extend(FeatureSkip(width, SKIP_REACH) for width in reversed(config.widths))
            channels = config.in_channels
            self.skips.append(PixelSkip(channels, _HEAD_WIDTH, factor, PIXEL_SKIP_REACH))

    def forward(self, codes: Tensor, intact: IntactFeatures | None = None) -> Tensor:
        x = self.from_codes(codes)
        shown = None if intact is None else list(zip(intact.maps, intact.intact, strict=True))
        for index, layer in enumerate(self.layers):
            if shown and self.skips and index in self.stage_starts:
                stage = self.stage_starts.index(index)
                x = self.skips[stage](x, *shown[-1 - stage])
            x = layer(x)
        pixels = self.refine(self.to_pixels(x))
        return self.skips[-1](pixels, x, *shown[0]) if shown and self.skips else pixels


class VQGAN(nn.Module):
    """Encoder, codebook and decoder of one kind of picture."""

    def __init__(self, config: VQGANConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.codebook = Codebook(config.codebook_size, config.code_dim)
        self.decoder = Decoder(config)

    @torch.no_grad()
    def encode(
        self, pixels: Tensor, hole: Tensor | None = None, estimate: Estimate = "continued"
    ) -> Tensor:
        """Pixels (b, c, H, W) in [-1, 1] → tokens (b, h, w) int64.

        With a hole (b or 1, 1, H, W) bool, True where the picture is damaged, tokens of cells that it
        does not touch are independent of what it holds; those of the others mean nothing.
        """
        return self.codebook.tokens(self.encoder(*self._defect_free(pixels, hole, estimate)))

    @torch.no_grad()
    def intact_features(
        self, pixels: Tensor, hole: Tensor, estimate: Estimate = "continued"
    ) -> IntactFeatures:
        """What `decode` may look at around a hole (b or 1, 1, H, W) bool of pixels (b, c, H, W).

        At intact cells these are independent of what the hole holds; the others are never read.
        """
        seen, masked = self._defect_free(pixels, hole, estimate)
        return self.around(seen, hole, self.encoder.stages(seen, masked))

    def around(self, seen: Tensor, hole: Tensor, stages: list[Tensor]) -> IntactFeatures:
        """The same of a picture whose stages the encoder has computed."""
        return IntactFeatures((seen, *stages), (~hole, *self.encoder.intact_cells(hole)))

    @torch.no_grad()
    def decode(self, tokens: Tensor, intact: IntactFeatures | None = None) -> Tensor:
        """Tokens (b, h, w) int64 → pixels (b, c, H, W) float32 in [-1, 1].

        With intact features, what is drawn in the hole joins what stands around it; a tokenizer
        without `config.intact_skips` decodes the same with and without them.
        """
        codes = self._as_weights(self.codebook.lookup(tokens))
        pixels = self.decoder(codes, intact).float().clamp(-1.0, 1.0)
        # the outermost line has seen the zero padding of the last layer: measured, it jumps by 9
        # levels of 255 where others differ by 1; the line before it stands there instead
        return F.pad(pixels[..., 1:-1, 1:-1], (1, 1, 1, 1), mode="replicate")

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

    def _defect_free(
        self, pixels: Tensor, hole: Tensor | None, estimate: Estimate
    ) -> tuple[Tensor, Tensor | None]:
        """Pixels, and a hole to be masked in the encoder if its estimate is zero."""
        if hole is not None and estimate == "continued":
            pixels, hole = continue_into(pixels, hole), None
        return self._as_weights(pixels), hole

    def _as_weights(self, x: Tensor) -> Tensor:
        return x.to(self.decoder.refine.weight.dtype).contiguous(memory_format=torch.channels_last)
