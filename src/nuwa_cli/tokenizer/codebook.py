"""The codebook: continuous latents → tokens → code vectors.

Codes live on the unit sphere of a low-dimensional space (ℓ2-normalized, as later VQ-GANs found
healthier than 256 free dimensions), so "nearest" is the largest dot product. Codes that no latent
has chosen for a while are revived at the position of a current latent; `usage` counts choices as a
decayed average and is part of the checkpoint, so training resumes exactly.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Quantized(NamedTuple):
    """What the codebook makes of latents (b, c, h, w)."""

    vectors: Tensor  # (b, c, h, w) code vectors; gradients pass straight through to the latents
    tokens: Tensor  # (b, h, w) int64
    codebook_loss: Tensor  # codes move to latents
    commitment_loss: Tensor  # latents move to codes


class Codebook(nn.Module):
    """`codebook_size` unit vectors of `code_dim` dimensions (paper §3.1, B in eq. 1)."""

    usage: Tensor

    def __init__(self, codebook_size: int, code_dim: int, usage_decay: float = 0.95) -> None:
        super().__init__()
        self.codes = nn.Parameter(F.normalize(torch.randn(codebook_size, code_dim), dim=-1))
        self.register_buffer("usage", torch.ones(codebook_size))
        self.usage_decay = usage_decay

    def unit_codes(self) -> Tensor:
        """The code vectors (v, c) on the unit sphere, float32."""
        return F.normalize(self.codes.float(), dim=-1)

    def tokens(self, latents: Tensor) -> Tensor:
        """Nearest code of each latent: (b, c, h, w) → (b, h, w) int64."""
        # Length does not matter for the nearest direction, so the latents stay unnormalized.
        flat = latents.float().permute(0, 2, 3, 1)
        return (flat @ self.unit_codes().T).argmax(dim=-1)

    def lookup(self, tokens: Tensor) -> Tensor:
        """Code vectors of tokens: (b, h, w) → (b, c, h, w)."""
        return self.unit_codes()[tokens].permute(0, 3, 1, 2)

    def forward(self, latents: Tensor) -> Quantized:
        """Quantize with a straight-through gradient, and give the two codebook losses."""
        unit = F.normalize(latents.float(), dim=1)
        with torch.no_grad():
            tokens = self.tokens(unit)
        codes = self.lookup(tokens)
        codebook_loss = F.mse_loss(codes, unit.detach(), reduction="none").sum(1).mean()
        commitment_loss = F.mse_loss(unit, codes.detach(), reduction="none").sum(1).mean()
        return Quantized(unit + (codes - unit).detach(), tokens, codebook_loss, commitment_loss)

    @torch.no_grad()
    def spread_over(self, latents: Tensor, generator: torch.Generator) -> None:
        """Start afresh: every code on a random latent of (b, c, h, w), all equally used."""
        pool = F.normalize(latents.float(), dim=1).permute(0, 2, 3, 1).flatten(0, 2)
        chosen = torch.randint(len(pool), (len(self.codes),), generator=generator)
        self.codes.copy_(pool[chosen.to(pool.device)])
        self.usage.fill_(1.0)

    @torch.no_grad()
    def track(self, tokens: Tensor) -> None:
        """Update the decayed share of each code (1.0 = an even share) after a training step."""
        counts = torch.bincount(tokens.flatten(), minlength=len(self.usage)).to(self.usage)
        share = counts * (len(self.usage) / max(tokens.numel(), 1))
        self.usage.lerp_(share, 1.0 - self.usage_decay)

    @torch.no_grad()
    def revive(self, latents: Tensor, threshold: float, generator: torch.Generator) -> int:
        """Move codes used less than `threshold` of an even share onto random latents; count."""
        dead = (self.usage < threshold).nonzero().flatten()
        pool = F.normalize(latents.float(), dim=1).permute(0, 2, 3, 1).flatten(0, 2)
        dead = dead[: len(pool)]
        if len(dead):
            chosen = torch.randperm(len(pool), generator=generator)[: len(dead)].to(pool.device)
            self.codes[dead] = pool[chosen].to(self.codes.dtype)
            self.usage[dead] = 1.0
        return len(dead)
