"""Damage with a plan: most changes hit places where a format keeps its sizes, types and offsets.

Every change is a function of a seed and a number, so a case is told by two integers.
"""

from __future__ import annotations

import json
import random
import re
import struct
import zlib
from typing import Any

INTERESTING = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 1 << 16, 1 << 24)
INTERESTING += (0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

_BOXES = re.compile(
    rb"ftyp|moov|mvhd|trak|tkhd|mdia|mdhd|hdlr|minf|stbl|stsd|stts|stsc|stsz|stco|ctts|stss|mdat|"
    rb"moof|mfhd|traf|tfhd|tfdt|trun|mvex|trex|elst|udta|meta|avcC|esds|avc1|mp4v"
)
_EBML = re.compile(
    rb"\x1a\x45\xdf\xa3|\x18\x53\x80\x67|\x11\x4d\x9b\x74|\x15\x49\xa9\x66|\x16\x54\xae\x6b|"
    rb"\x1f\x43\xb6\x75|\x1c\x53\xbb\x6b|\xae|\xe0|\xb0|\xba|\xa3|\xe7|\x44\x89|\x23\xe3\x83"
)
_JPEG = re.compile(rb"\xff[\xc0-\xfe]")
_RIFF = re.compile(rb"RIFF|WEBP|VP8 |VP8L|VP8X|EXIF|XMP |ICCP|ALPH|ANIM|ANMF")
_GIF = re.compile(rb"GIF8|,|!\xf9|!\xff|!\xfe|;")


def mutate(content: bytes, form: str, luck: random.Random) -> bytes:
    """A damaged copy of a file of a format."""
    if form == "safetensors":
        return _safetensors(content, luck)
    if form == "png" and luck.random() < 0.8:
        return _png(content, luck)
    data = bytearray(content)
    for _ in range(luck.choice((1, 1, 1, 2, 3, 8))):
        _change(data, _place(data, form, luck), luck)
    return bytes(data)


def _place(data: bytearray, form: str, luck: random.Random) -> int:
    """Where to change something: near a mark of the format, or anywhere."""
    if form == "bmp" and luck.random() < 0.8:
        return luck.randrange(min(54, len(data) or 1))
    marks = {"mp4": _BOXES, "mov": _BOXES, "webm": _EBML, "jpg": _JPEG, "webp": _RIFF, "gif": _GIF}
    if form in marks and luck.random() < 0.7:
        found = [match.start() for match in marks[form].finditer(data)]
        if found:
            return max(0, luck.choice(found) + luck.randrange(-4, 24))
    return luck.randrange(len(data) + 1)


def _change(data: bytearray, place: int, luck: random.Random) -> None:
    what = luck.randrange(8)
    size = luck.choice((1, 2, 4, 4, 8, 40))
    if what == 0 and place < len(data):
        data[place] ^= 1 << luck.randrange(8)
    elif what == 1:
        data[place : place + size] = luck.randbytes(size)
    elif what in (2, 3):
        form = luck.choice(("<H", ">H", "<I", ">I", ">I", "<Q"))
        value = luck.choice(INTERESTING) % (1 << 8 * struct.calcsize(form))
        data[place : place + struct.calcsize(form)] = struct.pack(form, value)
    elif what == 4:
        del data[place : place + size * luck.choice((1, 4, 20))]
    elif what == 5:
        data[place:place] = luck.randbytes(size)
    elif what == 6:
        data[place:place] = data[place : place + 4 * size]
    elif luck.random() < 0.3:
        del data[place:]
    else:
        other = luck.randrange(len(data) + 1)
        data[place : place + size] = data[other : other + size]


def _png(content: bytes, luck: random.Random) -> bytes:
    """Chunks changed, moved, doubled or lost; their checksums are mostly right."""
    chunks, place = [], 8
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        chunks.append((kind, bytearray(body)))
        place += 12 + length
    for _ in range(luck.choice((1, 1, 2, 3))):
        index = luck.randrange(len(chunks))
        kind, body = chunks[index]
        what = luck.randrange(7)
        if what == 0:
            chunks.pop(index) if len(chunks) > 1 else None
        elif what == 1:
            chunks.insert(luck.randrange(len(chunks)), (kind, bytearray(body)))
        elif what == 2:
            kinds = (
                b"IHDR",
                b"PLTE",
                b"tRNS",
                b"IDAT",
                b"fcTL",
                b"fdAT",
                b"acTL",
                b"zTXt",
                b"iCCP",
            )
            chunks[index] = (luck.choice(kinds), body)
        elif what == 3 and kind == b"IDAT":
            rows = bytearray(_inflated(bytes(body)))
            _change(rows, luck.randrange(len(rows) + 1), luck)
            chunks[index] = (kind, bytearray(zlib.compress(bytes(rows))))
        else:
            _change(body, luck.randrange(len(body) + 1), luck)
    written = bytearray(content[:8])
    for kind, body in chunks:
        check = zlib.crc32(kind + body) if luck.random() < 0.97 else luck.getrandbits(32)
        written += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)
    return bytes(written)


def _inflated(body: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(body, 1 << 16)
    except zlib.error:  # it was damaged before
        return b""


def _safetensors(content: bytes, luck: random.Random) -> bytes:
    (length,) = struct.unpack("<Q", content[:8])
    raw, data = content[8 : 8 + length], content[8 + length :]
    what = luck.randrange(10)
    if what < 7:
        header = json.loads(raw)
        for _ in range(luck.choice((1, 1, 2, 4))):
            _change_header(header, luck)
        raw = json.dumps(header).encode("utf-8", "surrogatepass")
        length = len(raw)
    elif what == 7:
        changed = bytearray(raw)
        _change(changed, luck.randrange(len(raw)), luck)
        raw = bytes(changed)
        length = len(raw) if luck.random() < 0.7 else length
    elif what == 8:
        length = luck.choice(
            (*INTERESTING, 1 << 62, 1 << 63, (1 << 64) - 1, length + 1, length - 1)
        )
    else:
        data = data[: luck.randrange(len(data) + 1)] + luck.randbytes(luck.randrange(4))
    return struct.pack("<Q", length) + raw + data


def _change_header(header: dict[str, Any], luck: random.Random) -> None:
    numbers: tuple[Any, ...] = (*INTERESTING, -1, 1 << 62, 1 << 64, 1.5, True, None, "1", [], {})
    names = [name for name in header if isinstance(header[name], dict)] or [""]
    name = luck.choice(names)
    entry = header.get(name)
    what = luck.randrange(8)
    if not isinstance(entry, dict) or what == 0:
        header[luck.choice(("", "x" * 600, "a\0b", "../x", "\ud800", "__metadata__"))] = entry
    elif what == 1:
        header.pop(name)
    elif what == 2:
        entry["dtype"] = luck.choice(("F64", "F8_E4M3", "U8", "BOOL", "", "f32", 5, None, ["F32"]))
    elif what == 3:
        shape = entry.get("shape")
        shape = list(shape) if isinstance(shape, list) else []
        shape[luck.randrange(len(shape) + 1) :][:1] = [luck.choice(numbers)]
        shape.insert(luck.randrange(len(shape) + 1), luck.choice(numbers))
        entry["shape"] = shape * luck.choice((1, 1, 1, 9))
    elif what == 4:
        offsets = entry.get("data_offsets")
        if isinstance(offsets, list) and offsets:
            offsets[luck.randrange(len(offsets))] = luck.choice(numbers)
    elif what == 5:
        entry[luck.choice(("extra", "shape", "dtype", "data_offsets"))] = luck.choice(numbers)
    elif what == 6:
        entry.pop(luck.choice(list(entry)), None) if entry else None
    else:
        header[name] = luck.choice(numbers)
