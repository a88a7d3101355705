"""PNGs written row by row: every reader gets the same pixels, in bounded memory."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nuwa_cli.errors import OutputError, UsageError
from nuwa_cli.media.metadata import read_picture_recipe
from nuwa_cli.media.png_stream import BLOCK_BYTES, holds_rows, rows_at_once, write_png

RECIPE = {"schema": "nuwa.recipe/1", "prompt": "草地", "version": "1"}


def picture(kind: str, height: int, width: int, seed: int) -> Any:
    """Noise, a ramp (on which the filters differ), or one colour."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "flat":
        return np.full((height, width, 3), rng.integers(0, 256, 3), dtype=np.uint8)
    y, x, c = np.ogrid[:height, :width, :3]
    return ((3 * y + 5 * x * (1 + c) + x * y // 7) % 256).astype(np.uint8)


def blocks(pixels: Any, step: int) -> Iterator[Any]:
    for start in range(0, len(pixels), step):
        yield pixels[start : start + step]


def read(path: Path) -> Any:
    with Image.open(path) as opened:
        return np.asarray(opened)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["noise", "ramp", "flat"]),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    step=st.integers(1, 61),
    seed=st.integers(0, 9),
)
def test_pillow_reads_the_same_pixels(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    height: int,
    width: int,
    step: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("png")
    pixels = picture(kind, height, width, seed)
    write_png(folder / "a.png", blocks(pixels, step), height, width)
    assert (read(folder / "a.png") == pixels).all()
    write_png(folder / "b.png", blocks(pixels, height), height, width)
    assert (folder / "a.png").read_bytes() == (folder / "b.png").read_bytes()
    assert holds_rows(folder / "a.png", blocks(pixels, 7), height, width)


def test_all_filters_are_used(tmp_path: Path) -> None:
    """… so that the tests above have tried them: rows on which each has the least residuals."""
    rng = np.random.default_rng(0)
    rows = picture("noise", 60, 64, 1)
    rows[5:30] = rng.integers(0, 3, (25, 64, 3))
    rows[20:30] = np.cumsum(rng.integers(0, 3, (10, 64, 3)), axis=1)
    rows[30:40] = rows[30] + np.arange(10, dtype=np.uint8)[:, None, None]
    rows[40:60] = picture("ramp", 20, 64, 0)
    for index in range(41, 60):  # each pixel near the mean of its neighbours
        for column in range(1, 64):
            mean = (rows[index, column - 1].astype(int) + rows[index - 1, column]) // 2
            rows[index, column] = mean + rng.integers(0, 2)
    write_png(tmp_path / "a.png", [rows], 60, 64)
    content = (tmp_path / "a.png").read_bytes()
    lines = np.frombuffer(zlib.decompress(idat(content)), np.uint8).reshape(60, -1)
    assert set(lines[:, 0]) == {0, 1, 2, 3, 4}
    assert (read(tmp_path / "a.png") == rows).all()


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place < len(content):
        (length,) = struct.unpack_from(">I", content, place)
        name, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", content, place + 8 + length)[0] == zlib.crc32(name + body)
        yield name, body
        place += 12 + length


def idat(content: bytes) -> bytes:
    return b"".join(body for name, body in chunks(content) if name == b"IDAT")


def test_the_recipe_is_inside(tmp_path: Path) -> None:
    pixels = picture("ramp", 9, 9, 0)
    write_png(tmp_path / "a.png", [pixels], 9, 9, RECIPE)
    with Image.open(tmp_path / "a.png") as opened:
        assert read_picture_recipe(opened) == RECIPE
        assert "trainedAlgorithmicMedia" in opened.text["XML:com.adobe.xmp"]
    assert holds_rows(tmp_path / "a.png", [pixels], 9, 9)


def test_chunks_are_bounded_and_smooth_pictures_small(tmp_path: Path) -> None:
    pixels = picture("noise", 200, 300, 0)
    write_png(tmp_path / "a.png", blocks(pixels, 10), 200, 300)
    sizes = [
        len(body) for name, body in chunks((tmp_path / "a.png").read_bytes()) if name == b"IDAT"
    ]
    assert max(sizes) == 1 << 16
    assert len(sizes) == 3
    y, x, c = np.ogrid[:200, :300, :3]
    smooth = (128 + 60 * np.sin(x / 40 + c) + 50 * np.cos(y / 30)).astype(np.uint8)
    write_png(tmp_path / "b.png", blocks(smooth, 10), 200, 300)
    Image.fromarray(smooth).save(tmp_path / "pillow.png")
    ours, theirs = ((tmp_path / name).stat().st_size for name in ("b.png", "pillow.png"))
    assert ours < 1.1 * theirs


def test_the_check_finds_any_difference(tmp_path: Path) -> None:
    pixels = picture("noise", 40, 50, 3)
    path = tmp_path / "a.png"
    write_png(path, blocks(pixels, 8), 40, 50, RECIPE)
    content = path.read_bytes()
    for row, column in ((0, 0), (17, 49), (39, 20)):
        other = pixels.copy()
        other[row, column, 1] ^= 1
        assert not holds_rows(path, blocks(other, 8), 40, 50)
    assert not holds_rows(path, blocks(pixels[:-1], 8), 39, 50)
    assert not holds_rows(path, blocks(pixels[:-1], 8), 40, 50)
    assert not holds_rows(path, [pixels, pixels[:1]], 40, 50)
    for place in range(0, len(content), 97):
        path.write_bytes(content[:place])
        assert not holds_rows(path, [pixels], 40, 50)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not holds_rows(path, [pixels], 40, 50)
    path.write_bytes(content + b"x")
    assert not holds_rows(path, [pixels], 40, 50)


def test_refusals(tmp_path: Path) -> None:
    """A failure among the rows leaves nothing; so does a name that is none of a picture."""
    pixels = picture("flat", 4, 4, 0)
    with pytest.raises(UsageError):
        write_png(tmp_path / "a.mp4", [pixels], 4, 4)

    def failing() -> Iterator[Any]:
        yield pixels
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_png(tmp_path / "a.png", failing(), 8, 4)
    assert not list(tmp_path.iterdir())
    write_png(tmp_path / "a.png", [pixels], 4, 4)
    with pytest.raises(OutputError, match="exists"):
        write_png(tmp_path / "a.png", [pixels], 4, 4)


@pytest.mark.parametrize(("height", "width"), [(64, 100_000), (100_000, 64), (2, 1_000_000)])
def test_memory_is_that_of_a_few_rows(tmp_path: Path, height: int, width: int) -> None:
    """19 MB of pixels pass through, of which a few blocks are held."""
    code = (
        "import sys, tracemalloc\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from nuwa_cli.media.png_stream import holds_rows, rows_at_once, write_png\n"
        "height, width = int(sys.argv[2]), int(sys.argv[3])\n"
        "step = rows_at_once(width)\n"
        "def rows():\n"
        "    for top in range(0, height, step):\n"
        "        yield np.full((min(step, height - top), width, 3), top % 251, np.uint8)\n"
        "tracemalloc.start()\n"
        "write_png(Path(sys.argv[1]), rows(), height, width)\n"
        "assert holds_rows(Path(sys.argv[1]), rows(), height, width)\n"
        "print(tracemalloc.get_traced_memory()[1])\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a.png"), str(height), str(width)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) < 18 * max(BLOCK_BYTES, 3 * width) + 2_000_000
    assert rows_at_once(width) * width * 3 <= max(BLOCK_BYTES, 3 * width)
