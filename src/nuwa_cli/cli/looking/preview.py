"""`--preview FILE`: what there is so far, in a file that a viewer may watch.

The file is replaced as a whole, at most twice a second, so a viewer never meets half a picture; one
that reloads by itself (feh, gthumb, VS Code, a browser) shows the work as it grows. A clip is a strip
of its frames, of several outputs each has a row, and what has not been made yet is grey.

Invariant: `close` leaves the last state, complete; a preview that failed to be written costs nothing
but itself, except for its first writing, which the user can still mend.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nuwa_cli.errors import OutputError, UsageError
from nuwa_cli.media.atomic import check_output
from nuwa_cli.media.naming import check_suffix

if TYPE_CHECKING:
    from nuwa_cli.media.contact_sheet import Sheet

INTERVAL = 0.5
"""Seconds between two writings, at least."""

_SIDE = 256  # pixels of a tile, at most
_MOST_TILES = 64  # on a preview; of more outputs the latest are shown, of more frames some
_MOST_KEPT = 512
_FRAMES_IN_ROW = 8
_GAP = 2
_PAPER, _WAITING = 250, 200  # greys of the gaps, and of what is not made yet


class Preview:
    """The picture of a run in progress, rewritten while frames arrive."""

    def __init__(
        self,
        path: Path,
        num_orders: int = 1,
        num_frames: int | None = 1,
        *,
        force: bool = False,
        others: Sequence[Path] = (),
    ) -> None:
        """Check the name; `num_frames` is of each output, None if that will show.

        Raises UsageError for a suffix of no picture and for a name that is in `others`, OutputError
        for one that cannot be written.
        """
        check_suffix(path, "image")
        if any(other.absolute() == path.absolute() for other in others):
            raise UsageError(f"preview '{path}': is an output as well; give it another name")
        check_output(path, force=force)
        self.path = path
        self._num_orders, self._num_frames = num_orders, num_frames
        self._force = force
        self._tiles: dict[tuple[int, int], Sheet] = {}
        self._is_stale = False
        self._written_at = -math.inf

    def frame(self, order: int, index: int, pixels: Sheet) -> None:
        """Frame `index` of output `order`, uint8 (H, W, 3); fewer lines while it grows.

        The same frame may come again. Raises OutputError if the first preview cannot be written.
        """
        self._tiles[order, index] = pixels.copy()
        while len(self._tiles) > _MOST_KEPT:
            del self._tiles[min(self._tiles)]
        self._is_stale = True
        if time.monotonic() - self._written_at >= INTERVAL:
            self._write()

    def close(self) -> None:
        """Write what has not been written yet; the file stays. Raises OutputError as `frame`."""
        if self._is_stale:
            self._write()

    def _write(self) -> None:
        from nuwa_cli.media.image import write_image

        is_first = self._written_at == -math.inf
        try:
            write_image(self.path, self._picture(), force=self._force or not is_first)
        except OutputError:
            if is_first:
                raise
        self._is_stale = False
        self._written_at = time.monotonic()  # after the writing: a slow disk is not kept busy

    def _picture(self) -> Sheet:
        """All tiles (H, W, 3): frames from left to right, outputs below each other."""
        import numpy as np

        from nuwa_cli.media.contact_sheet import shrunk

        height = max(tile.shape[0] for tile in self._tiles.values())
        width = max(tile.shape[1] for tile in self._tiles.values())
        side = min(_SIDE, max(height, width))
        cell = shrunk(np.full((height, width, 3), _WAITING, np.uint8), side)
        places, columns = self._places()
        rows = -(-len(places) // columns)
        down, right = cell.shape[0] + _GAP, cell.shape[1] + _GAP
        sheet = np.full((rows * down - _GAP, columns * right - _GAP, 3), _PAPER, np.uint8)
        for number, key in enumerate(places):
            top, left = number // columns * down, number % columns * right
            shown = cell
            if key in self._tiles:
                tile = self._tiles[key]
                whole = np.full((height, width, 3), _WAITING, np.uint8)
                whole[: tile.shape[0], : tile.shape[1]] = tile
                shown = shrunk(whole, side)
            sheet[top : top + shown.shape[0], left : left + shown.shape[1]] = shown
        return sheet

    def _places(self) -> tuple[list[tuple[int, int]], int]:
        """What stands where, (output, frame) in reading order, and how many stand in a row."""
        seen = 1 + max(index for _, index in self._tiles)
        slots = _slots(self._num_orders, self._num_frames or seen)
        # Of more outputs than there is room for, those up to the latest one.
        room = max(1, _MOST_TILES // len(slots))
        last = max(order for order, _ in self._tiles)
        first = max(0, min(last + 1, self._num_orders) - room)
        orders = range(first, min(first + room, self._num_orders))
        keys = [(order, slot) for order in orders for slot in slots]
        if len(slots) == 1:
            return keys, math.ceil(math.sqrt(len(keys)))
        return keys, len(slots) if len(orders) > 1 else min(len(keys), _FRAMES_IN_ROW)


def _slots(num_orders: int, num_frames: int) -> list[int]:
    """Frames of each output that have a place: all of a single clip, a few of each of several."""
    most = _MOST_TILES if num_orders == 1 else min(6, max(1, _MOST_TILES // num_orders))
    count = min(num_frames, most)
    return sorted({round(slot * (num_frames - 1) / max(count - 1, 1)) for slot in range(count)})
