"""The token grid of an output as a short text inside its recipe, so that two runs can be compared token
by token.

A pixel that differs says little: an encoder, another device or a lossy format may have changed it. A token
that differs says that the model drew something else. The grid (t, h, w) is stored as little-endian 16-bit
numbers in raster order, deflated, in base64:

    {"shape": [10, 16, 16], "data": "eNq…"}

Invariants: equal grids give equal texts. A text is at most `MAX_TEXT` long; longer grids are left out, not
cut. Whatever a foreign file holds instead, reading it takes bounded memory and gives a grid or None.
"""

from __future__ import annotations

import base64
import hashlib
import math
import zlib
from typing import Any

import numpy as np

Tokens = np.ndarray[Any, np.dtype[np.int64]]
"""(t, h, w)"""

MAX_TEXT = 32 << 10
"""Characters: half of what the EXIF block of a JPEG holds; about 70 frames of 16 x 16 tokens."""

_MAX_TOKENS = 1 << 20
_NUMBER = np.dtype("<u2")
_LEVEL = 9


def pack_tokens(tokens: Tokens) -> dict[str, Any] | None:
    """A grid (t, h, w) as JSON; None where it does not fit into `MAX_TEXT` or into 16 bits."""
    if tokens.ndim != 3 or not 0 < tokens.size <= _MAX_TOKENS:
        return None
    if tokens.min() < 0 or tokens.max() > np.iinfo(_NUMBER).max:
        return None
    content = np.ascontiguousarray(tokens, dtype=_NUMBER).tobytes()
    text = base64.b64encode(zlib.compress(content, _LEVEL)).decode("ascii")
    if len(text) > MAX_TEXT:
        return None
    return {"shape": list(tokens.shape), "data": text}


def unpack_tokens(value: Any) -> Tokens | None:
    """The grid (t, h, w) of a packed value; None for anything that `pack_tokens` does not make."""
    shape = _shape(value)
    if shape is None:
        return None
    text = value.get("data")
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return None
    size = math.prod(shape) * _NUMBER.itemsize
    inflater = zlib.decompressobj()
    try:
        content = inflater.decompress(base64.b64decode(text, validate=True), size + 1)
    except (ValueError, zlib.error):
        return None
    if len(content) != size or not inflater.eof or inflater.unused_data:
        return None
    return np.frombuffer(content, dtype=_NUMBER).reshape(shape).astype(np.int64)


def describe_tokens(value: Any) -> dict[str, Any]:
    """What to show instead of the grid itself: its shape and sha256, or that it is damaged."""
    tokens = unpack_tokens(value)
    if tokens is None:
        return {"damaged": True}
    digest = hashlib.sha256(tokens.astype(_NUMBER).tobytes()).hexdigest()
    return {"shape": list(tokens.shape), "sha256": digest}


def agreement(first: Tokens | None, second: Tokens | None) -> float | None:
    """Share of equal tokens of two grids (t, h, w), 0 … 1; None unless both have one shape."""
    if first is None or second is None or first.shape != second.shape:
        return None
    return float((first == second).mean())


def _shape(value: Any) -> tuple[int, int, int] | None:
    shape = value.get("shape") if isinstance(value, dict) else None
    if not isinstance(shape, list) or len(shape) != 3:
        return None
    if not all(type(side) is int and 0 < side <= _MAX_TOKENS for side in shape):
        return None
    if math.prod(shape) > _MAX_TOKENS:
        return None
    return shape[0], shape[1], shape[2]
