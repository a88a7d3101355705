"""How well a VQ-GAN keeps pictures, and how healthy its codebook is.

PSNR and SSIM compare a picture with what comes back from its tokens; `codebook_usage` is the share
of codes chosen at least once, `perplexity` the number of codes that an even use of the same
entropy would need (van den Oord et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.errors import UsageError

_SSIM_WINDOW = 8


class Tokenizer(Protocol):
    """The part of a VQ-GAN that is measured."""

    def encode(self, pixels: Tensor) -> Tensor: ...

    def decode(self, tokens: Tensor) -> Tensor: ...


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each pair of pictures (b, c, H, W) in [-1, 1];
    at most 100 for equal ones."""
    error = (a.double() - b.double()).square().mean((1, 2, 3))
    return 10.0 * torch.log10(4.0 / error.clamp(min=4e-10))


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004) of each pair of pictures (b, c, H, W) in [-1, 1],
    over flat windows of 8 x 8 pixels, mean over channels; 1 for equal ones."""
    a, b = (x.double() for x in (a, b))
    mean_a, mean_b = _windows(a), _windows(b)
    # Rounding can leave a flat window a variance just below zero.
    variance_a = (_windows(a * a) - mean_a**2).clamp(min=0)
    variance_b = (_windows(b * b) - mean_b**2).clamp(min=0)
    covariance = _windows(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).mean((1, 2, 3))


class CodebookMeter:
    """Counts tokens; `usage` and `perplexity` of all that it has seen."""

    def __init__(self, codebook_size: int) -> None:
        self.counts = torch.zeros(codebook_size, dtype=torch.float64)

    def update(self, tokens: Tensor) -> None:
        """Add tokens of any shape, int64 in 0 … codebook_size - 1."""
        counted = torch.bincount(tokens.flatten().cpu(), minlength=len(self.counts))
        self.counts += counted.double()

    @property
    def usage(self) -> float:
        """Share of codes seen at least once, 0 … 1."""
        return float((self.counts > 0).double().mean())

    @property
    def perplexity(self) -> float:
        """exp of the entropy of the token distribution, 1 … codebook_size."""
        total = float(self.counts.sum())
        if total == 0:
            raise UsageError("codebook: no tokens were counted; give at least one picture")
        entropy = -torch.special.xlogy(self.counts / total, self.counts / total).sum()
        return math.exp(float(entropy))


@torch.inference_mode()
def measure_tokenizer(
    tokenizer: Tokenizer, codebook_size: int, batches: Iterable[Tensor]
) -> dict[str, float]:
    """PSNR, SSIM, codebook usage and perplexity over batches of pixels (b, c, H, W) in [-1, 1].

    Raises UsageError if there are no pictures.
    """
    meter = CodebookMeter(codebook_size)
    psnrs: list[Tensor] = []
    ssims: list[Tensor] = []
    for pixels in batches:
        tokens = tokenizer.encode(pixels)
        restored = tokenizer.decode(tokens).clamp(-1.0, 1.0)
        meter.update(tokens)
        psnrs.append(psnr(pixels, restored))
        ssims.append(ssim(pixels, restored))
    return {
        "perplexity": meter.perplexity,
        "codebook_usage": meter.usage,
        "psnr_db": float(torch.cat(psnrs).mean()),
        "ssim": float(torch.cat(ssims).mean()),
        "pictures": float(sum(len(batch) for batch in psnrs)),
    }


def _windows(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, _SSIM_WINDOW, stride=_SSIM_WINDOW // 2)
