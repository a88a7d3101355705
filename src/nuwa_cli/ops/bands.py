"""How 3DNA is cut into row bands: the plan that the fast forms share.

The neighborhoods of a band of r rows lie in slabs of at most r + 2·radius rows, one slab per frame in
reach. So each band is one small dense attention: its queries against its slabs under a small mask,
all of them contiguous slices, nothing gathered. Bands of frames whose slabs lie at the same offsets are
done together (all frames but the first and last few), which keeps the number of calls independent of
the length of the clip.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nuwa_cli.ops.grid import GridShape, map_coordinates
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.neighborhood import Extent, Order, check_order, is_neighbor

_QUERIES_PER_BAND = 64


@dataclass(frozen=True)
class Slab:
    """Source cells that one band reads for its frame f: frame f + `shift`, cells start…stop."""

    shift: int
    start: int
    stop: int


@dataclass(frozen=True)
class Band:
    """Frames first…last (exclusive), cells start…stop of each, and what they read."""

    first: int
    last: int
    start: int
    stop: int
    slabs: tuple[Slab, ...]
    mask: Tensor  # (queries, always + keys), 0 or -inf; the always-visible slots come first

    @property
    def num_frames(self) -> int:
        return self.last - self.first


@dataclass(frozen=True)
class SampleMask:
    """What single samples do not have: 0 or -inf over the slots, and over all cells at once."""

    slots: Tensor  # (b, a)
    cells: Tensor  # (b, 1)

    def over(self, num_cells: int) -> Tensor:
        """The mask over slots and `num_cells` cells: (b, a + cells)."""
        return torch.cat((self.slots, self.cells.expand(-1, num_cells)), dim=1)


def sample_mask(
    always: AlwaysVisible | None, present: Tensor | None, dtype: torch.dtype
) -> SampleMask | None:
    """The per-sample mask of slots and cells, or None when every sample has everything."""
    slots_exist = None if always is None else always.mask
    some = slots_exist if slots_exist is not None else present
    if some is None:
        return None
    num_slots = 0 if always is None else always.keys.shape[2]
    zeros = torch.zeros(some.shape[0], num_slots, dtype=dtype, device=some.device)
    slots = zeros if slots_exist is None else zeros.masked_fill(~slots_exist, -math.inf)
    cells = torch.zeros(some.shape[0], 1, dtype=dtype, device=some.device)
    if present is not None:
        cells = cells.masked_fill(~present[:, None], -math.inf)
    return SampleMask(slots, cells)


def by_frame(x: Tensor, grid: GridShape) -> Tensor:
    """(b, heads, n, c) → (b, heads, t, cells, c)."""
    return torch.unflatten(x, 2, (grid.frames, grid.tokens_per_frame))


def band_rows(cells: Tensor, slots: Tensor | None, band: Band) -> Tensor:
    """What a band reads, slots first: (b, heads, t, cells, c) → (b, heads, frames, a + keys, c)."""
    parts = []
    if slots is not None and slots.shape[2]:
        parts.append(slots.unsqueeze(2).expand(cells.shape[0], -1, band.num_frames, -1, -1))
    for slab in band.slabs:
        first, last = band.first + slab.shift, band.last + slab.shift
        parts.append(cells[:, :, first:last, slab.start : slab.stop])
    return torch.cat(parts, dim=3)


Kernel = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""(b, heads, n, c), (b, heads, m, c) twice, additive mask broadcasting to (b, heads, n, m)."""


def attend_by_bands(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    always: AlwaysVisible | None,
    present: Tensor | None,
    kernel: Kernel,
) -> Tensor:
    """3DNA with one call of a dense attention kernel per band; autograd does the rest.

    The frames of a band are folded into the batch of the kernel.
    """
    b, heads, _, c = q.shape
    num_slots = 0 if always is None else always.keys.shape[2]
    slot_keys = None if always is None else always.keys.to(k.dtype)
    slot_values = None if always is None else always.values.to(v.dtype)
    hidden = sample_mask(always, present, q.dtype)
    q5, k5, v5 = by_frame(q, grid), by_frame(k, source), by_frame(v, source)
    frames: dict[int, list[Tensor]] = {}  # first frame of a group → its bands, top to bottom
    for band in plan_bands(grid, source, extent, order, num_slots, q.dtype, q.device):
        queries = q5[:, :, band.first : band.last, band.start : band.stop]
        mask = band.mask
        if hidden is not None:
            per_sample = hidden.over(mask.shape[1] - num_slots)
            mask = mask + per_sample.repeat_interleave(band.num_frames, dim=0)[:, None, None]
        result = kernel(
            _fold(queries),
            _fold(band_rows(k5, slot_keys, band)),
            _fold(band_rows(v5, slot_values, band)),
            mask,
        )
        result = result.view(b, band.num_frames, heads, -1, c).transpose(1, 2)
        frames.setdefault(band.first, []).append(result)
    return torch.cat([torch.cat(rows, dim=3) for rows in frames.values()], dim=2).flatten(2, 3)


def _fold(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)  # (b·frames, heads, cells, c)


@lru_cache(maxsize=64)
def plan_bands(
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    num_always: int,
    dtype: torch.dtype,
    device: torch.device,
) -> tuple[Band, ...]:
    """Cut attention from `grid` to `source` into bands. Kept for the next call."""
    check_order(grid, source, order)
    rows_per_band = max(1, min(grid.height, round(_QUERIES_PER_BAND / grid.width)))
    bands = []
    for first, last, shifts in _frame_groups(grid, source, extent, order):
        for top in range(0, grid.height, rows_per_band):
            bottom = min(top + rows_per_band, grid.height)
            slabs = tuple(
                _slab(grid, source, extent, order, shift, top, bottom) for shift in shifts
            )
            with torch.inference_mode(False):  # must also serve a later backward pass
                mask = _band_mask(grid, source, extent, order, first, (top, bottom), slabs)
                always = torch.ones(mask.shape[0], num_always, dtype=torch.bool)
                seen = torch.cat((always, mask), dim=1)
                additive = torch.zeros(seen.shape).masked_fill(~seen, -math.inf).to(device, dtype)
            cells = (top * grid.width, bottom * grid.width)
            bands.append(Band(first, last, *cells, slabs, additive))
    return tuple(bands)


def _frame_groups(
    grid: GridShape, source: GridShape, extent: Extent, order: Order
) -> list[tuple[int, int, tuple[int, ...]]]:
    """Runs of frames that read the same relative frames: (first, last, shifts)."""
    groups: list[tuple[int, int, tuple[int, ...]]] = []
    radius = extent.radius[0]
    for frame in range(grid.frames):
        center = frame * source.frames // grid.frames
        lowest = max(center - radius, 0)
        highest = min(center + (radius if order == "full" else 0), source.frames - 1)
        shifts = tuple(range(lowest - frame, highest - frame + 1))
        if groups and groups[-1][2] == shifts:
            groups[-1] = (groups[-1][0], frame + 1, shifts)
        else:
            groups.append((frame, frame + 1, shifts))
    return groups


def _slab(
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    shift: int,
    top: int,
    bottom: int,
) -> Slab:
    radius = extent.radius[1]
    below = 0 if order != "full" and shift == 0 else radius
    first = top * source.height // grid.height - radius
    last = (bottom - 1) * source.height // grid.height + below
    rows = (max(first, 0), min(last + 1, source.height))
    return Slab(shift, rows[0] * source.width, rows[1] * source.width)


def _band_mask(
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    frame: int,
    rows: tuple[int, int],
    slabs: tuple[Slab, ...],
) -> Tensor:
    queries = torch.cartesian_prod(
        torch.tensor([frame]), torch.arange(*rows), torch.arange(grid.width)
    ).view(-1, 3)
    keys = []
    for slab in slabs:
        cell = torch.arange(slab.start, slab.stop)
        place = torch.full_like(cell, frame + slab.shift)
        keys.append(torch.stack((place, cell // source.width, cell % source.width), dim=1))
    centers = map_coordinates(queries, grid, source)
    return is_neighbor(centers[:, None], torch.cat(keys)[None], extent, order)
