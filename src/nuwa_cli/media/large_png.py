"""The recipe of a PNG that is too large to be opened: `nuwa extend` makes pictures of any size.

Every reader of ours refuses more than `MAX_PIXELS`, because a small file may ask for much memory. To know
what such a file is, no pixel is needed: its head says how large it is, and our recipe stands in front of
the pixels. So chunks are walked up to the first of those, a few bytes each, and nothing is inflated.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import IO, Any

from nuwa_cli.errors import InputError
from nuwa_cli.media.metadata import MAX_TEXT, RECIPE_KEY, parse_recipe
from nuwa_cli.media.probe import MAX_PIXELS, probe

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 1000  # in front of the pixels
_IHDR_BYTES = 13
_TEXT_HEAD = RECIPE_KEY.encode() + b"\0\0\0\0\0"  # not compressed, no language, no translation


def probe_any_size(path: Path) -> dict[str, Any]:
    """`probe`, for PNGs of any size too. Raises InputError."""
    try:
        return probe(path)
    except InputError:
        facts = _probe_large(path)
        if facts is None:
            raise
        return facts


def _probe_large(path: Path) -> dict[str, Any] | None:
    """Facts of a PNG of more than `MAX_PIXELS`; None for any other or a damaged one."""
    try:
        with path.open("rb") as file:
            if file.read(len(_SIGNATURE)) != _SIGNATURE:
                return None
            kind, head = _chunk(file)
            if kind != b"IHDR" or len(head) != _IHDR_BYTES:
                return None
            width, height = struct.unpack_from(">II", head)
            if width * height <= MAX_PIXELS:
                return None
            text = _find_text(file)
    except (OSError, struct.error):
        return None
    return {
        "path": str(path),
        "format": "png",
        "width": width,
        "height": height,
        "frames": 1,
        "fps": None,
        "recipe": parse_recipe(text),
    }


def _find_text(file: IO[bytes]) -> bytes | None:
    """The text of our chunk in front of the pixels. Raises struct.error at the end of the file."""
    for _ in range(_MAX_CHUNKS):
        kind, content = _chunk(file)
        if kind in (b"IDAT", b"IEND"):
            break
        if kind == b"iTXt" and content.startswith(_TEXT_HEAD):
            return content[len(_TEXT_HEAD) :]
    return None


def _chunk(file: IO[bytes]) -> tuple[bytes, bytes]:
    """Kind and content of the next chunk; no content where it is long or damaged."""
    length, kind = struct.unpack(">I4s", file.read(8))
    if length > MAX_TEXT or kind == b"IDAT":
        file.seek(length + 4, 1)
        return kind, b""
    content = file.read(length)
    (checksum,) = struct.unpack(">I", file.read(4))
    return kind, content if zlib.crc32(kind + content) == checksum else b""
