"""The contact sheet: every figure on a card, clips as a few of their frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from panels import Figure, Panel
from PIL import Image, ImageDraw, ImageFont, ImageOps

WIDTH, MARGIN, GUTTER, PADDING, GAP = 1480, 32, 20, 18, 8
TITLE, LABEL = 46, 22  # heights: of the heading of a card, of the labels below a row
COLUMNS = 8
SCALE = 4  # at which rounded corners are drawn before they are made small

PAPER, CARD, LINE = "#f2f3f5", "#ffffff", "#e2e4e8"
INK, MUTED, ACCENT = "#1c1f24", "#6a7079", "#2f6fd6"


@dataclass(frozen=True)
class Card:
    """A figure with its place on the sheet: left, top, width, height of the card, side of a tile."""

    figure: Figure
    left: int
    top: int
    width: int
    height: int
    tile: int


def contact_sheet(figures: list[Figure], heading: str, below: str) -> Image.Image:
    """All figures under a heading, as wide as eight tiles."""
    cards = _arranged(figures, top=MARGIN + 78)
    height = max(card.top + card.height for card in cards) + MARGIN
    sheet = Image.new("RGB", (WIDTH, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN - 2), heading, INK, _font(36))
    pen.text((MARGIN, MARGIN + 43), below, MUTED, _font(17))
    for card in cards:
        _draw(sheet, card)
    return sheet


def _arranged(figures: list[Figure], top: int) -> list[Card]:
    """Cards from left to right, then below; cards of one row of the sheet have one height."""
    cards: list[Card] = []
    row: list[Card] = []
    used = 0
    for figure in [*figures, None]:
        if figure is None or used + figure.width > COLUMNS:
            height = max(card.height for card in row)
            cards += [Card(c.figure, c.left, top, c.width, height, c.tile) for c in row]
            top, used, row = top + height + GUTTER, 0, []
        if figure is not None:
            width = _card_width(figure.width)
            left = MARGIN + used * (_card_width(1) + GUTTER)
            tile = (width - 2 * PADDING - (figure.width - 1) * GAP) // figure.width
            height = 2 * PADDING + TITLE + sum(_row_height(r, tile) for r in figure.rows) - GAP
            row.append(Card(figure, round(left), top, round(width), height, int(tile)))
            used += figure.width
    return cards


def _card_width(columns: int) -> float:
    whole = WIDTH - 2 * MARGIN
    return (whole + GUTTER) * columns / COLUMNS - GUTTER


def _row_height(row: tuple[Panel, ...], tile: float) -> int:
    return int(tile) + GAP + (LABEL if any(panel.label and panel.frames for panel in row) else 0)


def _draw(sheet: Image.Image, card: Card) -> None:
    pen = ImageDraw.Draw(sheet)
    box = (card.left, card.top, card.left + card.width, card.top + card.height)
    pen.rounded_rectangle(box, 14, CARD, LINE)
    x, y = card.left + PADDING, card.top + PADDING
    _head(pen, card.figure, x, y)
    y += TITLE
    for row in card.figure.rows:
        left = x
        for panel in row:
            if panel.label and panel.frames:
                pen.text((left + 1, y + card.tile + 5), panel.label, MUTED, _font(14))
            size = (panel.span * (card.tile + GAP) - GAP, card.tile)
            for frame in panel.spread():
                sheet.paste(_tile(frame, size), (left, y), _corners(size))
                left += size[0] + GAP
        y += _row_height(row, card.tile)


def _head(pen: ImageDraw.ImageDraw, figure: Figure, x: float, y: float) -> None:
    """The name of the task on a pill, the title, and the prompt."""
    font = _font(14)
    wide = font.getlength(figure.task)
    pen.rounded_rectangle((x, y, x + wide + 16, y + 24), 12, ACCENT)
    pen.text((x + 8, y + 12), figure.task, "#ffffff", font, anchor="lm")
    x += wide + 28
    pen.text((x, y + 12), figure.title, INK, _font(20), anchor="lm")
    x += _font(20).getlength(figure.title) + 14
    words = figure.prompt_en or (figure.prompt and f"“{figure.prompt}”")
    pen.text((x, y + 13), words, MUTED, _font(17), anchor="lm")


def _tile(frame: np.ndarray, size: tuple[int, int]) -> Image.Image:
    picture = Image.fromarray(frame)
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS)


def _corners(size: tuple[int, int]) -> Image.Image:
    """A mask with rounded corners."""
    width, height = size[0] * SCALE, size[1] * SCALE
    large = Image.new("L", (width, height))
    ImageDraw.Draw(large).rounded_rectangle((0, 0, width - 1, height - 1), 6 * SCALE, 255)
    return large.resize(size, Image.Resampling.LANCZOS)


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The face that Pillow carries: the sheet looks the same on every machine."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font
