"""Tokens of a patch to its final pixels, so that no line shows.

Between patches: a patch is decoded with as many cells around it as the decoder can see. Its pixels are then
those of decoding the whole canvas at once, and there is nothing at its borders that could show.

At the source: its own pixels stand beside decoded ones, which are a little softer and a little off in light
and tint. The source's tokens (and features, where the tokenizer has connections for them) are decoded along
with the patch; how far they miss the source's pixels along its edge is carried on into the patch. Small
differences, of light, fade slowly, what exceeds them is content and ends soon; the further from the edge,
the more they are smoothed along it, or every pixel of the edge would draw a streak. All of it has ended
`fade` pixels from the source, which is less than the depth of a patch.

Invariants: the pixels of a patch do not depend on the order of steps; cells of the source are its own
working pixels, so that nothing is mixed into the result's edge that is not there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nuwa_cli.config import VQGANConfig
from nuwa_cli.infinity.geometry import Rect
from nuwa_cli.infinity.pool import Tokens
from nuwa_cli.infinity.source import Levels, Pixels, SourceCells, resample
from nuwa_cli.tokenizer.vqgan import PIXEL_SKIP_REACH, SKIP_REACH, VQGAN, IntactFeatures

_RING = 3  # pixels inside the source whose difference counts
_LIGHT = 32.0  # levels: differences much larger are not of light, but of content
_CONTENT_SHARE = 0.1875  # of the fade of light: 12 of 64 pixels


def decode_cells(vqgan: VQGAN, tokens: Tokens, intact: IntactFeatures | None = None) -> Levels:
    """Pixels (h · cell, w · cell, 3), levels 0 … 255, of tokens (h, w)."""
    device = vqgan.decoder.refine.weight.device
    pixels = vqgan.decode(torch.from_numpy(tokens)[None].to(device), intact)[0]
    return ((pixels + 1) * 127.5).permute(1, 2, 0).cpu().numpy()


def decoder_reach(config: VQGANConfig) -> int:
    """Pixels around a cell that its token, or what is seen of it, has an influence on."""
    factors = [config.stem_factor * 2**stage for stage in range(len(config.depths))]
    blocks = sum((depth + 1) * f for depth, f in zip(config.depths, factors, strict=True))
    head = config.stem_factor // max(config.stem_factor // 4, 1)
    skips = 0
    if config.intact_skips:
        skips = SKIP_REACH * sum(factors) + (PIXEL_SKIP_REACH + 1) * head
    return blocks + head + skips + 1


def fade_of(config: VQGANConfig) -> int:
    """Pixels from the source's edge where its light has ended: a quarter of the model's picture."""
    return config.image_size // 4


def margin_of(config: VQGANConfig) -> int:
    """Cells around a patch that must be known before its pixels are final."""
    pixels = decoder_reach(config) + fade_of(config) // 2
    return -(-pixels // config.downsample_factor)


def strip(source: SourceCells, patch: Rect, around: Rect, tokens: Tokens) -> tuple[Rect, Pixels]:
    """Where a patch of cells lies in the result, and its pixels uint8 (h, w, 3); may be empty.

    Args:
        around: the patch with `margin_of` cells on each side, as far as the canvas reaches.
        tokens: (h, w) of `around`, all known.
    """
    canvas = source.canvas
    place = canvas.result_rect(patch)
    if not place.area:
        return place, np.empty((place.height, place.width, 3), dtype=np.uint8)
    levels = decode_cells(source.vqgan, tokens, source.intact(around))
    fade, given = fade_of(source.vqgan.config), around.overlap(canvas.source)
    if patch.grown(-(-fade // canvas.cell)).overlap(given).area:
        join(levels, source.pixels(given), given.seen_from(around).scaled(canvas.cell), fade)
    left, top, right, bottom = canvas.working_box(place)
    x, y = around.left * canvas.cell, around.top * canvas.cell
    box = (left - x, top - y, right - x, bottom - y)
    return place, resample(levels, box, place.height, place.width)


def join(levels: Levels, own: Pixels, place: Rect, fade: int) -> None:
    """Give decoded levels, in place, the light of the pixels `own` (h, w, 3) that belong into the
    rectangle `place` of them, and put those pixels there."""
    missed = own - levels[place.slices]
    light = _LIGHT * np.tanh(missed / _LIGHT)
    levels += _carried(light, place, levels.shape, fade, fade)
    levels += _carried(missed - light, place, levels.shape, fade, fade * _CONTENT_SHARE)
    levels[place.slices] = own


def _carried(missed: Levels, place: Rect, shape: Any, fade: int, reach: float) -> Levels:
    """What is missed at the edges of a rectangle, carried on to `reach` pixels around it: (H, W, 3)."""
    rows, columns = (np.arange(size) for size in shape[:2])
    down = _outside(rows, place.top, place.bottom)[:, None]
    across = _outside(columns, place.left, place.right)[None]
    distance = np.hypot(down, across)
    num_levels = int(np.log2(fade / 4)) + 1
    level = np.log2(np.clip(distance, 1, 2.0 ** (num_levels - 1)))
    row = np.clip(rows - place.top, 0, place.height - 1)[:, None]
    column = np.clip(columns - place.left, 0, place.width - 1)[None]
    left, right = missed[:, :_RING].mean(axis=1), missed[:, -_RING:].mean(axis=1)
    top, bottom = missed[:_RING].mean(axis=0), missed[-_RING:].mean(axis=0)
    is_left, is_above = columns < place.left, rows < place.top
    beside, over = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for edge, where in ((left, is_left), (right, ~is_left)):
        stack = _smoothed(edge, num_levels)
        beside[:, where] = _look_up(stack, level[:, where], row)
    for edge, where in ((top, is_above), (bottom, ~is_above)):
        stack = _smoothed(edge, num_levels)
        over[where] = _look_up(stack, level[where], column)
    share = across / np.maximum(across + down, 1)  # of the upright edges: all beside, none above
    ease = np.clip(1 - (distance - 1) / reach, 0, 1)
    weight = ease * ease * (3 - 2 * ease) * (distance > 0)
    carried: Levels = weight[..., None] * (share[..., None] * (beside - over) + over)
    return carried


def _outside(places: Any, start: int, stop: int) -> Any:
    """Distance in pixels of each place from start … stop - 1, 0 inside."""
    return np.maximum(np.maximum(start - places, places - stop + 1), 0)


def _smoothed(edge: Levels, num_levels: int) -> Levels:
    """A line of values (n, 3), ever smoother: (num_levels, n, 3). The first is the line itself, level
    k is spread over 2 · 2^k pixels to each side."""
    stack = [edge]
    for level in range(1, num_levels):
        box = np.ones(2 * 2**level + 1)
        kernel = np.convolve(box, box) / box.sum() ** 2
        reach = len(kernel) // 2
        padded = np.pad(edge, ((reach, reach), (0, 0)), mode="edge")
        lines = [np.convolve(line, kernel, mode="valid") for line in padded.T]
        stack.append(np.stack(lines, axis=1))
    return np.stack(stack).astype(np.float32)


def _look_up(stack: Levels, level: Any, place: Any) -> Levels:
    """Values (h, w, 3) of a stack (k, n, 3) at fractional levels (h, w) and places that broadcast."""
    low = np.floor(level).astype(np.int64)
    high = np.minimum(low + 1, len(stack) - 1)
    place = np.broadcast_to(place, level.shape)
    part = (level - low)[..., None]
    values: Levels = (1 - part) * stack[low, place] + part * stack[high, place]
    return values
