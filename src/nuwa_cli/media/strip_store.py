"""The pixels of a picture larger than memory: pieces in at any place, whole rows out.

All pixels lie in one raw file, row after row, beside the output. It is an atomic write that is never
published: it has the hidden name and the lock of one, disappears when the block ends, however it
ends, and after `kill -9` the next writer of the same output removes it. For a picture that is sent to a
stream it is a temporary file without a name. Plain positioned writes, no memory map: pages of a map count
as resident memory.

Invariants: no pixel is written twice, and rows are given out only when all their pixels are there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.errors import OutputError
from nuwa_cli.media.atomic import atomic_write
from nuwa_cli.media.png_stream import Rows, rows_at_once

Box = tuple[int, int, int, int]
"""(top, left, height, width) in pixels."""

_CHANNELS = 3
_SPARE = 16 << 20  # bytes that stay free: metadata, a journal, what others write meanwhile


def check_space(path: Path, height: int, width: int, *, is_sent: bool = False) -> None:
    """Raise OutputError unless the pixels and a PNG of them, at worst as large, fit beside `path`; of a
    picture that is sent to a stream only its pixels are stored, and elsewhere."""
    needed = (1 if is_sent else 2) * height * width * _CHANNELS + _SPARE
    try:
        free = shutil.disk_usage(_scratch_folder() if is_sent else path.parent).free
    except OSError:  # it will be said when the folder is written to
        return
    if free < needed:
        advice = "set TMPDIR to a folder that has them" if is_sent else "free some space"
        raise OutputError(
            f"output '{path}': {width}x{height} pixels need {_size(needed)} for a while, {_size(free)} "
            f"are free; {advice}, or make it smaller"
        )


@contextlib.contextmanager
def strip_store(
    path: Path, height: int, width: int, *, force: bool = False
) -> Iterator[StripStore]:
    """A store of (height, width) pixels beside the output `path`, removed at the end of the block.

    Raises OutputError when `path` cannot be written, when it exists and `force` is not given, and
    when the disk is full.
    """
    with contextlib.suppress(_NeverPublished), atomic_write(path, force=force) as pending:
        os.ftruncate(pending.descriptor, height * width * _CHANNELS)
        yield StripStore(pending.descriptor, height, width)
        raise _NeverPublished


@contextlib.contextmanager
def nameless_store(height: int, width: int) -> Iterator[StripStore]:
    """A store of (height, width) pixels for a picture that is sent to a stream. Nothing of it is left behind,
    whatever happens. Raises OutputError when there is no room for it."""
    import tempfile  # slow to import

    try:
        with tempfile.TemporaryFile(prefix="nuwa-") as file:
            os.ftruncate(file.fileno(), height * width * _CHANNELS)
            yield StripStore(file.fileno(), height, width)
    except BrokenPipeError:  # of the stream, where nobody reads on
        raise
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise OutputError(
            f"temporary file: {why}; set TMPDIR to a folder that has room for the picture"
        ) from error


def _scratch_folder() -> str:
    import tempfile

    return tempfile.gettempdir()


class StripStore:
    """Pixels (height, width, 3) in an open file."""

    def __init__(self, descriptor: int, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._descriptor = descriptor
        self._boxes: list[Box] = []

    def write(self, top: int, left: int, pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
        """Put a piece uint8 (h, w, 3) where it belongs; pieces never overlap."""
        height, width = pixels.shape[:2]
        assert pixels.dtype == np.uint8 and pixels.shape[2:] == (_CHANNELS,), pixels.shape
        assert 0 <= top <= self.height - height and 0 <= left <= self.width - width, (top, left)
        if not pixels.size:
            return
        assert not self._share((top, left, height, width)), "pieces overlap"
        self._boxes.append((top, left, height, width))
        if width == self.width:
            self._put(top, left, pixels.tobytes())
            return
        for row, content in enumerate(pixels, top):
            self._put(row, left, content.tobytes())

    def is_complete(self, box: Box) -> bool:
        """Whether every pixel of a box was written."""
        return self._share(box) == box[2] * box[3]

    def rows(self, box: Box | None = None) -> Iterator[Rows]:
        """The rows of a box, or of all, in blocks (k, w, 3) of bounded size."""
        top, left, height, width = box or (0, 0, self.height, self.width)
        assert self.is_complete((top, left, height, width)), "pixels are missing"
        step = rows_at_once(width)
        for start in range(0, height, step):
            count = min(step, height - start)
            if width == self.width:
                content = self._get(top + start, 0, count * width)
            else:
                rows = range(top + start, top + start + count)
                content = b"".join(self._get(row, left, width) for row in rows)
            yield np.frombuffer(content, dtype=np.uint8).reshape(count, width, _CHANNELS)

    def _share(self, box: Box) -> int:
        """How many pixels of a box were written."""
        top, left, height, width = box
        return sum(
            max(0, min(top + height, y + h) - max(top, y))
            * max(0, min(left + width, x + w) - max(left, x))
            for y, x, h, w in self._boxes
        )

    def _offset(self, row: int, column: int) -> int:
        return (row * self.width + column) * _CHANNELS

    def _put(self, row: int, column: int, content: bytes) -> None:
        offset = self._offset(row, column)
        while content:  # a disk that fills up takes a part, then refuses
            written = os.pwrite(self._descriptor, content, offset)
            content, offset = content[written:], offset + written

    def _get(self, row: int, column: int, count: int) -> bytes:
        return os.pread(self._descriptor, count * _CHANNELS, self._offset(row, column))


class _NeverPublished(Exception):
    """Ends the atomic write of a scratch file."""


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 10**9 else f"{count / 1e6:.0f} MB"
