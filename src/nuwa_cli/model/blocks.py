"""Layers of the encoder and of the decoder: pre-norm, residual, one sub-layer after another."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa_cli.model.attention import CrossAttention, CrossMemory, Rotary, SelfAttention
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby import Backend
from nuwa_cli.ops.neighborhood import Extent, Order


class FeedForward(nn.Module):
    """Two linear layers with a GELU between them.

    The exact GELU, not its tanh form: on a CPU the latter costs more than the matrix products.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.expand = nn.Linear(dim, hidden, bias=False)
        self.contract = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.contract(F.gelu(self.expand(x)))
        return result


class EncoderBlock(nn.Module):
    """Self-attention and feed-forward over a text or over a condition grid, with the same weights."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads, has_bos=False)
        self.mlp_norm = nn.LayerNorm(dim)
        self.mlp = FeedForward(dim, mlp_ratio * dim)

    def text(self, x: Tensor, rotary: Rotary, visible: Tensor) -> Tensor:
        """(b, length, d), bool (b, length) → (b, length, d)."""
        x = x + self.attention.attend_text(self.attention_norm(x), rotary, visible)
        return x + self._mlp(x)

    def grid(
        self, x: Tensor, rotary: Rotary, *, grid: GridShape, extent: Extent, backend: Backend
    ) -> Tensor:
        """(b, m, d) → (b, m, d)."""
        x = x + self.attention(
            self.attention_norm(x),
            rotary,
            grid=grid,
            extent=extent,
            order="full",
            backend=backend,
        )
        return x + self._mlp(x)

    def _mlp(self, x: Tensor) -> Tensor:
        result: Tensor = self.mlp(self.mlp_norm(x))
        return result


class DecoderBlock(nn.Module):
    """Causal 3DNA, cross-attention and feed-forward, modulated by the pooled text.

    The shift and scale of both modulated norms are the shared vector of the whole model plus this
    layer's own learned offset.
    """

    def __init__(self, dim: int, num_heads: int, mlp_ratio: int) -> None:
        super().__init__()
        self.dim = dim
        self.attention = SelfAttention(dim, num_heads, has_bos=True)
        self.cross_norm = nn.LayerNorm(dim)
        self.cross = CrossAttention(dim, num_heads)
        self.mlp = FeedForward(dim, mlp_ratio * dim)
        self.modulation = nn.Parameter(torch.empty(4 * dim))

    def modulations(self, shared: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Shift and scale for attention, then for the feed-forward: (b, 4d) → four (b, 1, d)."""
        total = (shared + self.modulation.to(shared.dtype))[:, None]
        shift_attention, scale_attention, shift_mlp, scale_mlp = total.chunk(4, dim=-1)
        return shift_attention, 1 + scale_attention, shift_mlp, 1 + scale_mlp

    def forward(
        self,
        x: Tensor,
        rotary: Rotary,
        shared: Tensor,
        memory: CrossMemory,
        *,
        grid: GridShape,
        extent: Extent,
        order: Order,
        condition_extent: Extent,
        content: Tensor | None = None,
        backend: Backend = "auto",
    ) -> Tensor:
        """(b, n, d) → (b, n, d). With `content`, keys and values of 3DNA come from there."""
        shift_attention, scale_attention, shift_mlp, scale_mlp = self.modulations(shared)
        if content is not None:
            content = self.modulate(content, shift_attention, scale_attention)
        x = x + self.attention(
            self.modulate(x, shift_attention, scale_attention),
            rotary,
            grid=grid,
            extent=extent,
            order=order,
            content=content,
            backend=backend,
        )
        x = x + self.cross(
            self.cross_norm(x), memory, grid=grid, extent=condition_extent, backend=backend
        )
        mlp: Tensor = self.mlp(self.modulate(x, shift_mlp, scale_mlp))
        return x + mlp

    def modulate(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """Layer norm without its own weights, then scale and shift."""
        return torch.addcmul(shift, F.layer_norm(x, (self.dim,)), scale)
