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
from PIL import Image

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.samples import Sample, TaskSample
from nuwa_cli.media.contact_sheet import contact_sheet

ENGINE_TITLES = ("damaged", "zero-shot raster", "LIP", "original")
"""Columns of `completion.side_by_side`."""

_GREEN, _ORANGE, _RED = (40, 160, 60), (235, 150, 30), (205, 45, 45)
_COLUMNS, _SIDE = 8, 128


def sample_sheet(samples: Sequence[Sample | TaskSample]) -> NDArray[np.uint8]:
    """Sheet (H, W, 3) of all samples that carry a picture, in order; a clip's is a strip."""
    kept = [sample for sample in samples if sample.thumbnail]
    entries = [(_picture(sample)[None], sample.asked) for sample in kept]
    return contact_sheet(entries, _COLUMNS, side=_SIDE, colors=[_color(s) for s in kept])


def column_sheet(
    titles: Sequence[str],
    rows: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]],
    side: int = 224,
) -> NDArray[np.uint8]:
    """Sheet (H, W, 3): a title over every column, and rows of (caption, one square picture
    (S, S, 3) a column), each at most `side` pixels wide. Raises UsageError for a row of another
    length."""
    entries = []
    for caption, pictures in rows:
        if len(pictures) != len(titles):
            raise UsageError(f"row '{caption}': has not {len(titles)} pictures; give one a column")
        labels = [caption, *[""] * (len(titles) - 1)]
        entries += [(picture[None], label) for picture, label in zip(pictures, labels, strict=True)]
    return contact_sheet(entries, len(titles), side=side, titles=titles)


def _picture(sample: Sample | TaskSample) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sample.thumbnail))).convert("RGB"))


def _color(sample: Sample | TaskSample) -> tuple[int, int, int]:
    found = sample.verdicts
    return _GREEN if all(found) else _ORANGE if any(found) else _RED
