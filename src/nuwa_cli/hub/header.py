"""The header of a safetensors file, checked by us and without torch before any library sees it.

The library accepts headers of 100 MB, millions of empty tensors and duplicate keys. Here the header is
bounded and parsed strictly, and the tensors must tile the rest of the file exactly.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from nuwa_cli.errors import InputError
from nuwa_cli.hub.manifest import parse_json

MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 100_000
MAX_RANK = 8
MAX_NAME_BYTES = 512

_LENGTH_BYTES = 8
_MAX_COMMAS = 100_000  # of the metadata
_ITEM_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")  # old and new .pt


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of a header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)


def check_header(content: bytes, path: Path) -> list[TensorEntry]:
    """Check structure and bounds of a whole safetensors file; its tensors in the order of the file.

    Raises InputError naming the fault (`path` names the file).
    """
    length = _header_length(content[:_LENGTH_BYTES], len(content), path)
    return _entries(content[_LENGTH_BYTES : _LENGTH_BYTES + length], len(content), path)


def read_header(file: IO[bytes], size: int, path: Path) -> list[TensorEntry]:
    """The same from the start of an open file of `size` bytes, of which only the header is read."""
    length = _header_length(file.read(_LENGTH_BYTES), size, path)
    raw = file.read(length)
    if len(raw) != length:
        raise refused(path, "became shorter while it was read")
    return _entries(raw, size, path)


def _header_length(first: bytes, size: int, path: Path) -> int:
    if len(first) < _LENGTH_BYTES:
        raise refused(path, f"file is {size} bytes, too short for safetensors")
    length = int.from_bytes(first, "little")
    if length > MAX_HEADER_BYTES and first.startswith(_PICKLES):
        raise InputError(
            f"model file '{path}': pickle checkpoints are not loaded; convert it to safetensors"
        )
    if length > MAX_HEADER_BYTES:
        raise refused(path, f"header of {length} bytes, at most {MAX_HEADER_BYTES} allowed")
    if _LENGTH_BYTES + length > size:
        raise refused(path, f"file is {size} bytes, header says at least {_LENGTH_BYTES + length}")
    return length


def _entries(raw: bytes, size: int, path: Path) -> list[TensorEntry]:
    if raw[:1] != b"{":
        raise refused(path, "header does not begin with '{'")
    # Before Python makes objects of it: a tensor has one of these names, and few commas.
    count = raw.count(b'"data_offsets"')
    if count > MAX_TENSORS:
        raise refused(path, f"{count} tensors, at most {MAX_TENSORS} allowed")
    if raw.count(b",") > 2 * MAX_RANK * count + _MAX_COMMAS:
        raise refused(path, "more numbers than tensors of an allowed rank have")
    header = parse_json(raw, path)
    if re.search(rb"\\u[dD][89a-fA-F]", raw):  # half a character: Python takes it, others do not
        _check_text(header, path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise refused(path, "metadata must be texts")
    if len(header) > MAX_TENSORS:
        raise refused(path, f"{len(header)} tensors, at most {MAX_TENSORS} allowed")
    entries = sorted(
        (_entry(name, value, path) for name, value in header.items()),
        key=lambda entry: (entry.begin, entry.end, entry.name),
    )
    position = 0
    for entry in entries:
        if entry.begin != position:
            raise refused(path, f"tensor '{entry.name[:80]}' leaves a hole or overlaps another")
        position = entry.end
    expected = _LENGTH_BYTES + len(raw) + position
    if expected != size:
        raise refused(path, f"file is {size} bytes, header says {expected}")
    return entries


def _check_text(header: dict[str, Any], path: Path) -> None:
    try:
        json.dumps(header, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise refused(path, "a name is no valid text") from None


def _entry(name: str, entry: Any, path: Path) -> TensorEntry:
    if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise refused(path, f"a tensor name of more than {MAX_NAME_BYTES} bytes")
    label = f"tensor '{name[:80]}'"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise refused(path, f"{label} needs dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise refused(path, f"{label} has an unknown type")
    if not _is_sizes(shape) or len(shape) > MAX_RANK:
        raise refused(path, f"{label} has an impossible shape")
    if not _is_sizes(offsets) or len(offsets) != 2:
        raise refused(path, f"{label} has impossible offsets")
    if offsets[1] - offsets[0] != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise refused(path, f"{label} has offsets that do not fit its shape")
    return TensorEntry(name, dtype, tuple(shape), offsets[0], offsets[1])


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 48 for v in value)


def refused(path: Path, why: str) -> InputError:
    """The refusal of a damaged file."""
    return InputError(f"model file '{path}': {why}; fetch the model again")
