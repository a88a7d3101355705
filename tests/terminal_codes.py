"""How a terminal reads pictures: the opposite of `nuwa_cli.media.terminal`, for tests."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def psnr(one: Pixels, other: Pixels) -> float:
    error = ((one.astype(float) - other.astype(float)) ** 2).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def read_sixel(content: bytes) -> Pixels:
    """What a terminal draws, pixels that no colour reaches are magenta."""
    text = content.decode("ascii")
    head = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\\n?', text, re.DOTALL)
    assert head, text[:60]
    width, height = int(head[1]), int(head[2])
    screen = np.full((height + 6, width, 3), (255, 0, 255), dtype=np.uint8)
    colors: dict[int, tuple[int, ...]] = {}
    x = y = color = 0
    token = re.compile(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)([?-~])|([?-~])|([$-])")
    position = 0
    for match in token.finditer(head[3]):
        assert match.start() == position, head[3][position : position + 20]
        position = match.end()
        number, red, green, blue, count, run, single, move = match.groups()
        if number and red:
            percent = (int(red), int(green), int(blue))
            colors[int(number)] = tuple(round(value * 255 / 100) for value in percent)
        elif number:
            color = int(number)
        elif move:
            x, y = 0, y + (6 if move == "-" else 0)
        else:
            bits, length = ord(run or single) - 63, int(count or 1)
            for line in range(6):
                if bits >> line & 1:
                    screen[y + line, x : x + length] = colors[color]
            x += length
            assert x <= width
    assert position == len(head[3])
    return screen[:height]


def read_blocks(content: bytes, xterm: dict[int, tuple[int, int, int]] | None = None) -> Pixels:
    """Two pixels a cell; the colour of a missing lower half is black."""
    rows = []
    for line in content.decode().splitlines():
        assert line.endswith("\x1b[0m")
        front = back = (0, 0, 0)
        upper, lower = [], []
        for codes, _cell in re.findall(r"(?:\x1b\[([\d;]+)m)?(▀)", line):
            for plane, true, indexed in re.findall(r"([34]8);(?:2;(\d+;\d+;\d+)|5;(\d+))", codes):
                if true:
                    red, green, blue = (int(value) for value in true.split(";"))
                    color = (red, green, blue)
                else:
                    assert xterm is not None
                    color = xterm[int(indexed)]
                front, back = (color, back) if plane == "38" else (front, color)
            upper.append(front)
            lower.append(back)
        rows += [upper, lower]
    return np.array(rows, dtype=np.uint8)


def xterm_colors() -> dict[int, tuple[int, int, int]]:
    """Colours 16 … 255 as xterm defines them."""
    steps = (0, 95, 135, 175, 215, 255)
    cube = [(r, g, b) for r in steps for g in steps for b in steps]
    greys = [(v, v, v) for v in range(8, 248, 10)]
    return dict(enumerate([*cube, *greys], start=16))


def kitty_commands(content: bytes) -> list[tuple[dict[str, str], bytes]]:
    """Keys and payload of every command, chunks of one put together."""
    commands: list[tuple[dict[str, str], bytes]] = []
    is_open = False
    rest = content
    for match in re.finditer(rb"\x1b_G([^;]*);([^\x1b]*)\x1b\\", content):
        keys = dict(pair.split("=") for pair in match[1].decode().split(","))
        assert keys["q"] == "2"  # the terminal must not answer
        assert len(match[2]) <= 4096
        if is_open:
            assert set(keys) <= {"m", "q", "a"}
            commands[-1] = (commands[-1][0], commands[-1][1] + match[2])
        else:
            commands.append((keys, match[2]))
        is_open = keys["m"] == "1"
        rest = rest.replace(match[0], b"", 1)
    assert not is_open
    assert rest == b"\n"
    return [(keys, base64.b64decode(payload)) for keys, payload in commands]


def read_png(content: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
