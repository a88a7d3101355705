"""Pictures as bytes for a terminal: kitty's and iTerm2's protocols, sixels, half blocks, letters.

    kitty     PNG in base64, in chunks; clips play (frame by frame, the terminal keeps the time)
    iterm2    a file in base64: PNG, or GIF for a clip that plays
    sixel     256 colours, see `sixel.py`
    blocks    ▀ with a colour for its upper and one for its lower half: two pixels a cell
    letters   a ramp of ASCII from dark to bright, where there are no colours

Invariants: nothing here asks the terminal anything (answers would land in the user's next command),
every encoding leaves colours as they were, and ends with the cursor at the start of a line.
"""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from nuwa_cli.media.animation import write_gif
from nuwa_cli.media.sixel import encode_sixel

Frames = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (T, H, W, 3)."""
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""

Colors = Literal["true", "256"]

_CHUNK = 4096  # bytes of base64 that kitty takes at once
_QUIET = "q=2"  # no answer, neither of success nor of failure
_RAMP = " .:-=+*#%@"
_LUMA = (0.299, 0.587, 0.114)
_UPPER_HALF = "▀"

_OWN_COLORS = 16  # of the 256, which every user may have set otherwise
_CUBE_STEPS = (0, 95, 135, 175, 215, 255)


def fixed_colors() -> list[tuple[int, int, int]]:
    """Colours 16 … 255 of a terminal: a cube, then greys."""
    cube = itertools.product(_CUBE_STEPS, repeat=3)
    return [*((r, g, b) for r, g, b in cube), *((grey, grey, grey) for grey in range(8, 248, 10))]


def kitty_picture(pixels: Pixels) -> bytes:
    """A picture (H, W, 3) in kitty's graphics protocol."""
    return _kitty_command(f"a=T,f=100,{_QUIET}", _png(pixels)) + b"\n"


def kitty_clip(frames: Frames, fps: float, number: int) -> bytes:
    """A clip that plays for ever; `number` (1 … 2^32 - 1) tells it from others on the screen."""
    gap = max(1, round(1000 / fps))
    commands = [_kitty_command(f"a=T,f=100,i={number},{_QUIET}", _png(frames[0]))]
    commands += [
        # Every chunk of a frame has to say that it is one.
        _kitty_command(f"a=f,f=100,i={number},z={gap},{_QUIET}", _png(frame), f"a=f,{_QUIET}")
        for frame in frames[1:]
    ]
    commands.append(_kitty_command(f"a=a,i={number},r=1,z={gap},{_QUIET}", b""))
    commands.append(_kitty_command(f"a=a,i={number},s=3,v=1,{_QUIET}", b""))
    return b"".join(commands) + b"\n"


def iterm2_picture(pixels: Pixels) -> bytes:
    """A picture (H, W, 3) as an inline file of iTerm2."""
    return _iterm2_file(_png(pixels), pixels.shape[1])


def iterm2_clip(frames: Frames, fps: float) -> bytes:
    """A clip (T, H, W, 3) as an inline GIF, which plays."""
    file = io.BytesIO()
    write_gif(file, frames, fps, None)
    return _iterm2_file(file.getvalue(), frames.shape[2])


def sixel_picture(pixels: Pixels) -> bytes:
    """A picture (H, W, 3) in sixels."""
    return encode_sixel(pixels) + b"\n"


def block_picture(pixels: Pixels, colors: Colors) -> bytes:
    """A picture (H, W, 3) as half blocks: W cells wide, half as many lines as H."""
    height, width = pixels.shape[:2]
    codes = _true_codes(pixels) if colors == "true" else _fixed_codes(pixels)
    lines = []
    for top in range(0, height, 2):
        upper = codes[top]
        lower = codes[top + 1] if top + 1 < height else None
        lines.append("".join(_cells(upper, lower, width)) + "\x1b[0m\n")
    return "".join(lines).encode()


def letter_picture(pixels: Pixels) -> bytes:
    """A picture (H, W, 3) without colours, for a dark screen: W letters wide, H / 2 lines."""
    grey = pixels.astype(np.float64) @ np.array(_LUMA)
    height, width = grey.shape
    rows = -(-height // 2)
    padded = np.pad(grey, ((0, 2 * rows - height), (0, 0)), mode="edge")
    mean = padded.reshape(rows, 2, width).mean(axis=1)
    steps = (mean * (len(_RAMP) - 1) / 255).round().astype(int)
    return "".join("".join(_RAMP[step] for step in row) + "\n" for row in steps).encode("ascii")


def _cells(upper: list[str], lower: list[str] | None, width: int) -> Iterator[str]:
    """The cells of one line; a colour is told only where it changes."""
    front = back = ""
    for column in range(width):
        changes = []
        if upper[column] != front:
            front = upper[column]
            changes.append(f"38;{front}")
        if lower is not None and lower[column] != back:
            back = lower[column]
            changes.append(f"48;{back}")
        yield f"\x1b[{';'.join(changes)}m{_UPPER_HALF}" if changes else _UPPER_HALF


def _true_codes(pixels: Pixels) -> list[list[str]]:
    return [[f"2;{red};{green};{blue}" for red, green, blue in row] for row in pixels.tolist()]


def _fixed_codes(pixels: Pixels) -> list[list[str]]:
    """One of the 240 fixed colours for each pixel, errors spread to its neighbours."""
    from PIL import Image

    carrier = Image.new("P", (1, 1))
    carrier.putpalette([value for color in fixed_colors() for value in color])
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    chosen = picture.quantize(palette=carrier, dither=Image.Dither.FLOYDSTEINBERG)
    indices = np.asarray(chosen, dtype=int)
    # Pillow fills the palette up with black, which is the first of the fixed colours too.
    numbers = np.where(indices < 256 - _OWN_COLORS, indices, 0) + _OWN_COLORS
    return [[f"5;{number}" for number in row] for row in numbers.tolist()]


def _kitty_command(keys: str, payload: bytes, later_keys: str = _QUIET) -> bytes:
    text = base64.standard_b64encode(payload)
    chunks = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)] or [b""]
    parts = []
    for index, chunk in enumerate(chunks):
        more = int(index + 1 < len(chunks))
        head = f"{keys if index == 0 else later_keys},m={more}"
        parts.append(b"\x1b_G" + head.encode() + b";" + chunk + b"\x1b\\")
    return b"".join(parts)


def _iterm2_file(content: bytes, width: int) -> bytes:
    keys = f"inline=1;size={len(content)};width={width}px;preserveAspectRatio=1"
    return b"\x1b]1337;File=" + keys.encode() + b":" + base64.b64encode(content) + b"\x07\n"


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG", compress_level=6)
    return file.getvalue()
