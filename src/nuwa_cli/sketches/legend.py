"""The palette of sketches as a picture to keep beside the paint program and pick colours from.

Every swatch is one flat patch of the exact colour, so an eyedropper anywhere inside it is right.
The picture is the same on every machine: Latin text uses the font inside Pillow, and the Chinese
names, which that font lacks, come drawn in `data/class-names-zh.png`: one row of 24 pixels a class,
Noto Sans CJK SC of 18 pixels on a baseline 19 pixels down.
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from nuwa_cli.sketches.palette import SKETCH_CLASSES, SketchClass

if TYPE_CHECKING:
    from PIL import Image

_COLUMNS = 8
_CARD, _SWATCH_HEIGHT, _CARD_HEIGHT = 148, 88, 156  # with the gap to the next card
_GAP, _RADIUS = 16, 10
_MARGIN, _HEAD = 40, 96
_NAME_HEIGHT = 24  # of a row of the drawn Chinese names

_PAPER, _INK, _FAINT, _EDGE = (250, 250, 248), (34, 34, 40), (118, 118, 126), (214, 214, 218)


def draw_legend() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """All classes with names and colours, uint8 (H, W, 3)."""
    from PIL import Image, ImageDraw

    rows = -(-len(SKETCH_CLASSES) // _COLUMNS)
    size = (2 * _MARGIN + _COLUMNS * _CARD - _GAP, _HEAD + rows * _CARD_HEIGHT + _MARGIN // 2)
    sheet = Image.new("RGB", size, _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, 48), "Sketch palette", _INK, _font(28), anchor="ls")
    advice = "One colour, one class. Paint flat areas with these colours, then: nuwa sketch2img"
    pen.text((_MARGIN, 76), advice, _FAINT, _font(17), anchor="ls")
    for index, entry in enumerate(SKETCH_CLASSES):
        row, column = divmod(index, _COLUMNS)
        _draw_card(sheet, _MARGIN + column * _CARD, _HEAD + row * _CARD_HEIGHT, index, entry)
    return np.asarray(sheet)


def _draw_card(sheet: Image.Image, left: int, top: int, index: int, entry: SketchClass) -> None:
    from PIL import ImageDraw

    width = _CARD - _GAP
    _round_box(sheet, (left - 1, top - 1), (width + 2, _SWATCH_HEIGHT + 2), _RADIUS + 1, _EDGE)
    _round_box(sheet, (left, top), (width, _SWATCH_HEIGHT), _RADIUS, entry.rgb)
    pen = ImageDraw.Draw(sheet)
    baseline = top + _SWATCH_HEIGHT + 21
    pen.text((left + 2, baseline), entry.name, _INK, _font(18), anchor="ls")
    names = _chinese_names()
    name = names.crop((0, index * _NAME_HEIGHT, names.width, (index + 1) * _NAME_HEIGHT))
    sheet.paste(_INK, (left + 1, baseline + 4), name)
    pen.text((left + width, baseline + 22), entry.hex, _FAINT, _font(14), anchor="rs")


def _round_box(
    sheet: Image.Image,
    corner: tuple[int, int],
    size: tuple[int, int],
    radius: int,
    colour: tuple[int, int, int],
) -> None:
    """A box with smooth round corners: drawn four times too large, then reduced."""
    from PIL import Image, ImageDraw

    width, height = size
    mask = Image.new("L", (4 * width, 4 * height), 0)
    ImageDraw.Draw(mask).rounded_rectangle(
        (0, 0, 4 * width - 1, 4 * height - 1), 4 * radius, fill=255
    )
    sheet.paste(colour, corner, mask.reduce(4))


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _chinese_names() -> Image.Image:
    from PIL import Image

    file = resources.files("nuwa_cli.sketches").joinpath("data", "class-names-zh.png")
    with file.open("rb") as stream, Image.open(stream) as picture:
        return picture.convert("L")
