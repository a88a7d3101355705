"""Every encoding is read back as a terminal reads it, and gives the picture again."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.media.sixel import encode_sixel
from nuwa_cli.media.terminal import (
    Colors,
    block_picture,
    iterm2_clip,
    iterm2_picture,
    kitty_clip,
    kitty_picture,
    letter_picture,
    sixel_picture,
)
from terminal_codes import kitty_commands, psnr, read_blocks, read_png, read_sixel, xterm_colors

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@pytest.fixture(scope="module")
def picture() -> Pixels:
    """A smooth sky over a striped ground, with a red disc: 61 lines of 75 pixels."""
    y, x = np.mgrid[0:61, 0:75].astype(float)
    pixels = np.stack([80 + y, 120 + y, 250 - y], axis=-1)
    pixels[40:] = np.where((x[40:] // 5 % 2 == 0)[..., None], (90, 160, 60), (60, 120, 40))
    pixels[(x - 40) ** 2 + (y - 25) ** 2 < 120] = (220, 40, 30)
    return pixels.clip(0, 255).astype(np.uint8)


def test_sixel_draws_the_picture(picture: Pixels) -> None:
    drawn = read_sixel(sixel_picture(picture))
    assert drawn.shape == picture.shape
    assert psnr(drawn, picture) > 36


def test_sixel_of_few_colours_is_exact() -> None:
    """Colours that percents can say come back as they are, black and single columns too."""
    colors = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [51, 102, 153]], dtype=np.uint8)
    pixels = colors[np.random.default_rng(3).integers(0, 4, (13, 29))]
    assert np.array_equal(read_sixel(encode_sixel(pixels)), pixels)


@pytest.mark.parametrize("size", [(1, 1), (6, 1), (7, 3), (12, 200)])
def test_sixel_sizes(size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), (0, 255, 51), dtype=np.uint8)
    assert np.array_equal(read_sixel(encode_sixel(pixels)), pixels)


def test_sixel_of_many_colours_keeps_to_its_palette() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    content = encode_sixel(pixels)
    assert len(re.findall(rb"#\d+;2;", content)) <= 256
    assert psnr(read_sixel(content), pixels) > 18


def test_half_blocks_are_exact_in_24_bits(picture: Pixels) -> None:
    content = block_picture(picture, "true")
    assert content.count(b"\n") == 31
    assert np.array_equal(read_blocks(content)[:61], picture)


def test_half_blocks_of_256_colours_are_right_on_average(picture: Pixels) -> None:
    """Single pixels are far off, squares of 5 by 5 are not: errors go to the neighbours."""
    drawn = read_blocks(block_picture(picture, "256"), xterm_colors())[:60]

    def squares(pixels: Pixels) -> Pixels:
        return pixels.reshape(12, 5, 15, 5, 3).mean(axis=(1, 3))

    assert psnr(squares(drawn), squares(picture[:60])) > 30


@pytest.mark.parametrize("value", [0, 95, 255])
def test_the_users_own_16_colours_are_not_used(value: int) -> None:
    """Black above all, which stands in Pillow's palette more than once."""
    pixels = np.full((4, 4, 3), value, dtype=np.uint8)
    content = block_picture(pixels, "256")
    assert np.array_equal(read_blocks(content, xterm_colors()), pixels)


@pytest.mark.parametrize("colors", ["true", "256"])
def test_a_flat_line_says_its_colours_once(colors: Colors) -> None:
    flat = np.full((2, 40, 3), 95, dtype=np.uint8)
    assert block_picture(flat, colors).count(b"\x1b") == 2  # the colours, and back to normal


def test_letters_go_from_dark_to_bright() -> None:
    ramp = np.repeat(np.linspace(0, 255, 10).astype(np.uint8)[None, :, None], 3, axis=2)
    assert letter_picture(np.repeat(ramp, 3, axis=0)) == b" .:-=+*#%@\n" * 2


def test_kitty_gets_the_picture(picture: Pixels) -> None:
    noisy = np.random.default_rng(2).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    for pixels in (picture, noisy):
        ((keys, payload),) = kitty_commands(kitty_picture(pixels))
        assert (keys["a"], keys["f"]) == ("T", "100")
        assert np.array_equal(read_png(payload), pixels)


def test_kitty_plays_a_clip() -> None:
    frames = np.random.default_rng(2).integers(0, 256, (3, 48, 48, 3)).astype(np.uint8)
    content = kitty_clip(frames, 8.0, 77)
    commands = kitty_commands(content)
    assert [keys["a"] for keys, _ in commands] == ["T", "f", "f", "a", "a"]
    assert {keys["i"] for keys, _ in commands} == {"77"}
    for (_, payload), frame in zip(commands, frames, strict=False):
        assert np.array_equal(read_png(payload), frame)
    assert commands[1][0]["z"] == commands[3][0]["z"] == "125"
    assert (commands[4][0]["s"], commands[4][0]["v"]) == ("3", "1")  # run, for ever
    later = re.findall(rb"\x1b_G(a=f,q=2,m=[01]);", content)
    assert later  # a frame of several chunks says so in each


def test_iterm2_gets_picture_and_clip(picture: Pixels) -> None:
    form = re.compile(rb"\x1b\]1337;File=([^:]*):([^\x07]*)\x07\n")
    match = form.fullmatch(iterm2_picture(picture))
    assert match
    content = base64.b64decode(match[2])
    assert f"inline=1;size={len(content)};".encode() in match[1]
    assert np.array_equal(read_png(content), picture)
    frames = np.stack([picture, picture[::-1], picture])
    match = form.fullmatch(iterm2_clip(frames, 10.0))
    assert match
    animation = Image.open(io.BytesIO(base64.b64decode(match[2])))
    assert animation.format == "GIF"
    assert getattr(animation, "n_frames", 1) == 3
