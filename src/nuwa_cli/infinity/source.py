"""The source as the model sees it: pixels at the working scale, tokens, samples, and intact features.

All of it is made piece by piece, when a window or a strip first looks there, and only what was looked at
last is kept: a source of any length costs no more than a short one. A piece is encoded with as many cells
around it as the encoder can see, so that its tokens are those of encoding the whole source at once. Where
the canvas goes on beyond the source, the source's edge is continued, as the tokenizer does into any hole:
an edge cell then looks as it would in the middle of a picture.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.config import VQGANConfig
from nuwa_cli.infinity.geometry import Canvas, Rect
from nuwa_cli.infinity.pool import Cells, Samples
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.samples import SAMPLES, sample_pixels
from nuwa_cli.tokenizer.vqgan import VQGAN, IntactFeatures

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Levels = np.ndarray[Any, np.dtype[np.float32]]
"""(H, W, 3), 0 … 255."""
Box = tuple[float, float, float, float]
"""(left, top, right, bottom), in fractions of pixels too."""

_PAGES = 12  # pieces that are kept: a window and the margin of a strip touch nine


class SourceCells:
    """What is known of the source, in canvas cells and working pixels of the canvas."""

    def __init__(self, picture: Pixels, canvas: Canvas, vqgan: VQGAN) -> None:
        """`picture` (H, W, 3) may have more pixels than the source has in the result."""
        self.picture = picture
        self.canvas = canvas
        self.vqgan = vqgan
        self.reach = encoder_reach(vqgan.config)
        self._pages: OrderedDict[tuple[int, int], Cells] = OrderedDict()

    def pixels(self, cells: Rect) -> Pixels:
        """Working pixels (h · cell, w · cell, 3) of cells that lie inside the source."""
        cell, source = self.canvas.cell, self.canvas.source
        place = cells.seen_from(source)
        across = self.picture.shape[1] / source.width
        down = self.picture.shape[0] / source.height
        box = (place.left * across, place.top * down, place.right * across, place.bottom * down)
        return resample(self.picture, box, cells.height * cell, cells.width * cell)

    def put_into(self, cells: Cells, rect: Rect) -> None:
        """Write the source's cells into the cells of a rectangle of the canvas."""
        inside = rect.overlap(self.canvas.source)
        if not inside.area:
            return
        side, source = self.canvas.side, self.canvas.source
        place = inside.seen_from(source)
        for row in range(place.top // side, -(-place.bottom // side)):
            for column in range(place.left // side, -(-place.right // side)):
                page = self._page_rect(row, column)
                part = inside.overlap(page)
                found = self._page(row, column).part(part.seen_from(page))
                cells.put(part.seen_from(rect), found)

    def intact(self, rect: Rect) -> IntactFeatures | None:
        """Features of the source's cells inside a rectangle of the canvas, for the decoder; None where
        it has no use for them or the source does not reach."""
        inside = rect.overlap(self.canvas.source)
        if not (self.vqgan.config.intact_skips and inside.area):
            return None
        seen, pixels = self._around(inside)
        features = self.vqgan.intact_features(pixels, torch.zeros_like(pixels[:, :1]).bool())
        maps, intact = [], []
        for values, known in zip(features.maps, features.intact, strict=True):
            factor = values.shape[-1] // seen.width
            crop = inside.seen_from(seen).scaled(factor).slices
            pad = _padding(inside.seen_from(rect).scaled(factor), rect.scaled(factor))
            maps.append(F.pad(values[..., crop[0], crop[1]], pad))
            intact.append(F.pad(known[..., crop[0], crop[1]], pad, value=False))
        return IntactFeatures(tuple(maps), tuple(intact))

    def _page_rect(self, row: int, column: int) -> Rect:
        side, source = self.canvas.side, self.canvas.source
        page = Rect(source.top + row * side, source.left + column * side, side, side)
        return page.overlap(source)

    def _page(self, row: int, column: int) -> Cells:
        page = self._pages.get((row, column))
        if page is None:
            page = self._pages[row, column] = self._encode(self._page_rect(row, column))
            if len(self._pages) > _PAGES:
                self._pages.popitem(last=False)
        self._pages.move_to_end((row, column))
        return page

    def _encode(self, page: Rect) -> Cells:
        seen, pixels = self._around(page)
        tokens = self.vqgan.encode(pixels)[0].cpu().numpy()
        return Cells(tokens, samples_of(pixels, seen)).part(page.seen_from(seen))

    def _around(self, cells: Rect) -> tuple[Rect, Tensor]:
        """What the encoder needs to see for some cells of the source: a rectangle of the canvas, and its
        pixels (1, 3, H, W) in [-1, 1]."""
        seen = cells.grown(self.reach).overlap(self.canvas.cells)
        known = seen.overlap(self.canvas.source)
        left, right, top, bottom = _padding(known.seen_from(seen), seen)
        cell = self.canvas.cell
        beyond = ((top * cell, bottom * cell), (left * cell, right * cell), (0, 0))
        levels = torch.from_numpy(np.pad(self.pixels(known), beyond, mode="edge"))
        device = self.vqgan.decoder.refine.weight.device
        return seen, levels.permute(2, 0, 1)[None].to(device).float() / 127.5 - 1


def samples_of(pixels: Tensor, cells: Rect) -> Samples:
    """Samples of pixels (1, 3, H, W) in [-1, 1] that show a rectangle of cells."""
    grid = GridShape(1, cells.height, cells.width)
    sampled = sample_pixels(pixels, torch.zeros_like(pixels[:, :1]).bool(), grid)[0, :3]
    levels = ((sampled + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu()
    blocks = levels.view(3, cells.height, SAMPLES, cells.width, SAMPLES)
    return blocks.permute(1, 3, 2, 4, 0).numpy()


def resample(picture: Pixels | Levels, box: Box, height: int, width: int) -> Pixels:
    """A box of a picture (H, W, 3) as uint8 (height, width, 3): copied where the scale is 1, else antialiased
    down and smooth up; what lies around the box counts as it would in the whole picture."""
    from PIL import Image

    left, top, right, bottom = box
    is_plain = (right - left, bottom - top, left % 1, top % 1) == (width, height, 0, 0)
    if is_plain and picture.dtype == np.uint8:
        copied = picture[int(top) : int(bottom), int(left) : int(right)]
        return copied.astype(np.uint8, copy=False)
    shrinks = right - left > width or bottom - top > height
    filter_ = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    # Pillow copies what it is given: a long picture is cut down to the box and its surroundings.
    near_x, near_y = (
        4 + int(3 * max(span / count, 1.0))
        for span, count in ((right - left, width), (bottom - top, height))
    )
    x, y = max(int(left) - near_x, 0), max(int(top) - near_y, 0)
    part = picture[y : int(bottom) + near_y + 1, x : int(right) + near_x + 1]
    limits = part.shape[1], part.shape[0]
    inner = (left - x, top - y, min(right - x, limits[0]), min(bottom - y, limits[1]))
    # In floats, channel by channel: Pillow rounds bytes after each axis, and may take either axis first.
    levels = [
        np.asarray(Image.fromarray(channel).resize((width, height), filter_, box=inner))
        for channel in np.ascontiguousarray(part.transpose(2, 0, 1), dtype=np.float32)
    ]
    return np.clip(np.rint(np.stack(levels, axis=-1)), 0, 255).astype(np.uint8)


def encoder_reach(config: VQGANConfig) -> int:
    """How many cells around a cell its token depends on."""
    pixels = sum(depth * config.stem_factor * 2**stage for stage, depth in enumerate(config.depths))
    return -(-pixels // config.downsample_factor)


def _padding(inner: Rect, outer: Rect) -> tuple[int, int, int, int]:
    """Left, right, top, bottom of a rectangle counted from the corner of an outer one."""
    return (
        inner.left,
        outer.width - inner.right,
        inner.top,
        outer.height - inner.bottom,
    )
