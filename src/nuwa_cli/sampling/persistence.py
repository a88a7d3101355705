"""Persistence: what stands still in a clip is favored to go on standing there.

Every cell of a still background is drawn anew in every frame, and each draw may slip. So a number of nats
is added to the logit of the token that stood in the same cell one frame before. That cell belongs to an
earlier wave in any schedule, so wavefront and raster order still agree. Where a layout says that the
subject is, or just was, nothing is added: what moves shall move.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa_cli.model.layout import OUTSIDE
from nuwa_cli.ops.grid import GridShape


class Persistence:
    """The last token of every cell, and how strongly it is favored."""

    def __init__(
        self, nats: float, grid: GridShape, layout: Tensor | None, device: torch.device
    ) -> None:
        """`layout`: int64 (t, h, w), or None where nothing is known of a subject."""
        self.nats = nats
        self.last = torch.full((grid.height, grid.width), -1, dtype=torch.int64, device=device)
        self.is_background = None
        if layout is not None:
            outside = layout.to(device) <= OUTSIDE  # an absent layout (-1) says nothing: all is
            before = torch.cat((outside[:1], outside[:-1]))
            self.is_background = outside & before

    def favor(self, logits: Tensor, coords: Tensor) -> Tensor:
        """Logits (n, v) of the positions (n, 3), with those of the tokens before them raised."""
        if self.nats == 0.0:
            return logits
        frame, row, column = coords.unbind(dim=1)
        tokens = self.last[row, column]
        is_held = (tokens >= 0) & (frame > 0)
        if self.is_background is not None:
            is_held &= self.is_background[frame, row, column]
        bonus = is_held.to(logits.dtype)[:, None] * self.nats
        return logits.scatter_add(1, tokens.clamp(min=0)[:, None], bonus)

    def keep(self, coords: Tensor, tokens: Tensor) -> None:
        """Remember the tokens (n,) that were drawn at positions (n, 3)."""
        _, row, column = coords.unbind(dim=1)
        self.last[row, column] = tokens
