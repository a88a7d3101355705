"""Pictures that nobody should send: bombs, foreign formats, damaged ones. All are small files."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image


def photo(height: int = 24, width: int = 32) -> np.ndarray[Any, Any]:
    """A picture with a gradient in each channel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 8, y * 10, 255 - x * 4 - y], axis=-1).clip(0, 255).astype(np.uint8)


def encoded(form: str, picture: Image.Image | None = None, **settings: Any) -> bytes:
    """A picture in a format of Pillow."""
    buffer = io.BytesIO()
    (picture or Image.fromarray(photo())).save(buffer, form, **settings)
    return buffer.getvalue()


def png(width: int, height: int, rows: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG by hand: what it says of itself need not be so."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def patched(content: bytes, place: int, form: str, *values: int) -> bytes:
    """The same with other numbers at a place."""
    return content[:place] + struct.pack(form, *values) + content[place + struct.calcsize(form) :]


def tiff(*, strips: int, side: int) -> bytes:
    """A grey TIFF that claims many strips; all lie at one place."""
    tags = [(256, 4, 1, side), (257, 4, 1, side), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    start = 8 + 2 + 12 * (len(tags) + 3) + 4
    tags += [(273, 4, strips, start), (278, 4, 1, 1), (279, 4, strips, start + 4 * strips)]
    body = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    offsets = struct.pack("<I", start) * strips + struct.pack("<I", 1) * strips
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + body + bytes(4) + offsets + b"x"


def bombs() -> dict[str, bytes]:
    """Small files of giant pictures, by their name."""
    jpeg, bmp, gif = encoded("JPEG"), encoded("BMP"), encoded("GIF")
    frame = jpeg.index(b"\xff\xc0") + 5
    return {
        "20000.png": png(20_000, 20_000, bytes(1000)),
        "13000.png": png(13_000, 13_000, bytes(1000)),
        "9000.png": png(9000, 9000, bytes(1000)),
        "wide.png": png(1 << 30, 1, b"\0"),
        "tall.png": png(1, 1 << 30, b"\0"),
        "zero.png": png(0, 32, b"\0"),
        "negative.bmp": patched(bmp, 18, "<ii", -20_000, 20_000),
        "20000.bmp": patched(bmp, 18, "<ii", 20_000, 20_000),
        "zero.bmp": patched(bmp, 18, "<ii", 32, 0),
        "65535.gif": patched(gif, 6, "<HH", 65_535, 65_535),
        "65535.jpg": patched(jpeg, frame, ">HH", 65_535, 65_535),
        "16383.webp": webp_of(16_383, 16_383),
        "strips.tif": tiff(strips=1_000_000 // 8, side=1 << 17),
        "text.png": with_text_bomb(),
    }


def webp_of(width: int, height: int) -> bytes:
    """A WebP with an extended header that claims a size."""
    content = encoded(
        "WEBP", Image.fromarray(photo()).convert("RGBA"), lossless=True, exif=b"x" * 8
    )
    place = content.index(b"VP8X") + 12
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return content[:place] + sizes + content[place + 6 :]


def with_text_bomb() -> bytes:
    """A PNG whose compressed text is 500 MB long."""
    good = encoded("PNG")
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(500)) + packer.flush()
    body = b"nuwa\0\0" + packed
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    return good[:33] + chunk + good[33:]


FOREIGN: dict[str, Callable[[], bytes]] = {
    "a.eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n",
    "a.pdf": lambda: b"%PDF-1.4\n1 0 obj<<>>endobj\n",
    "a.svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "a.psd": lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(40),
    "a.fits": lambda: b"SIMPLE  =                    T".ljust(2880),
    "a.ico": lambda: encoded("ICO"),
    "a.ppm": lambda: encoded("PPM"),
    "a.tga": lambda: encoded("TGA"),
    "a.jp2": lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "a.xbm": lambda: b"#define a_width 8\n#define a_height 1\nstatic char a_bits[] = {0};\n",
    "a.avif": lambda: b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(40),
    "a.heic": lambda: b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40),
    "a.html": lambda: b"<!doctype html><p>no",
    "a.wmf": lambda: b"\xd7\xcd\xc6\x9a" + bytes(60),
    "a.mpo.exe": lambda: b"MZ" + bytes(200),
}
