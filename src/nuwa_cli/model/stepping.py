"""Decoding one wave of positions against the cache: the sampling view of the decoder.

The same step serves raster order (a wave of one position) and wavefront order. A step never sees the
tokens of its own wave: they are drawn from its logits, then `write_tokens` stores what the first layer
reads of them (keys and values of contents), and later layers store theirs inside the step.

What depends on the position alone (position vectors, rotary tables, queries of the strict first layer)
is computed for a whole frame at once when its first position comes up, and looked up after that.
"""

from __future__ import annotations

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
        encoded: EncodedCondition,
        grid: GridShape,
        frames_in_flight: int,
    ) -> None:
        parameter = decoder.norm.weight
        self.grid = grid
        self.tables = SlotTables(grid, decoder.extent, parameter.dtype, parameter.device)
        self.batch_size = encoded.slots.shape[0]
        blocks = decoder.layers
        bos = [block.attention.bos for block in blocks]
        self.cache = KVCache(
            self.batch_size, [slot for slot in bos if slot is not None], self.tables
        )
        shared = decoder.modulation(encoded.pooled)
        self.modulations = [block.modulations(shared) for block in blocks]
        self.memories = [
            _StepMemory(decoder.cross_memory(index, encoded), decoder.condition_extent)
            for index in range(len(blocks))
        ]
        self.frames = _FrameTables(decoder, self.modulations[0], encoded, grid, frames_in_flight)


class _FrameTables:
    """What depends on the position alone, for the frames in flight: a ring of frame tables."""

    def __init__(
        self,
        decoder: Decoder,
        modulation: tuple[Tensor, ...],
        encoded: EncodedCondition,
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
        vectors = self.decoder.positions(plane, frame)  # (1, cells, d)
        given = self.decoder.given_vectors(self.encoded, coords, self.grid)
        if given is not None:
            vectors = vectors + given
        rotary = rotary_table(coords, self.cos.shape[1], self.cos.dtype)
        block = self.decoder.layers[0]
        shift, scale, _, _ = self.modulation
        queries = block.attention.project_query(block.modulate(vectors, shift, scale), rotary)
        first = frame % self.ring * self.grid.tokens_per_frame
        cells = slice(first, first + self.grid.tokens_per_frame)
        self.vectors[:, cells] = vectors
        self.cos[cells], self.sin[cells] = rotary
        self.queries[:, cells] = queries.transpose(1, 2)


class _StepMemory:
    """The condition in one layer, laid out for steps: slots that all see, and grid cells."""

    def __init__(self, memory: CrossMemory, extent: Extent) -> None:
        text = memory.text
        assert text.mask is not None
        hidden = torch.zeros(text.mask.shape, dtype=text.keys.dtype, device=text.keys.device)
        self.text_mask = hidden.masked_fill(~text.mask, -torch.inf)  # (b, length)
        self.keys, self.values = text.keys, text.values
        self.source = memory.grid
        self.extent = extent
        if memory.grid is not None:
            assert memory.keys is not None and memory.values is not None
            assert memory.present is not None
            cells = torch.stack((memory.keys, memory.values), dim=2)
            self.cells = cells.permute(0, 3, 2, 1, 4).contiguous()  # (b, m, 2, heads, c)
            absent = torch.zeros_like(self.text_mask[:, 0])
            self.absent = absent.masked_fill(~memory.present, -torch.inf)  # (b,)


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
    for layer, block in enumerate(decoder.layers):
        shift_attention, scale_attention, shift_mlp, scale_mlp = state.modulations[layer]
        ring = state.cache.layers[layer]
        if layer == 0:
            q = frames.queries.index_select(1, rows)  # (b, n, heads, c)
            attended = _attend_ring(q, ring, earlier)
        else:
            normed = block.modulate(x, shift_attention, scale_attention)
            q, keys_values = _project(block.attention, normed, cos, sin)
            state.cache.write(layer, slots, keys_values)
            attended = _attend_ring(q, ring, with_itself)
        x = x + _linear(block.attention.out, attended)
        x = x + _attend_condition(block.cross, block.cross_norm(x), state.memories[layer], cells)
        hidden = F.gelu(_linear(block.mlp.expand, block.modulate(x, shift_mlp, scale_mlp)))
        x = x + _linear(block.mlp.contract, hidden)
    result: Tensor = decoder.norm(x)
    return result


def write_tokens(decoder: Decoder, wave: Wave, tokens: Tensor, state: DecodeState) -> None:
    """Store the contents of a decoded wave, (n,) int64, for the first layer of later waves."""
    rows = state.frames.rows(wave)
    shift, scale, _, _ = state.modulations[0]
    block = decoder.layers[0]
    content = decoder.content(tokens) + state.frames.vectors[:, rows]  # (b, n, d)
    rotary = (state.frames.cos[rows], state.frames.sin[rows])
    keys, values = block.attention.project_content(block.modulate(content, shift, scale), rotary)
    keys_values = torch.stack((keys, values), dim=1).permute(0, 3, 1, 2, 4)
    state.cache.write(0, state.tables.slots(wave.coords), keys_values)


def _linear(layer: torch.nn.Linear, x: Tensor) -> Tensor:
    """The layer; a single row takes the matrix-vector product, twice as fast on a CPU."""
    if x.device.type == "cpu" and x.shape[:2] == (1, 1):
        return torch.mv(layer.weight, x[0, 0])[None, None]
    result: Tensor = layer(x)
    return result


def _project(
    attention: SelfAttention, x: Tensor, cos: Tensor, sin: Tensor
) -> tuple[Tensor, Tensor]:
    """Turned queries (b, n, heads, c), turned keys with values (b, n, 2, heads, c)."""
    qkv = split_heads(_linear(attention.qkv, x), 3, attention.num_heads)
    turning = qkv[:, :, :2]
    swapped = turning.roll(turning.shape[-1] // 2, dims=-1)
    turning.mul_(cos).addcmul_(swapped, sin)
    return qkv[:, :, 0], qkv[:, :, 1:]


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
        ring = ring.index_select(1, index)
    keys, values = ring[:, :, 0].transpose(1, 2), ring[:, :, 1].transpose(1, 2)
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
) -> Tensor:
    """Text, and the neighborhood in the condition grid: (b, n, d) → (b, n, d)."""
    q = split_heads(_linear(cross.query, x), 1, cross.num_heads)[:, :, 0].transpose(1, 2)
    if cells is None:
        attended = F.scaled_dot_product_attention(
            q, memory.keys, memory.values, attn_mask=memory.text_mask[:, None, None]
        )
        return _linear(cross.out, attended.transpose(1, 2).flatten(2))
    index, hidden = cells
    near = memory.cells[:, index]  # (b, n, m, 2, heads, c)
    scale = q.shape[-1] ** -0.5
    exact = torch.promote_types(q.dtype, torch.float32)
    text_scores = (q @ memory.keys.transpose(2, 3)).to(exact) * scale
    cell_scores = torch.einsum("bhnc,bnmhc->bhnm", q, near[:, :, :, 0]).to(exact) * scale
    text_scores += memory.text_mask[:, None, None]
    cell_scores += (hidden + memory.absent[:, None, None])[:, None]
    weights = torch.cat((text_scores, cell_scores), dim=3).softmax(dim=3).to(x.dtype)
    length = text_scores.shape[3]
    attended = weights[..., :length] @ memory.values
    attended = attended + torch.einsum("bhnm,bnmhc->bhnc", weights[..., length:], near[:, :, :, 1])
    return _linear(cross.out, attended.transpose(1, 2).flatten(2))
