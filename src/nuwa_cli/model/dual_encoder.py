"""The text-image dual encoder: how well does a picture fit a prompt? Used to re-rank candidates, and to see
which place a picture without words shows a part of.

Two towers put a text and a picture on one unit sphere; their cosine is the score. The paper
re-ranks 60 candidates with CLIP; ours is trained on the storybook world by the same symmetric
contrastive loss and plays the same part behind `--best-of`. It never judges results: evaluation
has nets of its own, or best-of-N would optimise its own examiner.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.config import DualEncoderConfig
from nuwa_cli.model.convnet import ConvTrunk, shrink

__all__ = ["DualEncoder", "DualEncoderConfig", "contrastive_loss"]

_FIRST_SCALE = math.log(1 / 0.07)
_MAX_SCALE = math.log(100.0)


class DualEncoder(nn.Module):
    """Text tower and image tower into one space of `joint_dim` dimensions."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.text = TextTower(config)
        self.image = ImageTower(config)
        self.logit_scale = nn.Parameter(torch.tensor(_FIRST_SCALE))

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Text tokens (b, L) int64 → unit vectors (b, joint_dim); an empty row → zeros."""
        return F.normalize(self.text(tokens).float(), dim=-1)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Pixels (b, 3, H, W) in [-1, 1], any size → unit vectors (b, joint_dim)."""
        return F.normalize(self.image(pixels).float(), dim=-1)

    def forward(self, tokens: Tensor, pixels: Tensor) -> Tensor:
        """Scaled similarities (texts, pictures) for the contrastive loss."""
        scale = self.logit_scale.clamp(max=_MAX_SCALE).exp()
        return scale * self.encode_text(tokens) @ self.encode_image(pixels).T

    @torch.no_grad()
    def score(self, text_tokens: Tensor, pixels: Tensor) -> Tensor:
        """Cosine (n,) of one prompt (1, L) with pictures (n, 3, H, W) in [-1, 1]. For clips pass
        the frames and average their scores, as CLIPSIM does. The model must be in eval mode."""
        return self.encode_image(pixels) @ self.encode_text(text_tokens)[0]


class TextTower(nn.Module):
    """BPE tokens (b, L) → (b, joint_dim): a small transformer, mean over the visible tokens."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        dim = config.text_dim
        self.token_table = nn.Embedding(config.text_vocab, dim)
        self.position_table = nn.Parameter(torch.randn(config.max_text_len, dim) * 0.02)
        self.layers = nn.ModuleList(
            TextLayer(dim, config.num_heads) for _ in range(config.text_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.project = nn.Linear(dim, config.joint_dim, bias=False)
        nn.init.normal_(self.token_table.weight, std=0.05)

    def forward(self, tokens: Tensor) -> Tensor:
        visible = tokens != 0
        length = max(int(visible.sum(1).max()), 1) if len(tokens) else 1
        tokens, visible = tokens[:, :length], visible[:, :length]
        hidden = self.token_table(tokens) + self.position_table[:length]
        # A row without any text would divide zero by zero; it looks at its padding instead, and
        # the mean below leaves it out.
        mask = visible | ~visible.any(1, keepdim=True)
        for layer in self.layers:
            hidden = layer(hidden, mask[:, None, None, :])
        weights = visible.unsqueeze(-1).to(hidden.dtype)
        mean = (self.norm(hidden) * weights).sum(1) / weights.sum(1).clamp(min=1)
        vector: Tensor = self.project(mean)
        return vector


class TextLayer(nn.Module):
    """Pre-norm self-attention over the visible tokens, then a two-layer perceptron."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim)
        self.to_out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, 2 * dim), nn.GELU(), nn.Linear(2 * dim, dim)
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        qkv = self.to_qkv(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (b, heads, L, head_dim)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.to_out(mixed.transpose(1, 2).flatten(2))
        result: Tensor = x + self.mlp(x)
        return result


class ImageTower(nn.Module):
    """Pictures (b, 3, H, W) → (b, joint_dim)."""

    def __init__(self, config: DualEncoderConfig) -> None:
        super().__init__()
        self.image_size = config.image_size
        self.trunk = ConvTrunk(3, config.widths, config.depths)
        self.project = nn.Linear(self.trunk.out_channels, config.joint_dim, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        small = shrink(pixels.float(), self.image_size).to(self.project.weight.dtype)
        vector: Tensor = self.project(self.trunk(small).mean((2, 3)))
        return vector


def contrastive_loss(logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE of similarities (b, b), whose diagonal holds the true pairs.

    `labels` (b,) int64 marks pairs that depict the same thing: two pictures of a fox on a beach
    are no negatives of each other, and are left out of the denominators.
    """
    batch = len(logits)
    target = torch.arange(batch, device=logits.device)
    if labels is not None:
        same = (labels[:, None] == labels[None, :]) & (target[:, None] != target[None, :])
        logits = logits.masked_fill(same, float("-inf"))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
