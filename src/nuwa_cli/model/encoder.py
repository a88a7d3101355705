"""Encoder: one stack, the same weights for every kind of condition.

The paper's encoder is L layers of 3DNA over the condition C, whatever C is. A text row is attended whole
(extent 1 × 1 × ∞), and so are the few patches of a canvas's pixels; a grid of sketch and canvas tokens
goes through non-causal 3DNA.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from nuwa_cli.config import NuwaConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.model.blocks import EncoderBlock
from nuwa_cli.model.canvas import PixelPatches
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.embedding import (
    ConditionGridEmbedding,
    PositionTables,
    compute_dtype,
    text_coordinates,
)
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby import Backend
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.ops.rotary import grid_rotary_table, rotary_table

_TEXT_STEP = 8  # texts are cut to a multiple of this, so that few different lengths occur


@dataclass(frozen=True)
class EncodedCondition:
    """What the decoder reads: slots, the mean of all there is, cells of the condition grid."""

    slots: Tensor  # (b, length, d): text, then pixel patches
    visible: Tensor  # bool (b, length)
    pooled: Tensor  # (b, d)
    grid: GridShape | None = None
    cells: Tensor | None = None  # (b, m, d)
    present: Tensor | None = None  # bool (b,): whether a sample has a grid at all
    sketch: Tensor | None = None  # int64 (b, t, h, w) of the condition grid, passed through
    canvas: Tensor | None = None  # the same
    layout: Tensor | None = None  # int64 (b, t, h, w) on the target's grid, passed through


class Encoder(nn.Module):
    """Condition tokens → encoded condition."""

    def __init__(self, config: NuwaConfig) -> None:
        super().__init__()
        dim = config.dim
        self.config = config
        self.text = nn.Embedding(config.text_vocab, dim)
        self.text_positions = nn.Parameter(torch.empty(config.max_text_len, dim))
        self.grid_embedding = ConditionGridEmbedding(
            config.sketch_vocab,
            config.visual_vocab,
            PositionTables(config.max_frames, config.grid_height, config.grid_width, dim),
            dim,
        )
        self.pixels = PixelPatches(config.grid_height, config.grid_width, dim)
        self.blocks = nn.ModuleList(
            EncoderBlock(dim, config.num_heads, config.mlp_ratio)
            for _ in range(config.encoder_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.summary = nn.Linear(
            dim, dim, bias=False
        )  # of a grid: its cells' mean joins the text's
        self.extent = Extent(*config.condition_extent)

    @property
    def layers(self) -> list[EncoderBlock]:
        return cast("list[EncoderBlock]", list(self.blocks))

    def forward(self, condition: Condition, backend: Backend = "auto") -> EncodedCondition:
        """Encode every condition of a batch.

        Raises UsageError for a text longer than the model's or a grid larger than its tables.
        """
        text, visible = self._encode_text(condition.text)
        weight = visible[:, :, None].to(text.dtype)
        pooled = (text * weight).sum(dim=1) / weight.sum(dim=1)
        grid = condition.grid
        if grid is None:
            return EncodedCondition(text, visible, pooled, layout=condition.layout)
        cells, present = self._encode_grid(condition, grid, backend)
        # windows are small: without it the first rows would choose a place that the last forbid
        summary = self.summary(cells.mean(dim=1)) * present[:, None].to(cells.dtype)
        pooled = pooled + summary
        if condition.pixels is not None:
            patches, shown = self._encode_pixels(condition.pixels)
            text, visible = torch.cat((text, patches), dim=1), torch.cat((visible, shown), dim=1)
        return EncodedCondition(
            text,
            visible,
            pooled,
            grid,
            cells,
            present,
            condition.sketch,
            condition.canvas,
            condition.layout,
        )

    def _encode_text(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        if tokens.shape[1] > self.config.max_text_len:
            raise UsageError(
                f"text of {tokens.shape[1]} tokens: the model reads {self.config.max_text_len}; "
                "cut it"
            )
        visible = tokens != 0
        # an empty row shows its first slot, whose token 0 is embedded as the learned null vector
        visible[:, 0] |= ~visible.any(dim=1)
        used = int(visible.any(dim=0).nonzero().max()) + 1
        length = min(-(-used // _TEXT_STEP) * _TEXT_STEP, tokens.shape[1])
        tokens, visible = tokens[:, :length], visible[:, :length]
        x = self.text(tokens) + self.text_positions[:length]
        x = x.to(compute_dtype(x))
        positions = text_coordinates(length, x.device)
        rotary = rotary_table(positions, self.config.head_dim, x.dtype)
        for block in self.layers:
            x = block.text(x, rotary, visible)
        return self.norm(x), visible

    def _encode_pixels(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Slots of the patches (b, p, d), and which of them show anything, bool (b, p)."""
        x, visible, places = self.pixels(pixels, self.grid_embedding.positions)
        x = x.to(compute_dtype(x))
        rotary = rotary_table(places, self.config.head_dim, x.dtype)
        # a sample without any pixels looks at its first patch, and nobody looks at the result
        looked_at = visible.clone()
        looked_at[:, 0] |= ~visible.any(dim=1)
        for block in self.layers:
            x = block.text(x, rotary, looked_at)
        return self.norm(x), visible

    def _encode_grid(
        self, condition: Condition, grid: GridShape, backend: Backend
    ) -> tuple[Tensor, Tensor]:
        x, present = self.grid_embedding(
            grid, condition.sketch, condition.canvas, condition.first_frame
        )
        x = x.to(compute_dtype(x))
        rotary = grid_rotary_table(grid, self.config.head_dim, x.dtype, x.device)
        for block in self.layers:
            x = block.grid(x, rotary, grid=grid, extent=self.extent, backend=backend)
        return self.norm(x), present
