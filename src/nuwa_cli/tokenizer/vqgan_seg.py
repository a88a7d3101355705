"""VQ-GAN-Seg: segmentation sketches ↔ tokens (paper §3.1: the same network over one-hot class maps).

    classes (b, H, W) ─ nearest pixel, one-hot ─ VQ-GAN ─ tokens (b, h, w) ─ logits ─ classes

Sketches come at any size; the network has its own, smaller than that of pictures, because a class map
says less than a painting.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.tokenizer.vqgan import VQGAN


class VQGANSeg(VQGAN):
    """A `VQGAN` whose channels are sketch classes (`sketches.palette`)."""

    @torch.no_grad()
    def encode_classes(self, classes: Tensor) -> Tensor:
        """Class ids (b, H, W), any size, uint8 or int64 → tokens (b, h, w) int64."""
        return self.encode(self.one_hot(resize(classes, self.config.image_size)))

    @torch.no_grad()
    def decode_classes(self, tokens: Tensor) -> Tensor:
        """Tokens (b, h, w) int64 → class ids (b, S, S) uint8, S = `config.image_size`."""
        codes = self._as_weights(self.codebook.lookup(tokens))
        classes: Tensor = self.decoder(codes).argmax(dim=1).to(torch.uint8)
        return classes

    def one_hot(self, classes: Tensor) -> Tensor:
        """Class ids (b, S, S) → (b, c, S, S) of zeros and ones, as the network takes them."""
        planes = F.one_hot(classes.long(), self.config.in_channels)
        return planes.permute(0, 3, 1, 2).to(self.decoder.refine.weight.dtype)


def resize(classes: Tensor, size: int) -> Tensor:
    """The class at the middle of each of `size` x `size` pixels: (…, H, W) → (…, size, size)."""
    rows, columns = (
        ((torch.arange(size, device=classes.device) + 0.5) * (side / size)).long()
        for side in classes.shape[-2:]
    )
    return classes[..., rows[:, None], columns]
