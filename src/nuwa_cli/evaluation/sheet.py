"""A sheet of samples with their verdicts, so that a person can check the judge.

The frame's colour says what the evaluator found: green, all that was asked; orange, some of it;
red, nothing. Below stands what was asked.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nuwa_cli.evaluation.samples import Sample, TaskSample

_GREEN, _ORANGE, _RED = (40, 160, 60), (235, 150, 30), (205, 45, 45)
_BORDER, _TEXT, _WIDTH = 3, 14, 1100


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
