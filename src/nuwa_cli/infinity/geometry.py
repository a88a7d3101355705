"""Where everything lies: the source, what grows around it, cells, and pixels of the result.

A source of any size is worked on at a scale where its shorter side is the model's picture (16 cells of 16
pixels in the storybook model) and its longer side a whole number of cells. What grows around it is drawn in
cells of that scale, and brought back along each axis by the ratio of the source's own sides, so that the
source's rectangle of cells falls exactly on the source's own pixels, which are copied and never resampled.

    cells     rows and columns of the canvas, the source and all that grows; (0, 0) is its top left cell
    working   pixels of the model's scale, `cell` of them a cell, same origin
    result    pixels that the user gets, in the source's own size; the last cells may reach beyond them

Invariant: rectangles of cells that tile the canvas become rectangles of pixels that tile the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from nuwa_cli.errors import UsageError

MAX_SIDE = 2**31 - 1
"""Pixels: no picture format holds more."""

_LEAST_SIDE = 4  # pixels: in a thinner source there is nothing to go on from


@dataclass(frozen=True)
class Rect:
    """A rectangle, of cells or of pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        return self.top + self.height

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def area(self) -> int:
        return self.height * self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, for an array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def overlap(self, other: Rect) -> Rect:
        """What two rectangles share; of area 0 where they share nothing."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Rect(top, left, max(bottom - top, 0), max(right - left, 0))

    def grown(self, by: int) -> Rect:
        """The rectangle with `by` more on each side."""
        return Rect(self.top - by, self.left - by, self.height + 2 * by, self.width + 2 * by)

    def seen_from(self, other: Rect) -> Rect:
        """The same rectangle, counted from the top left corner of another."""
        return Rect(self.top - other.top, self.left - other.left, self.height, self.width)

    def scaled(self, factor: int) -> Rect:
        """Every side times a whole factor: cells to working pixels."""
        return Rect(*(side * factor for side in (self.top, self.left, self.height, self.width)))


@dataclass(frozen=True)
class Margins:
    """How far a source grows on each side, in its own pixels. Raises UsageError when negative."""

    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0

    def __post_init__(self) -> None:
        for name, side in (
            ("left", self.left),
            ("up", self.top),
            ("right", self.right),
            ("down", self.bottom),
        ):
            if side < 0:
                raise UsageError(f"{name} '{side}': is negative; give 0 or more pixels")

    def __bool__(self) -> bool:
        return any((self.left, self.top, self.right, self.bottom))


@dataclass(frozen=True)
class Canvas:
    """The plan of one extension."""

    cell: int  # working pixels along a cell
    side: int  # cells along the model's square
    margins: Margins
    source_height: int  # pixels
    source_width: int
    source: Rect  # cells
    rows: int  # cells
    columns: int

    @property
    def cells(self) -> Rect:
        """The whole canvas, in cells."""
        return Rect(0, 0, self.rows, self.columns)

    @property
    def height(self) -> int:
        """Of the result, in pixels."""
        return self.margins.top + self.source_height + self.margins.bottom

    @property
    def width(self) -> int:
        """Of the result, in pixels."""
        return self.margins.left + self.source_width + self.margins.right

    @property
    def source_pixels(self) -> Rect:
        """Where the source stands in the result."""
        return Rect(self.margins.top, self.margins.left, self.source_height, self.source_width)

    def result_rect(self, cells: Rect) -> Rect:
        """The pixels of the result that a rectangle of cells becomes; may be empty."""
        top, bottom = (self._row_of(row) for row in (cells.top, cells.bottom))
        left, right = (self._column_of(column) for column in (cells.left, cells.right))
        return Rect(top, left, bottom - top, right - left)

    def working_box(self, pixels: Rect) -> tuple[float, float, float, float]:
        """The (left, top, right, bottom) in working pixels that pixels of the result show."""
        across = self.source.width * self.cell / self.source_width
        down = self.source.height * self.cell / self.source_height
        left, top = self.source.left * self.cell, self.source.top * self.cell
        return (
            left + (pixels.left - self.margins.left) * across,
            top + (pixels.top - self.margins.top) * down,
            left + (pixels.right - self.margins.left) * across,
            top + (pixels.bottom - self.margins.top) * down,
        )

    def _row_of(self, row: int) -> int:
        edge = _scaled(row - self.source.top, self.source_height, self.source.height)
        return min(max(edge + self.margins.top, 0), self.height)

    def _column_of(self, column: int) -> int:
        edge = _scaled(column - self.source.left, self.source_width, self.source.width)
        return min(max(edge + self.margins.left, 0), self.width)


def plan_canvas(height: int, width: int, margins: Margins, *, side: int, cell: int) -> Canvas:
    """The canvas of a source of (height, width) pixels that grows by `margins`.

    Args:
        side: cells along the model's square.
        cell: pixels along a cell.

    Raises UsageError for a source too thin to go on from, and for a result that no file holds.
    """
    short, long = sorted((height, width))
    if short < _LEAST_SIDE:
        raise UsageError(
            f"picture of {width}x{height} pixels: is too thin to go on from; "
            f"give one of at least {_LEAST_SIDE} pixels a side"
        )
    for name, length in (
        ("width", width + margins.left + margins.right),
        ("height", height + margins.top + margins.bottom),
    ):
        if length > MAX_SIDE:
            raise UsageError(f"{name} '{length}': no picture file holds it; give less")
    longer = max(_scaled(long, side, short), side)
    rows, columns = (side, longer) if height == short else (longer, side)
    left, right = (_cells(margin, columns, width) for margin in (margins.left, margins.right))
    top, bottom = (_cells(margin, rows, height) for margin in (margins.top, margins.bottom))
    return Canvas(
        cell=cell,
        side=side,
        margins=margins,
        source_height=height,
        source_width=width,
        source=Rect(top, left, rows, columns),
        rows=top + rows + bottom,
        columns=left + columns + right,
    )


def _scaled(count: int, to: int, per: int) -> int:
    """count · to / per, rounded half up, exactly."""
    return (2 * count * to + per) // (2 * per)


def _cells(pixels: int, cells: int, length: int) -> int:
    """As many cells as it takes to cover pixels, where `length` pixels are `cells` cells."""
    return -(-pixels * cells // length)
