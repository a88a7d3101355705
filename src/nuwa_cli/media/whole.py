"""Whether a file is as long as it says it is: what was cut off, be it the last byte, is seen.

Decoders are patient with ends: they show all frames of a clip whose index or metadata is gone. Here the
outermost structure of each format is asked, a few bytes at a time; nothing is decoded. (An MP4 that was
cut exactly between two of its boxes is whole by this measure.)
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import IO

_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_JPEG_END = b"\xff\xd9"
_GIF_END = b";"
_EBML, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"
_MAX_BOXES = 1_000_000


def is_whole(path: Path, form: str) -> bool:
    """Whether a file of a format (as `probe` names it) has its end. Raises OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            return _CHECKS[form](file, size)
        except struct.error:  # it ends in the middle of a number
            return False


def _ends_with(end: bytes) -> Callable[[IO[bytes], int], bool]:
    def check(file: IO[bytes], size: int) -> bool:
        file.seek(max(size - len(end), 0))
        return file.read() == end

    return check


def _is_riff(file: IO[bytes], size: int) -> bool:
    kind, length = struct.unpack("<4sI", file.read(8))
    return kind == b"RIFF" and length + length % 2 + 8 == size


def _has_boxes(file: IO[bytes], size: int) -> bool:
    """Boxes of an MP4 one after the other, the last of which ends where the file does."""
    place = 0
    for _ in range(_MAX_BOXES):
        if place >= size:
            break
        file.seek(place)
        (length,) = struct.unpack(">I4x", file.read(8))
        if length == 1:  # a long one: its length follows
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8:  # 0: to the end of the file, which may be anywhere
            return False
        place += length
    return 0 < place == size


def _has_segment(file: IO[bytes], size: int) -> bool:
    """The head of a WebM, and the one element that all else is in."""
    for name in (_EBML, _SEGMENT):
        if file.read(4) != name:
            return False
        length = _vint(file)
        if name == _SEGMENT:
            return length is not None and file.tell() + length == size
        file.seek(length or 0, 1)
    return False


def _vint(file: IO[bytes]) -> int | None:
    """A number of Matroska: as many bytes as its first one has leading zeros, and one more."""
    (first,) = struct.unpack("B", file.read(1))
    more = 8 - first.bit_length()
    if more > 7:
        return None
    rest = file.read(more)
    if len(rest) < more:
        return None
    bits = 7 * (more + 1)
    value = int.from_bytes(bytes([first]) + rest) & ((1 << bits) - 1)
    return None if value == (1 << bits) - 1 else value  # all ones: unknown


_CHECKS: dict[str, Callable[[IO[bytes], int], bool]] = {
    "png": _ends_with(_PNG_END),
    "apng": _ends_with(_PNG_END),
    "jpg": _ends_with(_JPEG_END),
    "gif": _ends_with(_GIF_END),
    "webp": _is_riff,
    "mp4": _has_boxes,
    "webm": _has_segment,
}
