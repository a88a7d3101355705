"""Decoding one wave of positions against the cache: the sampling view of the decoder.

The same step serves raster order (a wave of one position) and wavefront order. A step never sees the
tokens of its own wave: they are drawn from its logits, then `write_tokens` stores what the first layer
reads of them (keys and values of contents), and later layers store theirs inside the step.

What depends on the position alone (position vectors, rotary tables, queries of the strict first layer)
is computed for a whole frame at once when its first position comes up, and looked up after that.

Several items may share a step, b = items x streams. Invariant: every number of an item is bit for bit what it
would be alone: what is computed once an item is computed apart, and in a step the products go through
`ops.products`, all else works row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa_cli.model.attention import CrossAttention, CrossMemory, SelfAttention, split_heads
from nuwa_cli.model.cache import KVCache, SlotTables, VisibleSlots
from nuwa_cli.model.decoder import Decoder
from nuwa_cli.model.encoder import EncodedCondition
from nuwa_cli.ops.grid import GridShape, coordinates, map_coordinates
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.ops.products import joint_linear
from nuwa_cli.ops.rotary import rotary_table


@dataclass(frozen=True)
class Wave:
    """Positions decoded in one step, in raster order."""

    coords: Tensor  # int64 (n, 3)
    last_frame: int  # the largest frame number in coords


class DecodeState:
    """Everything one generation keeps: caches, tables, and the condition in every layer."""

    def __init__(
        self,
        decoder: Decoder,
        encoded: Sequence[EncodedCondition],
        grid: GridShape,
        frames_in_flight: int,
    ) -> None:
        """`encoded`: one an item, all of the same shapes."""
        parameter = decoder.norm.weight
        self.grid = grid
        self.items = len(encoded)
        self.tables = SlotTables(grid, decoder.extent, parameter.dtype, parameter.device)
        self.batch_size = sum(item.slots.shape[0] for item in encoded)
        blocks = decoder.layers
        bos = [block.attention.bos for block in blocks]
        self.cache = KVCache(
            self.batch_size, [slot for slot in bos if slot is not None], self.tables
        )
        shared = torch.cat([decoder.modulation(item.pooled) for item in encoded])
        self.modulations = [block.modulations(shared) for block in blocks]
        self.memories = [
            _StepMemory(
                [decoder.cross_memory(index, item) for item in encoded], decoder.condition_extent
            )
            for index in range(len(blocks))
        ]
        self.frames = _FrameTables(decoder, self.modulations[0], encoded, grid, frames_in_flight)


class _FrameTables:
    """What depends on the position alone, for the frames in flight: a ring of frame tables."""

    def __init__(
        self,
        decoder: Decoder,
        modulation: tuple[Tensor, ...],
        encoded: Sequence[EncodedCondition],
        grid: GridShape,
        frames_in_flight: int,
    ) -> None:
        self.decoder = decoder
        self.encoded = encoded
        self.modulation = modulation
        self.grid = grid
        self.ring = frames_in_flight
        self.entered = -1
        cells = frames_in_flight * grid.tokens_per_frame
        config, like = decoder.config, decoder.norm.weight
        b = modulation[0].shape[0]
        self.vectors = like.new_zeros(b, cells, config.dim)
        self.cos = like.new_zeros(cells, config.head_dim)
        self.sin = like.new_zeros(cells, config.head_dim)
        self.queries = like.new_zeros(b, cells, config.num_heads, config.head_dim)

    def rows(self, wave: Wave) -> Tensor:
        """Table rows of a wave; fills the tables of frames that it is the first to enter."""
        while self.entered < wave.last_frame:
            self.entered += 1
            self._enter(self.entered)
        frame, row, column = wave.coords.unbind(dim=1)
        return (frame % self.ring * self.grid.height + row) * self.grid.width + column

    def _enter(self, frame: int) -> None:
        plane = GridShape(1, self.grid.height, self.grid.width)
        coords = coordinates(plane, self.vectors.device)
        coords[:, 0] = frame
        positions = self.decoder.positions(plane, frame)  # (1, cells, d)
        rotary = rotary_table(coords, self.cos.shape[1], self.cos.dtype)
        block = self.decoder.layers[0]
        first = frame % self.ring * self.grid.tokens_per_frame
        cells = slice(first, first + self.grid.tokens_per_frame)
        self.cos[cells], self.sin[cells] = rotary
        row = 0
        for item in self.encoded:
            rows = slice(row, row + item.slots.shape[0])
            row = rows.stop
            shift, scale = (part[rows] for part in self.modulation[:2])
            given = self.decoder.given_vectors(item, coords, self.grid)
            vectors = positions if given is None else positions + given
            modulated = block.modulate(vectors, shift, scale)
            queries = block.attention.project_query(modulated, rotary)
            self.vectors[rows, cells] = vectors
            self.queries[rows, cells] = queries.transpose(1, 2)


class _StepMemory:
    """The condition in one layer, laid out for steps: slots that all see, and grid cells."""

    def __init__(self, memories: Sequence[CrossMemory], extent: Extent) -> None:
        texts = [memory.text for memory in memories]
        self.keys = torch.cat([text.keys for text in texts])
        self.values = torch.cat([text.values for text in texts])
        self.text_mask = torch.cat([_hidden(text.mask, self.keys) for text in texts])  # (b, length)
        self.source = memories[0].grid
        self.extent = extent
        if self.source is not None:
            self.cell_keys = torch.cat([_rows(memory.keys) for memory in memories])
            self.cell_values = torch.cat([_rows(memory.values) for memory in memories])
            self.absent = torch.cat([_hidden(memory.present, self.keys) for memory in memories])


def _hidden(visible: Tensor | None, like: Tensor) -> Tensor:
    """0 where something is visible, -inf elsewhere."""
    assert visible is not None
    zeros = torch.zeros(visible.shape, dtype=like.dtype, device=like.device)
    return zeros.masked_fill(~visible, -torch.inf)


def _rows(cells: Tensor | None) -> Tensor:
    """Keys or values of the condition grid (b, heads, m, c), one row a head: (b · heads, m, c)."""
    assert cells is not None
    return cells.flatten(0, 1)


def decode_step(decoder: Decoder, wave: Wave, state: DecodeState) -> Tensor:
    """Hidden states of a wave: (b, n, d). Writes keys and values of layers from the second on."""
    tables, frames = state.tables, state.frames
    rows = frames.rows(wave)
    slots = tables.slots(wave.coords)
    table_rows = tables.rows(wave.coords)
    earlier = _look_up(tables.strict, table_rows)
    with_itself = _look_up(tables.causal, table_rows)
    cos = frames.cos.index_select(0, rows)[:, None, None]
    sin = frames.sin.index_select(0, rows)[:, None, None]
    cells = _condition_cells(state, wave)
    x = frames.vectors.index_select(1, rows)  # (b, n, d)
    items = state.items
    for layer, block in enumerate(decoder.layers):
        shift_attention, scale_attention, shift_mlp, scale_mlp = state.modulations[layer]
        ring = state.cache.layers[layer]
        if layer == 0:
            q = frames.queries.index_select(1, rows)  # (b, n, heads, c)
            attended = _attend_ring(q, ring, earlier)
        else:
            normed = block.modulate(x, shift_attention, scale_attention)
            q, keys_values = _project(block.attention, normed, cos, sin, items)
            state.cache.write(layer, slots, keys_values)
            attended = _attend_ring(q, ring, with_itself)
        x = x + joint_linear(block.attention.out, attended, items)
        seen = block.cross_norm(x)
        x = x + _attend_condition(block.cross, seen, state.memories[layer], cells, items)
        modulated = block.modulate(x, shift_mlp, scale_mlp)
        hidden = F.gelu(joint_linear(block.mlp.expand, modulated, items))
        x = x + joint_linear(block.mlp.contract, hidden, items)
    result: Tensor = decoder.norm(x)
    return result


def write_tokens(decoder: Decoder, wave: Wave, tokens: Tensor, state: DecodeState) -> None:
    """Store the contents of a decoded wave, int64 (items, n), for the first layer of later waves."""
    rows = state.frames.rows(wave)
    shift, scale, _, _ = state.modulations[0]
    block = decoder.layers[0]
    streams = state.batch_size // state.items
    embedded = decoder.content(tokens).repeat_interleave(streams, dim=0)
    content = embedded + state.frames.vectors[:, rows]  # (b, n, d)
    rotary = (state.frames.cos[rows], state.frames.sin[rows])
    modulated = block.modulate(content, shift, scale)
    keys, values = block.attention.project_content(modulated, rotary, items=state.items)
    state.cache.write(0, state.tables.slots(wave.coords), torch.stack((keys, values)))


def _project(
    attention: SelfAttention, x: Tensor, cos: Tensor, sin: Tensor, items: int
) -> tuple[Tensor, Tensor]:
    """Turned queries (b, n, heads, c), turned keys with values (2, b, heads, n, c)."""
    qkv = split_heads(joint_linear(attention.qkv, x, items), 3, attention.num_heads)
    turning = qkv[:, :, :2]
    swapped = turning.roll(turning.shape[-1] // 2, dims=-1)
    turning.mul_(cos).addcmul_(swapped, sin)
    return qkv[:, :, 0], qkv[:, :, 1:].permute(2, 0, 3, 1, 4)


def _look_up(visible: VisibleSlots, rows: Tensor) -> tuple[Tensor | None, Tensor]:
    """What a wave sees of the ring: slots to gather, or None for all, and the mask over them.

    One position gathers its neighbors; a wave of several is faster against the whole ring under a
    mask, since the neighbors of a wave cover most of it.
    """
    if rows.shape[0] == 1:
        return visible.index.index_select(0, rows)[0], visible.mask.index_select(0, rows)
    return None, visible.dense.index_select(0, rows)


def _attend_ring(q: Tensor, ring: Tensor, seen: tuple[Tensor | None, Tensor]) -> Tensor:
    """3DNA against the ring: (b, n, heads, c) → (b, n, d)."""
    index, mask = seen
    if index is not None:
        ring = ring.index_select(3, index)
    keys, values = ring
    attended = F.scaled_dot_product_attention(q.transpose(1, 2), keys, values, attn_mask=mask)
    return attended.transpose(1, 2).flatten(2)


def _condition_cells(state: DecodeState, wave: Wave) -> tuple[Tensor, Tensor] | None:
    """Cells of the condition grid that each position sees: index and mask, both (n, m)."""
    memory = state.memories[0]
    if memory.source is None:
        return None
    source, device = memory.source, wave.coords.device
    center = map_coordinates(wave.coords, state.grid, source)
    sides = [torch.arange(-r, r + 1, device=device) for r in memory.extent.radius_within(source)]
    neighbors = center[:, None] + torch.cartesian_prod(*sides).view(-1, 3)
    limits = torch.tensor(source.sides, device=device)
    inside = ((neighbors >= 0) & (neighbors < limits)).all(dim=-1)
    frame, row, column = neighbors.clamp(min=0).minimum(limits - 1).unbind(dim=-1)
    index = (frame * source.height + row) * source.width + column
    hidden = torch.zeros(index.shape, dtype=memory.keys.dtype, device=device)
    return index, hidden.masked_fill(~inside, -torch.inf)


def _attend_condition(
    cross: CrossAttention,
    x: Tensor,
    memory: _StepMemory,
    cells: tuple[Tensor, Tensor] | None,
    items: int,
) -> Tensor:
    """Text, and the neighborhood in the condition grid: (b, n, d) → (b, n, d)."""
    queries = joint_linear(cross.query, x, items)
    q = split_heads(queries, 1, cross.num_heads)[:, :, 0].transpose(1, 2)
    if cells is None:
        attended = F.scaled_dot_product_attention(
            q, memory.keys, memory.values, attn_mask=memory.text_mask[:, None, None]
        )
        return joint_linear(cross.out, attended.transpose(1, 2).flatten(2), items)
    index, hidden = cells
    scale = q.shape[-1] ** -0.5
    exact = torch.promote_types(q.dtype, torch.float32)
    text_scores = (q @ memory.keys.transpose(2, 3)).to(exact) * scale
    cell_scores = _near(memory.cell_keys, index, q.unsqueeze(3), transposed=True).to(exact) * scale
    text_scores += memory.text_mask[:, None, None]
    cell_scores += (hidden + memory.absent[:, None, None])[:, None]
    weights = torch.cat((text_scores, cell_scores), dim=3).softmax(dim=3).to(x.dtype)
    length = text_scores.shape[3]
    attended = weights[..., :length] @ memory.values
    attended = attended + _near(memory.cell_values, index, weights[..., None, length:])
    return joint_linear(cross.out, attended.transpose(1, 2).flatten(2), items)


def _near(rows: Tensor, index: Tensor, factor: Tensor, *, transposed: bool = False) -> Tensor:
    """A factor (b, heads, n, 1, k) times what each position sees of the condition grid: (b, heads, n, l).

    One small product for each position and head: a gathered copy in another layout costs more than these.
    """
    shape = factor.shape[:3]
    seen = rows.index_select(1, index.flatten()).view(-1, index.shape[1], rows.shape[2])
    product = torch.bmm(factor.reshape(-1, *factor.shape[3:]), seen.mT if transposed else seen)
    return product.view(*shape, -1)
