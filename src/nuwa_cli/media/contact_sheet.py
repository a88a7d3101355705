"""Many pictures and clips on one sheet: captions below, a clip as a few of its frames in a row.

A cell is one entry: a picture is one tile wide, a panorama as many as fit its length, a clip as many
as frames are shown. Cells flow from left to right into rows of `columns` tiles; nothing is enlarged.
Text is set in the face that Pillow carries, so a sheet looks the same on every machine; that face
knows the letters of English, and what it lacks is left out.
"""

from __future__ import annotations

import functools
import itertools
import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL import Image, ImageFont

Frames = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (T, H, W, 3)."""
Sheet = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""
Color = tuple[int, int, int]

SHOWN_FRAMES = 6
"""Frames of a clip on a sheet."""
MAX_SIDE = 256
"""Longer side of a tile unless another is asked for, in pixels."""

_MAX_PIXELS = 48_000_000  # of the tiles of a sheet; viewers, and `nuwa info`, take it
_MIN_SIDE = 32
_MARGIN, _GAP, _FRAME_GAP, _BORDER = 12, 8, 2, 3
_PAPER, _INK, _MUTED = (250, 250, 248), (34, 34, 40), (118, 118, 126)
_MISSING = "\uffff"  # no font has it


@dataclass(frozen=True)
class _Cell:
    """An entry as it is drawn: tiles (left edge in the cell, picture), width of all, caption."""

    tiles: list[tuple[int, Image.Image]]
    width: int
    label: str
    color: Color | None

    @property
    def height(self) -> int:
        return max(tile.height for _, tile in self.tiles)


def contact_sheet(
    entries: Sequence[tuple[Frames, str]],
    columns: int | None = None,
    *,
    side: int | None = None,
    titles: Sequence[str] = (),
    colors: Sequence[Color | None] = (),
) -> Sheet:
    """One sheet (H, W, 3) of entries (frames (T, H, W, 3), label), in order.

    `columns` counts tiles (default: about square), `side` is the longer side of a tile in pixels,
    `titles` head the columns, `colors` frame the entries. A label may reach below the entries
    after it that have none; where nobody has one, no room is kept.
    """
    side = side or tile_side(sum(len(shown(frames)) for frames, _ in entries))
    box = _box([frames.shape[1:3] for frames, _ in entries], side)
    spans = [_span(frames, box) for frames, _ in entries]
    columns = columns or max([*spans, math.ceil(math.sqrt(sum(spans)))], default=1)
    rows: list[list[_Cell]] = [[]]
    used = 0
    for index, ((frames, label), wanted) in enumerate(zip(entries, spans, strict=True)):
        span = min(wanted, columns)
        if used + span > columns:
            rows.append([])
            used = 0
        color = colors[index] if index < len(colors) else None
        rows[-1].append(_cell(frames, label, box, span, color))
        used += span
    return _draw([row for row in rows if row], titles, box, max(11, min(15, side // 14)))


def shown(frames: Frames, most: int = SHOWN_FRAMES) -> Frames:
    """At most `most` frames of a clip, evenly spread, the first and the last among them."""
    count = min(len(frames), most)
    return frames[np.linspace(0, len(frames) - 1, count).round().astype(int)]


def tile_side(tiles: int) -> int:
    """Longer side of a tile such that this many of them make a sheet of bounded size."""
    return max(_MIN_SIDE, min(MAX_SIDE, int(math.sqrt(_MAX_PIXELS / max(tiles, 1)))))


def shrunk(frame: Sheet, side: int) -> Sheet:
    """A frame (H, W, 3) with its longer side at most `side`; never enlarged."""
    from PIL import Image

    height, width = frame.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return frame
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(np.ascontiguousarray(frame))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def caption_of(prompt: str, seed: int | None) -> str:
    """`7 · a dog`: what is drawable of a prompt, behind its seed."""
    number = "" if seed is None else str(seed)
    kept = drawable(prompt)
    if 2 * len(kept.replace(" ", "")) < len(prompt.replace(" ", "")):
        kept = ""  # crumbs of a sentence say less than the seed alone
    return " · ".join(part for part in (number, kept) if part)


def drawable(text: str) -> str:
    """`text` without accents and without the characters that the face lacks, its blanks joined."""
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join("".join(c if _has_glyph(c) else " " for c in letters).split())


def _box(shapes: Sequence[Sequence[int]], side: int) -> tuple[int, int]:
    """(width, height) of a tile: the shape that all share, or a square."""
    if len({tuple(shape) for shape in shapes}) != 1:
        return side, side
    height, width = shapes[0]
    scale = min(1.0, side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _span(frames: Frames, box: tuple[int, int]) -> int:
    """How many tiles wide an entry stands: the frames of a clip, or the length of a panorama."""
    if len(frames) > 1:
        return min(len(frames), SHOWN_FRAMES)
    height, width = frames.shape[1:3]
    return max(1, min(SHOWN_FRAMES, round(width / height * box[1] / box[0])))


def _cell(
    frames: Frames, label: str, box: tuple[int, int], span: int, color: Color | None
) -> _Cell:
    if len(frames) == 1:
        room = (span * (box[0] + _GAP) - _GAP, box[1])
        left, tile = _tile(frames[0], room, 0)
        if span > 1:  # a panorama begins where its caption does
            return _Cell([(0, tile)], tile.width, drawable(label), color)
        return _Cell([(left, tile)], room[0], drawable(label), color)
    step = box[0] + _FRAME_GAP
    tiles = [_tile(frame, box, index * step) for index, frame in enumerate(shown(frames, span))]
    return _Cell(tiles, span * step - _FRAME_GAP, drawable(label), color)


def _tile(frame: Sheet, room: tuple[int, int], left: int) -> tuple[int, Image.Image]:
    """A frame shrunk into its room, and where its left edge lies: in the middle of it."""
    from PIL import Image

    height, width = frame.shape[:2]
    scale = min(1.0, room[0] / width, room[1] / height)
    picture = Image.fromarray(shrunk(frame, math.ceil(max(height, width) * scale)))
    return left + (room[0] - picture.width) // 2, picture


def _draw(
    rows: list[list[_Cell]], titles: Sequence[str], box: tuple[int, int], font_size: int
) -> Sheet:
    from PIL import Image, ImageDraw

    font = _font(font_size)
    caption = font_size + 9 if any(cell.label for row in rows for cell in row) else 0
    head = font_size + 13 if titles else 0
    heights = [max(cell.height for cell in row) + caption for row in rows]
    width = max((sum(cell.width + _GAP for cell in row) - _GAP for row in rows), default=box[0])
    height = head + sum(heights) + max(len(rows) - 1, 0) * _GAP
    sheet = Image.new("RGB", (width + 2 * _MARGIN, height + 2 * _MARGIN), _PAPER)
    pen = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        middle = _MARGIN + column * (box[0] + _GAP) + box[0] / 2
        pen.text((middle, _MARGIN + font_size / 2), drawable(title), _INK, font, "mm")
    top = _MARGIN + head
    for row, line in zip(rows, heights, strict=True):
        left = _MARGIN
        for number, cell in enumerate(row):
            for x, tile in cell.tiles:
                y = top + (line - caption - tile.height) // 2
                if cell.color is not None:
                    pen.rectangle(_around(left + x, y, tile), cell.color)
                sheet.paste(tile, (left + x, y))
            baseline = top + line - caption + 5 + font_size / 2
            room = cell.width + _bare_width(row[number + 1 :])
            pen.text((left, baseline), _cut(cell.label, font, room), _MUTED, font, "lm")
            left += cell.width + _GAP
        top += line + _GAP
    return np.asarray(sheet)


def _bare_width(following: Sequence[_Cell]) -> int:
    """Width of the cells up to the next one that has a caption."""
    bare = itertools.takewhile(lambda cell: not cell.label, following)
    return sum(_GAP + cell.width for cell in bare)


def _around(x: int, y: int, tile: Image.Image) -> tuple[int, int, int, int]:
    return (x - _BORDER, y - _BORDER, x + tile.width + _BORDER - 1, y + tile.height + _BORDER - 1)


def _cut(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """`text` no wider than `width` pixels, with an ellipsis where some of it had to go."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


@functools.cache
def _has_glyph(character: str) -> bool:
    font = _font(16)
    return character.isspace() or _shape(font, character) != _shape(font, _MISSING)


def _shape(font: ImageFont.FreeTypeFont, character: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(character)
    return mask.size, bytes(mask)
