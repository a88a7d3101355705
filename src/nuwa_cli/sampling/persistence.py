"""Persistence: what a frame shows is favored to be there still, or to have moved on as planned.

Every cell is drawn anew in every frame, and each draw may slip. So a number of nats is added to the logit
of a token of the frame before: in a still background that of the same cell; inside the box of a layout
that of the cell from which the box has moved here. Either lies within the attention window of the
position, hence in an earlier wave in any schedule: wavefront and raster order still agree.

A box holds more than its subject, and it moves on. So what was last seen of the background in a cell is favored
as well, beside the subject inside the box and where the box uncovers it; what was never seen is left to the model. A
cell is drawn frame by frame in any schedule, so this, too, is known in time.

A caller who knows more, what a long clip looked like when it began, names a token for each position
(`Expectation`), favored in the same way: known before decoding, so wavefront-exact by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.model.layout import OUTSIDE
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.neighborhood import Extent

_RING = 3  # frames of tokens kept: within the window no frame is more than one ahead


@dataclass(frozen=True)
class Expectation:
    """Tokens that are likely to stand at their places, and how strongly they are favored."""

    tokens: Tensor  # int64 (t, h, w), -1 = none
    nats: float


class Persistence:
    """The tokens of the last frames, and how strongly they are favored."""

    def __init__(
        self,
        nats: float,
        grid: GridShape,
        layout: Tensor | None,
        extent: Extent,
        device: torch.device,
        expected: Expectation | None = None,
    ) -> None:
        """`layout`: int64 (t, h, w), or None where nothing is known of a subject."""
        self.expected = expected
        # a model that looks at no earlier frame may decode it in the same wave
        self.nats = nats if extent.frames > 1 else 0.0
        self.grid = grid
        self.tokens = torch.zeros(
            (_RING, grid.height, grid.width), dtype=torch.int64, device=device
        )
        self.background = torch.full((grid.height, grid.width), -1, device=device)
        self.layout = None if layout is None else layout.to(device)
        if self.layout is not None and self.nats:
            reach = (extent.height // 2, extent.width // 2)
            self.shift = _shifts(self.layout, reach)

    def favor(self, logits: Tensor, coords: Tensor) -> Tensor:
        """Logits (n, v) of the positions (n, 3), with those of the tokens before them, and of expected
        ones, raised."""
        frame, row, column = coords.unbind(dim=1)
        if self.expected is not None:
            tokens = self.expected.tokens.to(logits.device)[frame, row, column, None]
            raised = (tokens >= 0).to(logits.dtype) * self.expected.nats
            logits = logits.scatter_add(1, tokens.clamp(min=0), raised)
        if self.nats == 0.0:
            return logits
        is_held = frame > 0
        before = (frame - 1).clamp(min=0)
        seen = self.background[row, column]
        if self.layout is not None:
            inside = self.layout[frame, row, column] > OUTSIDE
            shift = self.shift[frame] * inside[:, None]
            row, column = row - shift[:, 0], column - shift[:, 1]
            is_held &= (row >= 0) & (row < self.grid.height)
            is_held &= (column >= 0) & (column < self.grid.width)
            row, column = row.clamp(0, self.grid.height - 1), column.clamp(0, self.grid.width - 1)
            is_held &= (self.layout[before, row, column] > OUTSIDE) == inside
        moved = self.tokens[before % _RING, row, column]
        is_seen = (seen >= 0) & ~(is_held & (seen == moved))
        tokens = torch.stack([moved, seen.clamp(min=0)], dim=1)
        bonus = torch.stack([is_held, is_seen], dim=1).to(logits.dtype) * self.nats
        return logits.scatter_add(1, tokens, bonus)

    def keep(self, coords: Tensor, tokens: Tensor) -> None:
        """Remember the tokens (n,) that were drawn at positions (n, 3)."""
        frame, row, column = coords.unbind(dim=1)
        self.tokens[frame % _RING, row, column] = tokens
        if self.layout is not None:
            outside = self.layout[frame, row, column] <= OUTSIDE
            self.background[row[outside], column[outside]] = tokens[outside]


def _shifts(layout: Tensor, reach: tuple[int, int]) -> Tensor:
    """Whole cells that the box of a layout (t, h, w) moves into each frame: int64 (t, 2), rows and
    columns; what does not fit into the window (`reach`) is not followed."""
    sides = []
    for dim, limit in ((2, reach[0]), (1, reach[1])):
        line = (layout > OUTSIDE).any(dim=dim)  # (t, cells)
        places = torch.arange(line.shape[1], device=layout.device)
        center = (line * places).sum(dim=1) / line.sum(dim=1).clamp(min=1)
        cell = (center + 0.5).floor().long()
        steps = cell.diff(prepend=cell[:1])
        sides.append(steps * (steps.abs() <= limit))
    return torch.stack(sides, dim=1)
