"""Self- and cross-attention of the 3D encoder-decoder, as modules around `ops.nearby`.

Self-attention turns queries and keys by the axial rotary embedding. In the strict first layer queries
come from one stream (positions) and keys and values from another (token contents). Cross-attention has
one softmax over all text slots and, if there is a condition grid, the 3DNA neighborhood in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby import Backend, attend_slots, nearby_attention
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.neighborhood import Extent, Order
from nuwa_cli.ops.products import joint_product
from nuwa_cli.ops.rotary import rotate, split_rotated

Rotary = tuple[Tensor, Tensor]
"""Cosine and signed sine of some positions, each (n, c)."""


def split_heads(x: Tensor, parts: int, num_heads: int) -> Tensor:
    """Fused projections apart: (b, n, parts·d) → (b, n, parts, heads, c)."""
    return x.reshape(*x.shape[:-1], parts, num_heads, -1)


class SelfAttention(nn.Module):
    """Fused projections, rotary embedding, attention, output projection."""

    def __init__(self, dim: int, num_heads: int, *, has_bos: bool) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)
        self.bos = nn.Parameter(torch.empty(2, num_heads, dim // num_heads)) if has_bos else None

    def project(self, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys, values of one stream: (b, n, d) → three (b, heads, n, c)."""
        return split_rotated(split_heads(self.qkv(x), 3, self.num_heads), *rotary)

    def project_query(self, x: Tensor, rotary: Rotary) -> Tensor:
        """Queries alone: (b, n, d) → (b, heads, n, c)."""
        dim = x.shape[-1]
        q = split_heads(F.linear(x, self.qkv.weight[:dim]), 1, self.num_heads)[:, :, 0]
        return rotate(q.transpose(1, 2), *rotary)

    def project_content(
        self, x: Tensor, rotary: Rotary, *, items: int = 1
    ) -> tuple[Tensor, Tensor]:
        """Keys and values alone: (b, n, d) of so many items → two (b, heads, n, c)."""
        dim = x.shape[-1]
        projected = joint_product(x, self.qkv.weight[dim:], None, items)
        k, v = split_heads(projected, 2, self.num_heads).unbind(2)
        return rotate(k.transpose(1, 2), *rotary), v.transpose(1, 2)

    def bos_slot(self) -> AlwaysVisible | None:
        """The learned key and value that every position sees; None in the encoder."""
        if self.bos is None:
            return None
        key, value = self.bos[:, None, :, None]  # each (1, heads, 1, c)
        return AlwaysVisible(key, value)

    def forward(
        self,
        x: Tensor,
        rotary: Rotary,
        *,
        grid: GridShape,
        extent: Extent,
        order: Order,
        content: Tensor | None = None,
        backend: Backend = "auto",
    ) -> Tensor:
        """3DNA of a grid to itself: (b, n, d) → (b, n, d).

        With `content` (b, n, d), keys and values come from there and only queries from x.
        """
        if content is None:
            q, k, v = self.project(x, rotary)
        else:
            q = self.project_query(x, rotary)
            k, v = self.project_content(content, rotary)
        attended = nearby_attention(
            q,
            k,
            v,
            grid=grid,
            extent=extent,
            order=order,
            always=self.bos_slot(),
            backend=backend,
        )
        return self.merge(attended)

    def attend_text(self, x: Tensor, rotary: Rotary, visible: Tensor) -> Tensor:
        """Every slot of a text to every visible slot: (b, n, d), bool (b, n) → (b, n, d)."""
        q, k, v = self.project(x, rotary)
        return self.merge(attend_slots(q, AlwaysVisible(k, v, visible)))

    def merge(self, attended: Tensor) -> Tensor:
        """Heads back to model width, through the output projection."""
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged


@dataclass(frozen=True)
class CrossMemory:
    """Keys and values of an encoded condition in one layer."""

    text: AlwaysVisible  # (b, heads, length, c), with its mask
    grid: GridShape | None = None
    keys: Tensor | None = None  # (b, heads, m, c)
    values: Tensor | None = None
    present: Tensor | None = None  # bool (b,)


class CrossAttention(nn.Module):
    """From the target to the whole text and to the neighborhood in the condition grid."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim, bias=False)
        self.keys_values = nn.Linear(dim, 2 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def project_query(self, x: Tensor) -> Tensor:
        """(b, n, d) → (b, heads, n, c)."""
        return split_heads(self.query(x), 1, self.num_heads)[:, :, 0].transpose(1, 2)

    def project_memory(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of condition vectors: (b, m, d) → two (b, heads, m, c)."""
        k, v = split_heads(self.keys_values(x), 2, self.num_heads).unbind(dim=2)
        return k.transpose(1, 2), v.transpose(1, 2)

    def forward(
        self,
        x: Tensor,
        memory: CrossMemory,
        *,
        grid: GridShape,
        extent: Extent,
        backend: Backend = "auto",
    ) -> Tensor:
        """(b, n, d) → (b, n, d)."""
        q = self.project_query(x)
        if memory.grid is None or memory.keys is None or memory.values is None:
            attended = attend_slots(q, memory.text)
        else:
            attended = nearby_attention(
                q,
                memory.keys,
                memory.values,
                grid=grid,
                source=memory.grid,
                extent=extent,
                order="full",
                always=memory.text,
                present=memory.present,
                backend=backend,
            )
        return self.merge(attended)

    def merge(self, attended: Tensor) -> Tensor:
        """Heads back to model width, through the output projection."""
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged
