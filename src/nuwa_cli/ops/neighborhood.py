"""The neighborhood of 3D Nearby Attention: which positions a query may see.

The neighborhood of a position is a box around it, an odd number of cells wide on every axis, clipped
at the borders of the grid (never shifted, never wrapped: the wavefront schedule of `sampling` rests on
that). Three orders restrict it further:

    full    the whole box (encoders, cross-attention)
    causal  positions at or before the query in raster order (decoder layers from the second on)
    strict  positions before the query (the first decoder layer, whose keys are token contents)

This file holds the definition; `nearby_reference` reads it directly and the fast forms are tested
against that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.grid import GridShape, coordinates, map_coordinates

Order = Literal["full", "causal", "strict"]


@dataclass(frozen=True)
class Extent:
    """Full odd window widths (frames, rows, columns); 3 means the cell and one to each side."""

    frames: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if any(side < 1 or side % 2 == 0 for side in (self.frames, self.height, self.width)):
            raise UsageError(
                f"extent '{self.frames},{self.height},{self.width}': window widths are odd; "
                "give odd positive numbers"
            )

    @property
    def radius(self) -> tuple[int, int, int]:
        """Cells to each side on each axis."""
        return (self.frames // 2, self.height // 2, self.width // 2)

    def radius_within(self, grid: GridShape) -> tuple[int, int, int]:
        """The radius that can matter in `grid`: no axis reaches further than its last cell."""
        frames, height, width = self.radius
        return (
            min(frames, grid.frames - 1),
            min(height, grid.height - 1),
            min(width, grid.width - 1),
        )


def is_neighbor(center: Tensor, other: Tensor, extent: Extent, order: Order) -> Tensor:
    """Whether `other` lies in the neighborhood of `center`: (…, 3), (…, 3) → bool (…).

    Both are coordinates in the same grid; the leading axes broadcast.
    """
    delta = other - center
    radius = torch.tensor(extent.radius, device=delta.device)
    near = (delta.abs() <= radius).all(dim=-1)
    if order == "full":
        return near
    frame, row, column = delta.unbind(dim=-1)
    column_rule = column < 0 if order == "strict" else column <= 0
    earlier = (frame < 0) | ((frame == 0) & ((row < 0) | ((row == 0) & column_rule)))
    return near & earlier


def visible_mask(
    target: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    device: torch.device | None = None,
) -> Tensor:
    """The whole neighborhood relation as a bool mask (n, m), n = target and m = source tokens.

    Raises UsageError for a causal order between two different grids.
    """
    check_order(target, source, order)
    centers = map_coordinates(coordinates(target, device), target, source)
    others = coordinates(source, device)
    return is_neighbor(centers[:, None], others[None], extent, order)


def check_order(target: GridShape, source: GridShape, order: Order) -> None:
    """Refuse a causal order between two grids of different shape."""
    if order != "full" and target != source:
        raise UsageError(
            f"order '{order}': target {target} and source {source} differ; "
            "only attention of a grid to itself has an order"
        )
