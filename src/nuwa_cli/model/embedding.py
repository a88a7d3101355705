"""Positions and token contents as vectors.

The paper adds three independent learned tables, one per axis. Frames beyond the time table share its
last row, so a clip may outlast the training clips; the rotary embedding inside attention still tells
neighboring frames apart there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.grid import GridShape, coordinates


class PositionTables(nn.Module):
    """Learned position vectors: one table per axis, summed."""

    def __init__(self, max_frames: int, height: int, width: int, dim: int) -> None:
        super().__init__()
        self.time = nn.Parameter(torch.empty(max_frames, dim))
        self.row = nn.Parameter(torch.empty(height, dim))
        self.column = nn.Parameter(torch.empty(width, dim))

    def forward(self, grid: GridShape, time_offset: int = 0) -> Tensor:
        """Vectors of every token of `grid` in raster order: (1, n, d).

        Raises UsageError for a grid with more rows or columns than the tables have.
        """
        if grid.height > self.row.shape[0] or grid.width > self.column.shape[0]:
            raise UsageError(
                f"grid '{grid}': the model knows {self.row.shape[0]}x{self.column.shape[0]} "
                "positions; give a smaller grid"
            )
        frames = torch.arange(grid.frames, device=self.time.device) + time_offset
        time = self.time[frames.clamp(max=self.time.shape[0] - 1)]
        plane = self.row[: grid.height, None] + self.column[None, : grid.width]
        return (time[:, None, None] + plane).flatten(0, 2)[None]

    def at(self, coords: Tensor) -> Tensor:
        """Vectors of single positions: (n, 3) frame, row, column → (1, n, d)."""
        frame, row, column = coords.unbind(dim=1)
        time = self.time[frame.clamp(max=self.time.shape[0] - 1)]
        return (time + (self.row[row] + self.column[column]))[None]


class ConditionGridEmbedding(nn.Module):
    """Sketch and partial canvas of one grid as one vector per cell.

    Each has its own table, whose last row stands for a cell that is not given (for the canvas the
    mask vector of a hole), and a kind vector added to all cells of a sample that has it at all.
    """

    def __init__(
        self, sketch_vocab: int, visual_vocab: int, positions: PositionTables, dim: int
    ) -> None:
        super().__init__()
        self.sketch = nn.Embedding(sketch_vocab + 1, dim)
        self.canvas = nn.Embedding(visual_vocab + 1, dim)
        self.kind = nn.Parameter(torch.empty(2, dim))
        self.positions = positions

    def forward(
        self,
        grid: GridShape,
        sketch: Tensor | None,
        canvas: Tensor | None,
        time_offset: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Cell vectors (b, m, d), and whether each sample has any grid, bool (b,)."""
        total = self.positions(grid, time_offset)
        anything = None
        for kind, (table, tokens) in enumerate(((self.sketch, sketch), (self.canvas, canvas))):
            if tokens is None:
                continue
            flat = tokens.flatten(1)
            present = (flat >= 0).any(dim=1)
            rows = torch.where(flat >= 0, flat, table.num_embeddings - 1)
            vectors = table(rows) + self.kind[kind]
            total = total + vectors * present[:, None, None].to(vectors.dtype)
            anything = present if anything is None else anything | present
        assert anything is not None
        return total, anything


def compute_dtype(x: Tensor) -> torch.dtype:
    """The dtype that layers compute in: autocast's where it is on, else that of x.

    The residual stream is kept in it too: on a CPU, casting back and forth around every layer costs
    as much as a third of the matrix products.
    """
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def text_coordinates(length: int, device: torch.device) -> Tensor:
    """Text is a grid of 1 × 1 × length in the paper: positions run along time. (length, 3)."""
    return coordinates(GridShape(length, 1, 1), device)
