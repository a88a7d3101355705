"""Token grids: shapes, raster order, and the map from one grid to another.

Everything the model reads or writes is a grid of tokens. The paper writes its shape h × w × s; here
the order is always (frames, height, width), and a flat sequence is in raster order: frame-major, then
row, then column. `map_coordinates` is the paper's i' = ⌊i·h'/h⌋ (and likewise for columns and frames),
which says where the neighborhood of a target position lies in a condition grid of another shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.errors import UsageError


@dataclass(frozen=True)
class GridShape:
    """Shape of a token grid: frames × height × width."""

    frames: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.frames, self.height, self.width) < 1:
            raise UsageError(f"grid '{self}': every side must be at least 1; give a larger grid")

    def __str__(self) -> str:
        return f"{self.frames}x{self.height}x{self.width}"

    @property
    def num_tokens(self) -> int:
        return self.frames * self.height * self.width

    @property
    def tokens_per_frame(self) -> int:
        return self.height * self.width

    @property
    def sides(self) -> tuple[int, int, int]:
        return (self.frames, self.height, self.width)


def grid_of(tokens: Tensor) -> GridShape:
    """The grid of a token tensor (b, t, h, w)."""
    if tokens.ndim != 4:
        raise UsageError(f"tokens of shape {tuple(tokens.shape)}: not (b, t, h, w); add the axes")
    return GridShape(*tokens.shape[1:])


def coordinates(grid: GridShape, device: torch.device | None = None) -> Tensor:
    """(frame, row, column) of every token in raster order: int64 (n, 3)."""
    index = torch.arange(grid.num_tokens, device=device)
    column = index % grid.width
    row = index // grid.width % grid.height
    frame = index // grid.tokens_per_frame
    return torch.stack((frame, row, column), dim=1)


def map_coordinates(coords: Tensor, target: GridShape, source: GridShape) -> Tensor:
    """Where positions of `target` lie in `source`: ⌊i·h'/h⌋ on each axis. (…, 3) → (…, 3)."""
    source_sides = torch.tensor(source.sides, device=coords.device)
    target_sides = torch.tensor(target.sides, device=coords.device)
    return coords * source_sides // target_sides
