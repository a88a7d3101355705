"""What a partial canvas says to the decoder (NÜWA-LIP's perspectives, arXiv 2202.05009).

The encoder sees the tokens of all intact cells through 3DNA, whichever side of the hole they lie on.
Three things join them, since the causal order alone never shows what is right of or below a hole:
`KnownNeighbors`, 3DNA from each cell of a hole to all the intact cells in its window, on every side;
`NearestKnown`, the nearest intact token to the left, right, above and below, however far, with its
distance; and `PixelPatches`, low-level pixels of the intact area as a few slots that every position sees,
so that light and colours count. The first two become part of the position.

All of it is known before a token is drawn, so wavefront decoding stays exact.

Measured: with the encoder, nearest tokens and pixels alone, 500 steps hardly taught the decoder to look
at the right of a hole. `KnownNeighbors` can begin as a copy of the decoder's first layer, which knows
already how to read the contents of neighbors; it only learns that there are some on the other sides.
In the shipped weights it has fallen silent since: all heads look at their BOS slot alone, and every hole
is told the same (17,781 cells of 100 pictures), so that nearest tokens, encoder and pixels tell what they
tell without it. Begun anew with random values it falls silent within 100 steps at a learning rate of
2e-3, and stays awake at 3e-4; in 420 such steps holes became no better.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa_cli.model.attention import Rotary, SelfAttention
from nuwa_cli.model.embedding import PositionTables, compute_dtype
from nuwa_cli.ops.grid import GridShape, coordinates, grid_of
from nuwa_cli.ops.nearby import Backend
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.ops.samples import SAMPLES

_CHANNELS = 4  # red, green, blue, and the share that is known
_SIDES = 4
_MAX_DISTANCE = 16  # cells; what is farther counts as this far


class KnownNeighbors(nn.Module):
    """3DNA from the holes of a canvas to its intact cells, in every direction."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads, has_bos=True)
        self.hole = nn.Parameter(torch.empty(dim))  # the content of a cell that is not known

    def forward(
        self,
        canvas: Tensor,
        content: nn.Embedding,
        positions: Tensor,
        rotary: Rotary,
        *,
        extent: Extent,
        backend: Backend,
    ) -> Tensor:
        """int64 (b, t, h, w), -1 = hole → (b, t, h, w, d); zero at known cells. `content` embeds tokens,
        `positions` (1, n, d) and
        `rotary` are those of the cells."""
        grid, is_hole = grid_of(canvas), (canvas < 0).flatten(1)[..., None]
        contents = torch.where(is_hole, self.hole, content(canvas.flatten(1).clamp(min=0)))
        told = self.norm(contents + positions)
        asking = self.norm(positions).expand_as(told)
        dtype = compute_dtype(told)
        attended = self.attention(
            asking.to(dtype),
            rotary,
            grid=grid,
            extent=extent,
            order="full",
            content=told.to(dtype),
            backend=backend,
        )
        return (attended * is_hole.to(attended.dtype)).unflatten(1, grid.sides)


class NearestKnown(nn.Module):
    """Holes of a canvas → vectors of the nearest known tokens on four sides."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(_SIDES * dim, dim, bias=False)
        self.distance = nn.Parameter(torch.empty(_SIDES, _MAX_DISTANCE + 1, dim))

    def forward(self, canvas: Tensor, content: nn.Embedding) -> Tensor:
        """int64 (b, t, h, w), -1 = hole → (b, t, h, w, d); zero at known cells and where a side has
        none. `content` embeds tokens.
        """
        vectors, steps = [], []
        for side, (token, distance) in enumerate(nearest_known(canvas)):
            is_told = ((token >= 0) & (canvas < 0))[..., None].to(self.distance.dtype)
            steps.append(self.distance[side, distance.clamp(max=_MAX_DISTANCE)] * is_told)
            vectors.append(content(token.clamp(min=0)) * is_told)
        projected: Tensor = self.project(torch.cat(vectors, dim=-1))
        return sum(steps, projected)


def nearest_known(canvas: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The nearest known cell to the left, right, above and below each cell of (b, t, h, w), the cell
    itself included: tokens (-1 where there is none) and distances in cells (0 where none)."""
    found = []
    for dim in (-1, -2):
        length = canvas.shape[dim]
        shape = [1] * canvas.ndim
        shape[dim] = length
        place = torch.arange(length, device=canvas.device).view(shape).expand_as(canvas)
        for is_flipped in (False, True):
            tokens = canvas.flip(dim) if is_flipped else canvas
            last = torch.where(tokens >= 0, place, -1).cummax(dim=dim).values
            token = tokens.gather(dim, last.clamp(min=0)).where(last >= 0, -1)
            distance = (place - last).where(last >= 0, 0)
            if is_flipped:
                token, distance = token.flip(dim), distance.flip(dim)
            found.append((token, distance))
    return found


class PixelPatches(nn.Module):
    """Known pixels of a picture, a few samples a cell → one vector per patch of cells."""

    def __init__(self, height: int, width: int, dim: int) -> None:
        super().__init__()
        self.patch = patch_side(height, width)  # cells
        side = self.patch * SAMPLES
        self.project = nn.Linear(_CHANNELS * side * side, dim)
        self.side = side

    def forward(self, pixels: Tensor, positions: PositionTables) -> tuple[Tensor, Tensor, Tensor]:
        """Patch vectors (b, p, d), whether a patch shows anything known, bool (b, p), and the
        (frame, row, column) of each, (p, 3).

        Args:
            pixels: (b, 4, 4h, 4w), RGB in [-1, 1] times the known share, and that share. A grid that
                is no whole number of patches is unknown beyond its edge.
        """
        pixels = F.pad(pixels, (0, -pixels.shape[3] % self.side, 0, -pixels.shape[2] % self.side))
        x: Tensor = self.project(F.pixel_unshuffle(pixels, self.side).flatten(2).transpose(1, 2))
        visible = F.max_pool2d(pixels[:, 3:], self.side).flatten(1) > 0
        rows, columns = pixels.shape[2] // self.side, pixels.shape[3] // self.side
        grid = GridShape(1, rows * self.patch, columns * self.patch)
        cells = positions(grid).view(rows, self.patch, columns, self.patch, -1)
        places = coordinates(GridShape(1, rows, columns), pixels.device) * self.patch
        return x + cells.mean(dim=(1, 3)).flatten(0, 1), visible, places


def patch_side(height: int, width: int) -> int:
    """Cells along a side of a pixel patch: the smallest that divides both sides of the grid."""
    common = math.gcd(height, width)
    return next((side for side in range(2, common + 1) if common % side == 0), 1)
