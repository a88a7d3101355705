"""The adversary of the tokenizer: a patch discriminator, and its features as a perceptual term.

No downloaded network judges our pictures. The discriminator (hinge loss, patches of about 40
pixels) supplies both the adversarial term and, by matching its inner features between picture and
reconstruction, the CNN-feature term of the paper (eq. 4) with features that we trained ourselves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Pixels (b, c, H, W) → one logit per patch (b, 1, H/16, W/16), and the features before it."""

    def __init__(self, in_channels: int = 3, width: int = 48) -> None:
        super().__init__()
        self.stem = spectral_norm(nn.Conv2d(in_channels * 16, width, 3, padding=1))
        self.layers = nn.ModuleList(
            [
                spectral_norm(nn.Conv2d(width, width * 2, 4, stride=2, padding=1)),
                spectral_norm(nn.Conv2d(width * 2, width * 4, 4, stride=2, padding=1)),
            ]
        )
        self.head = nn.Conv2d(width * 4, 1, 3, padding=1)

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        x = F.leaky_relu(self.stem(F.pixel_unshuffle(pixels, 4)), 0.2)
        features = [x]
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            features.append(x)
        return self.head(x), features


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Hinge loss of the discriminator, a scalar."""
    return F.relu(1.0 - real_logits.float()).mean() + F.relu(1.0 + fake_logits.float()).mean()


def feature_loss(real: list[Tensor], fake: list[Tensor]) -> Tensor:
    """Mean absolute difference of features, each layer scaled to the size of the real ones."""
    terms = [
        (f.float() - r.detach().float()).abs().mean() / (r.detach().float().abs().mean() + 1e-6)
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(terms).mean()
