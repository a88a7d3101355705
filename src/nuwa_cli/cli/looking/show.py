"""Pictures in the terminal: `--show` of a generating command, and `nuwa show` for files that exist.

`--show` draws on stderr, because stdout carries results only. A clip plays where the terminal can
play it, elsewhere some of its frames stand side by side.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from nuwa_cli.cli.looking.screen import OVERRIDE, Screen, protocol_of, screen_of
from nuwa_cli.cli.main_errors import one_line
from nuwa_cli.errors import UsageError

if TYPE_CHECKING:
    from nuwa_cli.media.contact_sheet import Frames, Sheet

_PLAYED_FRAMES = 60
_STRIP, _NARROW_STRIP, _NARROW = 6, 4, 100  # frames in a row; in a terminal of fewer columns
_STRIP_GAP = 2  # pixels


def register(app: typer.Typer) -> None:
    """Add `nuwa show` to the command line."""
    app.command("show", short_help="Show pictures and clips in the terminal.")(show_files)


class Display:
    """Where finished outputs are shown: the terminal behind stderr, or nowhere with one note."""

    def __init__(self, note: Callable[[str], None], stream: TextIO | None = None) -> None:
        """`note` is called once, where nothing can be shown. Raises UsageError for NUWA_GRAPHICS."""
        self._stream = sys.stderr if stream is None else stream
        self._can = self._stream is not None and self._stream.isatty()
        protocol, _ = protocol_of(os.environ)
        if not self._can:
            note("show: stderr is no terminal, so nothing is shown; files are written all the same")
        elif protocol == "none" and os.environ.get(OVERRIDE) != "none":
            note(f"show: this terminal shows no pictures; if it does, say how with {OVERRIDE}")
        self._can = self._can and protocol != "none"

    def show(self, frames: Frames, label: str, fps: float | None = None) -> None:
        """Draw frames uint8 (T, H, W, 3) with a caption below, where that can be done."""
        if self._can:
            show(frames, label, self._stream, fps)


def show(frames: Frames, label: str, stream: TextIO, fps: float | None = None) -> None:
    """Draw frames uint8 (T, H, W, 3) on a terminal with a caption line below.

    The terminal's size is looked up every time. Raises UsageError for an unknown NUWA_GRAPHICS.
    """
    screen = screen_of(stream)
    if screen.protocol == "none":
        return
    picture = encode(frames, screen, fps)
    with contextlib.suppress(OSError, ValueError):  # the terminal went away; the files remain
        stream.flush()
        stream.buffer.write(picture + one_line(label).encode("utf-8", "replace") + b"\n")
        stream.buffer.flush()


def encode(frames: Frames, screen: Screen, fps: float | None = None) -> bytes:
    """Frames uint8 (T, H, W, 3) as the bytes that draw them on a screen."""
    import numpy as np

    from nuwa_cli.media import terminal
    from nuwa_cli.media.contact_sheet import shown

    if len(frames) > 1 and screen.plays and fps:
        few = shown(frames, _PLAYED_FRAMES)
        fps = fps * len(few) / len(frames)
        fitted = np.stack([_fitted(frame, screen) for frame in few])
        if screen.protocol == "kitty":
            number = int.from_bytes(os.urandom(4)) | 1
            return terminal.kitty_clip(fitted, fps, number)
        return terminal.iterm2_clip(fitted, fps)
    pixels = _fitted(_strip(frames, screen), screen)
    if screen.protocol == "kitty":
        return terminal.kitty_picture(pixels)
    if screen.protocol == "iterm2":
        return terminal.iterm2_picture(pixels)
    if screen.protocol == "sixel":
        return terminal.sixel_picture(pixels)
    if screen.colors is None:
        return terminal.letter_picture(pixels)
    return terminal.block_picture(pixels, screen.colors)


def _strip(frames: Frames, screen: Screen) -> Sheet:
    """One picture of some frames side by side, the first and the last among them."""
    import numpy as np

    from nuwa_cli.media.contact_sheet import shown, shrunk

    few = shown(frames, _STRIP if screen.columns >= _NARROW else _NARROW_STRIP)
    if len(few) == 1:
        return few[0]
    # Shrunk one by one, so that the gap between them keeps its width.
    height, width = few.shape[1:3]
    is_blocks = screen.protocol == "blocks"
    room = screen.room[0] // len(few) - _STRIP_GAP
    scale = min(1.0, room / (width * screen.scale), screen.room[1] / (height * screen.scale))
    tiles = [shrunk(frame, max(1, int(max(height, width) * scale))) for frame in few]
    gap = np.zeros((tiles[0].shape[0], 1 if is_blocks else _STRIP_GAP, 3), np.uint8)
    row = [part for tile in tiles for part in (tile, gap)][:-1]
    return np.concatenate(row, axis=1)


def _fitted(pixels: Sheet, screen: Screen) -> Sheet:
    """A picture (H, W, 3) as large as it is shown: at its own size, smaller where it must be."""
    import numpy as np
    from PIL import Image

    height, width = pixels.shape[:2]
    room = screen.room
    scale = min(screen.scale, room[0] / width, room[1] / height)
    if scale == 1:
        return pixels
    size = (max(1, int(width * scale)), max(1, int(height * scale)))
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def show_files(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Pictures, clips, folders.", show_default=False),
    ],
) -> None:
    """nuwa show dog.png

    Show pictures and clips in the terminal: by the graphics protocol of kitty, Ghostty, Konsole,
    iTerm2, WezTerm, mintty, or sixels in foot, mlterm, Contour; elsewhere as coloured half blocks.
    Generating commands have --show for the same.

    \b
    nuwa show golf.mp4 dog-*.png
    NUWA_GRAPHICS=sixel nuwa show dog.png      for a terminal that is not recognised
    NUWA_GRAPHICS=blocks nuwa show dog.png > dog.txt

    NUWA_GRAPHICS is one of kitty, iterm2, sixel, blocks, none.
    """
    from nuwa_cli.cli.looking.files import look_at

    stream = sys.stdout
    if stream is None or not (stream.isatty() or os.environ.get(OVERRIDE)):
        raise UsageError(
            f"stdout: is no terminal; run it in one, or set {OVERRIDE}=blocks to write text"
        )
    if protocol_of(os.environ)[0] == "none":
        raise UsageError(
            f"stdout: this terminal shows no pictures; if it does, say how with {OVERRIDE}"
        )
    for path in files:
        seen = look_at(path, _PLAYED_FRAMES)
        show(seen.frames, str(path), stream, seen.fps)
