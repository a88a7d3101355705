"""3DNA as small dense products per row band: the CPU form, and the default without a kernel library.

Measured on CPUs with bfloat16 matrix units, batched products with a softmax between them are several
times faster than the fused attention kernel, above all backward (8x), and the gradient of overlapping
slices written out here (add each slab's gradient into one buffer) avoids a zero-filled copy of the whole
key tensor per slab. Exact: same result as `nearby_reference` to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nuwa_cli.ops.bands import Band, SampleMask, band_rows, by_frame, plan_bands, sample_mask
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.nearby_reference import AlwaysVisible
from nuwa_cli.ops.neighborhood import Extent, Order


def nearby_attention_matmul(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    grid: GridShape,
    source: GridShape,
    extent: Extent,
    order: Order,
    always: AlwaysVisible | None = None,
    present: Tensor | None = None,
) -> Tensor:
    """See `nearby_attention_reference`; the result is a (b, heads, n, c) view of (b, n, heads, c)."""
    if always is None:
        empty = q.new_zeros(1, q.shape[1], 0, q.shape[3])
        always = AlwaysVisible(empty, empty)
    num_slots = always.keys.shape[2]
    bands = plan_bands(grid, source, extent, order, num_slots, q.dtype, q.device)
    return _apply(q, k, v, always, sample_mask(always, present, q.dtype), grid, source, bands)


def attend_slots_matmul(q: Tensor, slots: AlwaysVisible) -> Tensor:
    """Plain attention of every query to the slots: (b, heads, n, c) → the same.

    The same products as a band, for the text that every position sees whole.
    """
    mask = torch.zeros(1, 1, dtype=q.dtype, device=q.device)
    band = Band(0, 1, 0, q.shape[2], (), mask.expand(q.shape[2], slots.keys.shape[2]))
    nothing = q.new_zeros(q.shape[0], q.shape[1], 1, q.shape[3])
    grid, source = GridShape(1, 1, q.shape[2]), GridShape(1, 1, 1)
    hidden = sample_mask(slots, None, q.dtype)
    return _apply(q, nothing, nothing, slots, hidden, grid, source, (band,))


def _apply(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    slots: AlwaysVisible,
    hidden: SampleMask | None,
    grid: GridShape,
    source: GridShape,
    bands: tuple[Band, ...],
) -> Tensor:
    keys, values = slots.keys.to(q.dtype), slots.values.to(q.dtype)
    with torch.autocast(q.device.type, enabled=False):
        out: Tensor = _BandAttention.apply(  # type: ignore[no-untyped-call]
            q, k, v, keys, values, hidden, grid, source, bands
        )
    return out.transpose(1, 2)


class _BandAttention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        slot_keys: Tensor,
        slot_values: Tensor,
        hidden: SampleMask | None,
        grid: GridShape,
        source: GridShape,
        bands: tuple[Band, ...],
    ) -> Tensor:
        b, heads, n, c = q.shape
        scale = 1.0 / math.sqrt(c)
        q5, k5, v5 = by_frame(q, grid), by_frame(k, source), by_frame(v, source)
        out = q.new_empty(b, grid.frames, grid.tokens_per_frame, heads, c)
        saved = []
        for band in bands:
            queries = (q5[:, :, band.first : band.last, band.start : band.stop] * scale).flatten(
                0, 2
            )
            keys = band_rows(k5, slot_keys, band).flatten(0, 2)
            values = band_rows(v5, slot_values, band).flatten(0, 2)
            scores = torch.baddbmm(band.mask, queries, keys.transpose(1, 2))
            if hidden is not None:
                per_sample = hidden.over(keys.shape[1] - slot_keys.shape[2])
                scores.view(b, -1, scores.shape[-1]).add_(per_sample[:, None])
            weights = scores.softmax(dim=-1)
            result = torch.bmm(weights, values).view(b, heads, band.num_frames, -1, c)
            out[:, band.first : band.last, band.start : band.stop] = result.permute(0, 2, 3, 1, 4)
            saved += [queries, keys, values, weights]
        ctx.save_for_backward(*saved)
        ctx.plan = (grid, source, bands, slot_keys.shape, scale, (b, heads, c))
        return out.view(b, n, heads, c)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grid, source, bands, slot_shape, scale, (b, heads, c) = ctx.plan
        num_slots = slot_shape[2]
        grad5 = grad.reshape(b, grid.frames, grid.tokens_per_frame, heads, c).permute(0, 3, 1, 2, 4)
        grad_q = grad.new_empty(b, heads, grid.frames, grid.tokens_per_frame, c)
        grad_k = grad.new_zeros(b, heads, source.frames, source.tokens_per_frame, c)
        grad_v = torch.zeros_like(grad_k)
        grad_slot_keys = grad.new_zeros(
            slot_shape, dtype=torch.promote_types(grad.dtype, torch.float32)
        )
        grad_slot_values = torch.zeros_like(grad_slot_keys)
        saved = ctx.saved_tensors
        for index, band in enumerate(bands):
            queries, keys, values, weights = saved[4 * index : 4 * index + 4]
            above = grad5[:, :, band.first : band.last, band.start : band.stop].flatten(0, 2)
            d_values = torch.bmm(weights.transpose(1, 2), above)
            d_weights = torch.bmm(above, values.transpose(1, 2))
            d_scores = torch.ops.aten._softmax_backward_data(d_weights, weights, -1, weights.dtype)
            d_queries = torch.bmm(d_scores, keys).view(b, heads, band.num_frames, -1, c)
            inside = grad_q[:, :, band.first : band.last, band.start : band.stop]
            torch.mul(d_queries, scale, out=inside)
            d_keys = torch.bmm(d_scores.transpose(1, 2), queries)
            for slots, cells, rows in (
                (grad_slot_keys, grad_k, d_keys),
                (grad_slot_values, grad_v, d_values),
            ):
                parts = rows.view(b, heads, band.num_frames, -1, c)
                if num_slots:
                    _add_slots(slots, parts[:, :, :, :num_slots])
                _add_slabs(cells, parts[:, :, :, num_slots:], band)
        return (
            grad_q.flatten(2, 3),
            grad_k.flatten(2, 3),
            grad_v.flatten(2, 3),
            grad_slot_keys.to(grad.dtype),
            grad_slot_values.to(grad.dtype),
            None,
            None,
            None,
            None,
        )


def _add_slots(total: Tensor, part: Tensor) -> None:
    # summed in float32: a BOS key collects the gradient of every position
    over_frames = part.sum(dim=2, dtype=total.dtype)
    total += over_frames.sum_to_size(total.shape)


def _add_slabs(total: Tensor, part: Tensor, band: Band) -> None:
    begin = 0
    for slab in band.slabs:
        length = slab.stop - slab.start
        first, last = band.first + slab.shift, band.last + slab.shift
        total[:, :, first:last, slab.start : slab.stop] += part[:, :, :, begin : begin + length]
        begin += length
