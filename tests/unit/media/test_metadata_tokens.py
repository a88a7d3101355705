"""Token grids as text, and how far two outputs are apart."""

from __future__ import annotations

import base64
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nuwa_cli.media.compare import psnr, psnr_of
from nuwa_cli.media.image import write_image
from nuwa_cli.media.token_chunk import (
    MAX_TEXT,
    agreement,
    describe_tokens,
    pack_tokens,
    unpack_tokens,
)
from nuwa_cli.media.video import write_video

grids = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.integers(0, 65535)
)


@given(grids)
def test_grids_come_back(tokens: np.ndarray[Any, Any]) -> None:
    packed = pack_tokens(tokens)
    assert packed is not None
    again = unpack_tokens(packed)
    assert again is not None and again.dtype == np.int64
    assert np.array_equal(again, tokens)
    assert pack_tokens(again) == packed
    assert describe_tokens(packed)["shape"] == list(tokens.shape)


def test_what_does_not_fit_is_left_out() -> None:
    random = np.random.default_rng(0)
    clip = random.integers(0, 1024, (60, 16, 16))  # a minute of the shipped model's largest clips
    packed = pack_tokens(clip)
    assert packed is not None and len(packed["data"]) <= MAX_TEXT
    assert pack_tokens(random.integers(0, 1024, (120, 16, 16))) is None
    assert pack_tokens(np.full((1, 1, 1), 65536)) is None
    assert pack_tokens(np.full((1, 1, 1), -1)) is None
    assert pack_tokens(np.zeros((0, 1, 1), dtype=np.int64)) is None
    assert pack_tokens(np.zeros((4, 4), dtype=np.int64)) is None


def packed(content: bytes, shape: Any = (1, 2, 2)) -> dict[str, Any]:
    text = base64.b64encode(zlib.compress(content)).decode()
    return {"shape": list(shape) if isinstance(shape, tuple) else shape, "data": text}


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        [],
        {},
        packed(b"12345678", (1, 2, 3)),
        packed(b"12345678", (1, 2, 1)),
        packed(b"12345678", (1, 2, 2, 1)),
        packed(b"12345678", (2, 2)),
        packed(b"12345678", (-1, -2, 2)),
        packed(b"12345678", (1, 2, 2.0)),
        packed(b"12345678", (True, 2, 2)),
        packed(b"12345678", (1 << 20, 1 << 20, 1 << 20)),
        packed(b"12345678", "122"),
        packed(b"\0" * 100_000_000, (1, 2, 2)),  # a bomb: 100 kB of text
        {**packed(b"12345678"), "data": "x" * (MAX_TEXT + 4)},
        {**packed(b"12345678"), "data": "not base64!"},
        {**packed(b"12345678"), "data": "在"},
        {**packed(b"12345678"), "data": 3},
        {"shape": [1, 2, 2]},
        {"shape": [1, 2, 2], "data": base64.b64encode(b"12345678").decode()},
        {
            "shape": [1, 2, 2],
            "data": base64.b64encode(zlib.compress(b"12345678") + b"more").decode(),
        },
        {"shape": [1, 2, 2], "data": base64.b64encode(zlib.compress(b"12345678")[:-3]).decode()},
    ],
)
def test_foreign_values_give_no_grid(value: Any) -> None:
    assert unpack_tokens(value) is None
    assert describe_tokens(value) == {"damaged": True}


def test_agreement() -> None:
    first = np.arange(8).reshape(2, 2, 2)
    second = first.copy()
    second[0, 0, 0] = 99
    assert agreement(first, first) == 1
    assert agreement(first, second) == 0.875
    assert agreement(first, first[:1]) is None
    assert agreement(first, None) is None


def test_decibels(tmp_path: Path) -> None:
    frames = np.full((3, 16, 16, 3), 100, dtype=np.uint8)
    off_by_one = frames + 1
    assert psnr_of(frames, frames) == math.inf
    assert psnr_of(frames, off_by_one.astype(np.uint8)) == pytest.approx(20 * math.log10(255))
    assert psnr_of(frames, frames[:2]) is None
    write_image(tmp_path / "a.png", frames[0])
    write_image(tmp_path / "b.png", off_by_one[0])
    write_image(tmp_path / "c.png", frames[0, :8])
    write_image(tmp_path / "d.png", np.dstack((frames[0], frames[0, ..., 0])))
    assert psnr(tmp_path / "a.png", tmp_path / "b.png") == pytest.approx(48.13, abs=0.01)
    assert psnr(tmp_path / "a.png", tmp_path / "c.png") is None
    assert psnr(tmp_path / "a.png", tmp_path / "d.png") is None  # one of them has transparency
    assert psnr(tmp_path / "a.png", tmp_path / "none.png") is None
    for name, clip in (("e%02d.png", frames), ("f%02d.png", off_by_one)):
        write_video(tmp_path / name, clip, 6)
    assert psnr(tmp_path / "e%02d.png", tmp_path / "f%02d.png") == pytest.approx(48.13, abs=0.01)
