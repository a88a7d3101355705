"""Decoder: position vectors and earlier token contents → hidden states.

Strict first layer: its queries know their position only (and the condition), its keys and values are
contents of strictly earlier neighbors plus one BOS slot. What is known before decoding starts may join
the position: the layout, and what the condition grid holds right under it. Later layers are ordinary causal 3DNA, the
position itself included. A hidden state therefore never sees its own token, and the prediction at a
position depends on nothing that is decoded in the same wave or later.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from nuwa_cli.config import NuwaConfig
from nuwa_cli.model.attention import CrossMemory
from nuwa_cli.model.blocks import DecoderBlock
from nuwa_cli.model.canvas import KnownNeighbors, NearestKnown
from nuwa_cli.model.embedding import PositionTables, compute_dtype
from nuwa_cli.model.encoder import EncodedCondition
from nuwa_cli.model.layout import LAYOUT_VOCAB
from nuwa_cli.ops.grid import GridShape, coordinates, grid_of, map_coordinates
from nuwa_cli.ops.nearby import Backend
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.ops.rotary import grid_rotary_table, rotary_table


class Decoder(nn.Module):
    """Causal 3D transformer over the target grid."""

    def __init__(self, config: NuwaConfig) -> None:
        super().__init__()
        dim = config.dim
        self.config = config
        self.content = nn.Embedding(config.visual_vocab, dim)
        self.layout = nn.Embedding(1 + LAYOUT_VOCAB, dim)  # row 0: no layout
        self.sketch = nn.Embedding(1 + config.sketch_vocab, dim)  # row 0: no class given here
        self.neighbors = KnownNeighbors(dim, config.num_heads)
        self.nearest = NearestKnown(dim)
        self.underlay = nn.Linear(dim, dim, bias=False)  # of the encoded cell under a position
        self.positions = PositionTables(
            config.max_frames, config.grid_height, config.grid_width, dim
        )
        self.blocks = nn.ModuleList(
            DecoderBlock(dim, config.num_heads, config.mlp_ratio)
            for _ in range(config.decoder_layers)
        )
        self.modulation = nn.Sequential(nn.Linear(dim, dim), nn.SiLU(), nn.Linear(dim, 4 * dim))
        self.norm = nn.LayerNorm(dim)
        self.extent = Extent(*config.extent)
        self.condition_extent = Extent(*config.condition_extent)

    @property
    def layers(self) -> list[DecoderBlock]:
        return cast("list[DecoderBlock]", list(self.blocks))

    def forward(
        self,
        target: Tensor,
        grid: GridShape,
        encoded: EncodedCondition,
        *,
        time_offset: int = 0,
        backend: Backend = "auto",
    ) -> Tensor:
        """Teacher-forced hidden states: (b, n) int64 → (b, n, d)."""
        positions = self.positions(grid, time_offset)
        places = coordinates(grid, positions.device)
        given = self.given_vectors(encoded, places, grid, time_offset, backend)
        if given is not None:
            positions = positions + given
        dtype = compute_dtype(positions)
        content = (self.content(target) + positions).to(dtype)
        x = positions.to(dtype).expand(target.shape[0], -1, -1)
        rotary = grid_rotary_table(grid, self.config.head_dim, dtype, x.device)
        shared = self.modulation(encoded.pooled)
        for index, block in enumerate(self.layers):
            x = block(
                x,
                rotary,
                shared,
                self.cross_memory(index, encoded),
                grid=grid,
                extent=self.extent,
                order="strict" if index == 0 else "causal",
                condition_extent=self.condition_extent,
                content=content if index == 0 else None,
                backend=backend,
            )
        hidden: Tensor = self.norm(x)
        return hidden

    def given_vectors(
        self,
        encoded: EncodedCondition,
        coords: Tensor,
        grid: GridShape,
        time_offset: int = 0,
        backend: Backend = "auto",
    ) -> Tensor | None:
        """What layout, sketch, canvas and encoded condition cells under some positions add to their
        vectors: coordinates (n, 3) of `grid` → (b, n, d), or None where nothing is given.

        Measured: through cross-attention alone a sketch was hardly followed after 500 steps; its
        tokens right under the position are what is learned at once. A hole has no token, but it has
        neighbors.
        """
        frame, row, column = coords.unbind(dim=1)
        parts = []
        if encoded.layout is not None:
            parts.append(self.layout(encoded.layout[:, frame, row, column] + 1))
        if encoded.grid is not None:
            frame, row, column = map_coordinates(coords, grid, encoded.grid).unbind(dim=1)
            if encoded.sketch is not None:
                cells = self.sketch(encoded.sketch[:, frame, row, column] + 1)
                is_given = (encoded.sketch >= 0).flatten(1).any(dim=1)
                parts.append(cells * is_given[:, None, None].to(cells.dtype))
            if encoded.canvas is not None:
                around, first = self._around_holes(encoded.canvas, frame, time_offset, backend)
                is_given = (encoded.canvas >= 0).flatten(1).any(dim=1)
                around = around[:, frame - first, row, column]
                parts.append(around * is_given[:, None, None].to(around.dtype))
            if encoded.cells is not None and encoded.present is not None:
                index = (frame * encoded.grid.height + row) * encoded.grid.width + column
                cells = self.underlay(encoded.cells[:, index])
                parts.append(cells * encoded.present[:, None, None].to(cells.dtype))
        return sum(parts[1:], parts[0]) if parts else None

    def _around_holes(
        self, canvas: Tensor, frames: Tensor, time_offset: int, backend: Backend
    ) -> tuple[Tensor, int]:
        """What the holes of some frames of a canvas are told of the intact cells around them,
        (b, t', h, w, d), and the first frame of the result. Of a long clip only what is needed."""
        reach = self.extent.frames // 2
        first = max(int(frames.min()) - reach, 0)
        part = canvas[:, first : int(frames.max()) + reach + 1]
        grid = grid_of(part)
        positions = self.positions(grid, first + time_offset)
        places = coordinates(grid, canvas.device)
        places[:, 0] += first
        rotary = rotary_table(places, self.config.head_dim, compute_dtype(positions))
        near = self.neighbors(
            part, self.content, positions, rotary, extent=self.extent, backend=backend
        )
        return near + self.nearest(part, self.content), first

    def cross_memory(self, index: int, encoded: EncodedCondition) -> CrossMemory:
        """Keys and values of the condition in layer `index`."""
        cross = self.layers[index].cross
        keys, values = cross.project_memory(encoded.slots)
        text = AlwaysVisible(keys, values, encoded.visible)
        if encoded.cells is None:
            return CrossMemory(text)
        cell_keys, cell_values = cross.project_memory(encoded.cells)
        return CrossMemory(text, encoded.grid, cell_keys, cell_values, encoded.present)
