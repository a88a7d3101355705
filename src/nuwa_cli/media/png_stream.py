"""PNG row by row: pictures of any size in bounded memory, and a check of what was written.

Pillow writes a PNG from a whole picture in memory. Here rows come in blocks; each row gets the filter
whose residuals have the least sum (the usual heuristic), all rows of a block at once in numpy, and
goes through one zlib stream into IDAT chunks of bounded size. Chunks of metadata are those of
`media.metadata`.

The check (`holds_rows`) inflates the file again and compares it with the rows *filtered*: filtering is
one to one given what stands left and above, so equal residuals mean that every reader gets exactly
these pixels. It needs no undoing of filters, which is sequential and slow, and no picture in memory.

Invariants: memory is that of a few blocks of rows, whatever the height; bytes are a function of pixels
and recipe alone, however the rows are cut into blocks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from nuwa_cli.media.atomic import atomic_write
from nuwa_cli.media.metadata import Recipe, png_chunks
from nuwa_cli.media.naming import check_suffix

Rows = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (k, W, 3): a block of whole rows."""

BLOCK_BYTES = 1 << 19
"""How large a block of rows should be, unless one row alone is larger."""

_MAX_ROWS = 256
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = 3
_RGB_8_BITS = (8, 2, 0, 0, 0)  # depth, colour type, then deflate, adaptive filters, not interlaced
_NUM_FILTERS = 5  # none, sub, up, average, Paeth: the numbers of the format
_LEVEL = 6
_IDAT_BYTES = 1 << 16
_TILE_BYTES = 1 << 15  # temporaries of the filters stay in the cache of a core


def rows_at_once(width: int) -> int:
    """How many rows of `width` pixels make a block."""
    return max(1, min(_MAX_ROWS, BLOCK_BYTES // (width * _CHANNELS)))


def write_png(
    path: Path,
    rows: Iterable[Rows],
    height: int,
    width: int,
    recipe: Recipe | None = None,
    *,
    force: bool = False,
) -> None:
    """Write blocks of rows (k, `width`, 3), `height` rows in all, as they come.

    Raises UsageError unless the name is that of a PNG, OutputError when the file cannot be written.
    """
    check_suffix(path, "image")
    with atomic_write(path, force=force) as pending:
        for part in png_parts(rows, height, width, recipe):
            pending.file.write(part)


def png_parts(
    rows: Iterable[Rows], height: int, width: int, recipe: Recipe | None = None
) -> Iterator[bytes]:
    """The bytes of a PNG of blocks of rows (k, `width`, 3), `height` rows in all, piece by piece."""
    yield _SIGNATURE
    yield _chunk(b"IHDR", struct.pack(">II5B", width, height, *_RGB_8_BITS))
    if recipe is not None:
        for name, content, *_ in png_chunks(recipe).chunks:
            yield _chunk(name, content)
    for content in _deflated(_lines(rows, height, width)):
        yield _chunk(b"IDAT", content)
    yield _chunk(b"IEND", b"")


def holds_rows(path: Path, rows: Iterable[Rows], height: int, width: int) -> bool:
    """Whether a PNG of `write_png` shows exactly these blocks of rows (k, `width`, 3).

    False, too, for a file that is damaged or has another form. Raises OSError when it cannot be read.
    """
    above = np.zeros((1, width, _CHANNELS), dtype=np.uint8)
    with path.open("rb") as file:
        try:
            stream = _Inflated(file, height, width)
            for block in rows:
                size = len(block) * (1 + width * _CHANNELS)
                lines = np.frombuffer(stream.read(size), dtype=np.uint8).reshape(len(block), -1)
                kinds = lines[:, 0]
                if kinds.max() >= _NUM_FILTERS:
                    return False
                residuals, _ = _filtered(block, above)
                if not np.array_equal(residuals[kinds, np.arange(len(block))], lines[:, 1:]):
                    return False
                above = block[-1:]
            return stream.is_at_end()
        except (_DamagedError, zlib.error, struct.error):
            return False


def _lines(rows: Iterable[Rows], height: int, width: int) -> Iterator[bytes]:
    """Blocks of rows as the format has them: the number of the filter, then the residuals."""
    above = np.zeros((1, width, _CHANNELS), dtype=np.uint8)
    count = 0
    for block in rows:
        assert block.dtype == np.uint8 and block.shape[1:] == (width, _CHANNELS), block.shape
        residuals, sums = _filtered(block, above)
        kinds = sums.argmin(axis=0)
        lines = np.empty((len(block), 1 + width * _CHANNELS), dtype=np.uint8)
        lines[:, 0] = kinds
        lines[:, 1:] = residuals[kinds, np.arange(len(block))]
        yield lines.tobytes()
        above = block[-1:]
        count += len(block)
    assert count == height, (count, height)


def _filtered(block: Rows, above: Rows) -> tuple[Rows, np.ndarray[Any, np.dtype[np.int64]]]:
    """All filters of a block under the row `above`: residuals (5, k, 3W), their sums (5, k)."""
    count = len(block)
    padded = np.zeros((count + 1, (block.shape[1] + 1) * _CHANNELS), dtype=np.uint8)
    padded[0, _CHANNELS:] = above.reshape(-1)
    padded[1:, _CHANNELS:] = block.reshape(count, -1)
    length = padded.shape[1] - _CHANNELS
    residuals = np.empty((_NUM_FILTERS, count, length), dtype=np.uint8)
    sums = np.zeros((_NUM_FILTERS, count), dtype=np.int64)
    step = max(1, _TILE_BYTES // count)
    for start in range(0, length, step):
        stop = min(start + step, length)
        before, here = slice(start, stop), slice(start + _CHANNELS, stop + _CHANNELS)
        tile = residuals[:, :, before]
        rows, above_rows = padded[1:], padded[:-1]
        _filter_tile(
            rows[:, here], rows[:, before], above_rows[:, here], above_rows[:, before], tile
        )
        # The size of a residual taken as a signed byte.
        sums += np.minimum(tile, -tile).sum(axis=2, dtype=np.int64)
    return residuals, sums


def _filter_tile(raw: Rows, left: Rows, up: Rows, corner: Rows, residuals: Rows) -> None:
    """Fill `residuals` (5, k, n) of the bytes `raw` (k, n); `uint8` wraps around as the format does."""
    residuals[0] = raw
    np.subtract(raw, left, out=residuals[1])
    np.subtract(raw, up, out=residuals[2])
    # The mean of two bytes without a ninth bit.
    np.subtract(raw, (left & up) + ((left ^ up) >> 1), out=residuals[3])
    wide_left, wide_up, wide_corner = (part.astype(np.int16) for part in (left, up, corner))
    to_left, to_up = wide_up - wide_corner, wide_left - wide_corner
    to_corner = np.abs(to_left + to_up)
    to_left, to_up = np.abs(to_left), np.abs(to_up)
    guess = np.where(to_up <= to_corner, up, corner)
    guess = np.where((to_left <= to_up) & (to_left <= to_corner), left, guess)
    np.subtract(raw, guess, out=residuals[4])


def _deflated(parts: Iterable[bytes]) -> Iterator[bytes]:
    """One zlib stream in pieces of `_IDAT_BYTES`, the last one shorter."""
    packer = zlib.compressobj(_LEVEL)
    waiting = bytearray()
    for part in parts:
        waiting += packer.compress(part)
        while len(waiting) >= _IDAT_BYTES:
            yield bytes(waiting[:_IDAT_BYTES])
            del waiting[:_IDAT_BYTES]
    waiting += packer.flush()
    for start in range(0, len(waiting), _IDAT_BYTES):
        yield bytes(waiting[start : start + _IDAT_BYTES])


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


class _DamagedError(Exception):
    """The file is not what `write_png` writes."""


class _Inflated:
    """The filtered rows of a PNG, a few at a time."""

    def __init__(self, file: IO[bytes], height: int, width: int) -> None:
        self._file = file
        self._unpacker = zlib.decompressobj()
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise _DamagedError
        if self._chunk() != (b"IHDR", struct.pack(">II5B", width, height, *_RGB_8_BITS)):
            raise _DamagedError

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        found = bytearray()
        packed = self._unpacker.unconsumed_tail
        while len(found) < size:
            packed = packed or self._next_data()
            found += self._unpacker.decompress(packed, size - len(found))
            packed = self._unpacker.unconsumed_tail
        return bytes(found)

    def is_at_end(self) -> bool:
        """Whether nothing follows but what closes the stream and the file."""
        packed = self._unpacker.unconsumed_tail
        while not self._unpacker.eof:
            packed = packed or self._next_data()
            if self._unpacker.decompress(packed, 1):
                return False
            packed = self._unpacker.unconsumed_tail
        return self._chunk() == (b"IEND", b"") and not self._file.read(1)

    def _next_data(self) -> bytes:
        """The content of the next IDAT chunk."""
        while True:
            name, content = self._chunk()
            if name == b"IDAT" and content:
                return content
            if name == b"IEND":
                raise _DamagedError

    def _chunk(self) -> tuple[bytes, bytes]:
        length, name = struct.unpack(">I4s", self._file.read(8))
        content = self._file.read(length)
        (crc,) = struct.unpack(">I", self._file.read(4))
        if len(content) != length or crc != zlib.crc32(content, zlib.crc32(name)):
            raise _DamagedError
        return name, content
