"""The rolling cache of keys and values, and which of its slots each position may see.

A key is last read at most one wave before the token that takes over its slot is written (`decode.md`
§1.6), so a ring of e_s + 1 frames is exact for raster and for wavefront order, and a clip of any length
needs the same memory. The slot of (frame, row, column) is its raster place in frame mod ring; slot 0
is the BOS key. Neighbor tables are computed once per grid: visibility repeats with the ring.
"""

from __future__ import annotations

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa_cli.ops.grid import GridShape, coordinates
from nuwa_cli.ops.neighborhood import Extent, Order, is_neighbor

_BOS_SLOT = 0


class SlotTables:
    """Where a position is stored and which slots it sees, for one grid and one extent."""

    def __init__(
        self, grid: GridShape, extent: Extent, dtype: torch.dtype, device: torch.device
    ) -> None:
        self.grid = grid
        self.extent = extent
        self.dtype = dtype
        self.device = device
        self.ring_frames = extent.radius_within(grid)[0] + 1

    @property
    def num_slots(self) -> int:
        return 1 + self.ring_frames * self.grid.tokens_per_frame

    def slots(self, coords: Tensor) -> Tensor:
        """Slot of each position: (n, 3) → int64 (n,)."""
        frame, row, column = coords.unbind(dim=1)
        place = (frame % self.ring_frames * self.grid.height + row) * self.grid.width + column
        return place + 1

    def rows(self, coords: Tensor) -> Tensor:
        """Row of the tables below for each position: the first frames, then one turn of the ring."""
        frame, row, column = coords.unbind(dim=1)
        full = self.ring_frames - 1  # from this frame on, every earlier frame in reach exists
        phase = torch.where(frame < full, frame, full + (frame - full) % self.ring_frames)
        return (phase * self.grid.height + row) * self.grid.width + column

    @cached_property
    def causal(self) -> VisibleSlots:
        return self._visible("causal")

    @cached_property
    def strict(self) -> VisibleSlots:
        return self._visible("strict")

    def _visible(self, order: Order) -> VisibleSlots:
        """Neighbors of every table row, by the definition in `ops.neighborhood`."""
        turn = GridShape(2 * self.ring_frames - 1, self.grid.height, self.grid.width)
        centers = coordinates(turn)  # (rows, 3)
        frames, height, width = self.extent.radius_within(turn)
        offsets = torch.cartesian_prod(
            torch.arange(-frames, 1),
            torch.arange(-height, height + 1),
            torch.arange(-width, width + 1),
        ).view(-1, 3)
        offsets = offsets[is_neighbor(torch.zeros(3), offsets, self.extent, order)]
        neighbors = centers[:, None] + offsets  # (rows, m, 3)
        inside = ((neighbors >= 0) & (neighbors < torch.tensor(turn.sides))).all(dim=-1)
        slots = self.slots(neighbors.flatten(0, 1)).view(inside.shape)
        index = torch.where(inside, slots, _BOS_SLOT)
        hidden = torch.zeros(index.shape).masked_fill(~inside, -math.inf)
        # BOS comes first; a neighbor outside the grid points to it too, but hidden
        index = F.pad(index, (1, 0), value=_BOS_SLOT)
        hidden = F.pad(hidden, (1, 0), value=0.0)
        return VisibleSlots(
            index.to(self.device), hidden.to(self.device, self.dtype), self.num_slots
        )


class VisibleSlots:
    """Slots that each table row sees: as an index list, and as a mask over all slots."""

    def __init__(self, index: Tensor, mask: Tensor, num_slots: int) -> None:
        self.index = index  # int64 (rows, 1 + m)
        self.mask = mask  # (rows, 1 + m): 0, or -inf for a neighbor outside the grid
        self.num_slots = num_slots

    @cached_property
    def dense(self) -> Tensor:
        """0 where a slot is seen, -inf elsewhere: (rows, slots)."""
        seen = torch.full((self.index.shape[0], self.num_slots), -math.inf, device=self.mask.device)
        # neighbors outside the grid point to the BOS slot, which is seen anyway
        return seen.scatter_(1, self.index, 0.0).to(self.mask.dtype)


class KVCache:
    """Keys and values of every decoder layer: per layer (2, b, heads, slots, c), BOS in slot 0.

    Starts at zero rather than empty: hidden slots still enter a product with weight 0. The slots of a head lie
    together, because a wave reads all of them and writes few.
    """

    def __init__(self, batch_size: int, bos: list[Tensor], tables: SlotTables) -> None:
        self.layers = []
        for slot in bos:  # (2, heads, c)
            heads, width = slot.shape[1:]
            ring = slot.new_zeros(2, batch_size, heads, tables.num_slots, width)
            ring[:, :, :, _BOS_SLOT] = slot[:, None]
            self.layers.append(ring)

    def write(self, layer: int, slots: Tensor, keys_values: Tensor) -> None:
        """Store (2, b, heads, n, c) in some slots (n,) of one layer."""
        self.layers[layer].index_copy_(3, slots, keys_values)

    @property
    def num_bytes(self) -> int:
        return sum(ring.numel() * ring.element_size() for ring in self.layers)
