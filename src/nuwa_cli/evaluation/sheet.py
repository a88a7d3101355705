"""Sheets: samples with their verdicts, so that a person can check the judge; pictures side by side.

On the first, a frame's colour says what the evaluator found: green, all that was asked; orange, some of
it; red, nothing. Below stands what was asked. The second has a title over every column, like figure 2 of
NÜWA-LIP (2202.05009): damaged, zero-shot raster, LIP, original.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.samples import Sample, TaskSample

ENGINE_TITLES = ("damaged", "zero-shot raster", "LIP", "original")
"""Columns of `completion.side_by_side`."""

_GREEN, _ORANGE, _RED = (40, 160, 60), (235, 150, 30), (205, 45, 45)
_BORDER, _TEXT, _WIDTH = 3, 14, 1100
_GAP, _CAPTION, _LETTERS = 8, 26, 15  # of the sheet of columns, in pixels


def sample_sheet(samples: Sequence[Sample | TaskSample]) -> NDArray[np.uint8]:
    """Sheet (H, W, 3) of all samples that carry a picture; pictures first, then clips by set."""
    tiles = [_tile(sample) for sample in samples if sample.thumbnail]
    rows: list[list[Image.Image]] = [[]]
    for tile in tiles:
        used = sum(other.width for other in rows[-1])
        if rows[-1] and (used + tile.width > _WIDTH or rows[-1][-1].width != tile.width):
            rows.append([])
        rows[-1].append(tile)
    height = sum(max((tile.height for tile in row), default=1) for row in rows)
    sheet = Image.new("RGB", (_WIDTH, max(height, 1)), "white")
    top = 0
    for row in rows:
        left = 0
        for tile in row:
            sheet.paste(tile, (left, top))
            left += tile.width
        top += max((tile.height for tile in row), default=0)
    return np.asarray(sheet)


def _tile(sample: Sample | TaskSample) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(sample.thumbnail)))
    width, height = picture.size
    tile = Image.new("RGB", (width + 2 * _BORDER, height + 2 * _BORDER + _TEXT), _color(sample))
    tile.paste(picture, (_BORDER, _BORDER))
    draw = ImageDraw.Draw(tile)
    draw.rectangle((0, height + 2 * _BORDER, tile.width, tile.height), fill="white")
    draw.text((_BORDER, height + 2 * _BORDER), sample.asked, fill="black")
    return tile


def _color(sample: Sample | TaskSample) -> tuple[int, int, int]:
    found = sample.verdicts
    return _GREEN if all(found) else _ORANGE if any(found) else _RED


def column_sheet(
    titles: Sequence[str],
    rows: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]],
    side: int = 224,
) -> NDArray[np.uint8]:
    """Sheet (H, W, 3): a title over every column, and rows of (caption, one square picture
    (S, S, 3) a column), each shown `side` pixels wide. Raises UsageError for a row of another
    length."""
    step = side + _GAP
    height = _CAPTION + len(rows) * (step + _CAPTION)
    sheet = Image.new("RGB", (_GAP + len(titles) * step, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_LETTERS)
    for column, title in enumerate(titles):
        draw.text((_GAP + column * step + side / 2, _CAPTION / 2), title, "black", font, "mm")
    for number, (caption, pictures) in enumerate(rows):
        if len(pictures) != len(titles):
            raise UsageError(f"row '{caption}': has not {len(titles)} pictures; give one a column")
        top = _CAPTION + number * (step + _CAPTION)
        for column, picture in enumerate(pictures):
            shown = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(shown, (_GAP + column * step, top))
        draw.text((_GAP, top + side + _CAPTION / 2), caption, "black", font, "lm")
    return np.asarray(sheet)
