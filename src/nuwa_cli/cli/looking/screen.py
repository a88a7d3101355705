"""What the terminal can show, told from the environment alone.

A terminal could be asked, but one that does not know the question stays silent, and a late answer
lands in the user's next command. So the names that terminals give themselves decide, and
NUWA_GRAPHICS=kitty|iterm2|sixel|blocks|none overrides them. Inside tmux and screen, which swallow what
they do not know, there are half blocks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TextIO, get_args

from nuwa_cli.errors import UsageError

Protocol = Literal["kitty", "iterm2", "sixel", "blocks", "none"]

OVERRIDE = "NUWA_GRAPHICS"

_CELL = (8, 16)  # pixels of a character where the terminal does not tell
_DENSE_CELL = 18  # pixels of height for one pixel of a picture; dense screens have a multiple
_MULTIPLEXERS = ("TMUX", "STY", "ZELLIJ")
_BY_PROGRAM: dict[str, tuple[Protocol, bool]] = {
    # TERM_PROGRAM: protocol, and whether clips play in it
    "ghostty": ("kitty", False),
    "iTerm.app": ("iterm2", True),
    "WezTerm": ("iterm2", True),
    "mintty": ("iterm2", False),
}
_SIXEL_TERMS = ("foot", "mlterm", "yaft", "contour", "xterm-sixel", "sixel")


@dataclass(frozen=True)
class Screen:
    """A terminal: protocol, whether clips play, colours of text, size in cells, pixels of a cell."""

    protocol: Protocol
    plays: bool
    colors: Literal["true", "256"] | None
    columns: int
    rows: int
    cell: tuple[int, int]

    @property
    def scale(self) -> int:
        """Pixels of the screen for one of a picture, so that it is no stamp on a dense screen."""
        return 1 if self.protocol == "blocks" else max(1, round(self.cell[1] / _DENSE_CELL))

    @property
    def room(self) -> tuple[int, int]:
        """Pixels (width, height) that are seen at once, with a line to spare for a caption."""
        lines = max(self.rows - 2, 1)
        if self.protocol == "blocks":
            return self.columns, 2 * lines
        return self.columns * self.cell[0], lines * self.cell[1]


def protocol_of(environ: Mapping[str, str]) -> tuple[Protocol, bool]:
    """What the terminal named in an environment speaks, and whether clips play in it.

    Raises UsageError for an unknown NUWA_GRAPHICS.
    """
    wanted = environ.get(OVERRIDE, "")
    protocol, plays = _named(environ)
    if not wanted or wanted == protocol:
        return protocol, plays
    for known in get_args(Protocol):
        if wanted == known:
            return known, False
    choices = " ".join(get_args(Protocol))
    raise UsageError(f"{OVERRIDE} '{wanted[:40]}': is no way to show pictures; use {choices}")


def _named(environ: Mapping[str, str]) -> tuple[Protocol, bool]:
    """Protocol, and whether clips play, by the names that terminals give themselves."""
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if term in ("", "dumb"):
        return "none", False
    if any(environ.get(name) for name in _MULTIPLEXERS) or term.startswith(("tmux", "screen")):
        return "blocks", False
    if environ.get("KITTY_WINDOW_ID") or term == "xterm-kitty":
        return "kitty", True
    if program in _BY_PROGRAM:
        return _BY_PROGRAM[program]
    if term == "xterm-ghostty" or environ.get("KONSOLE_VERSION"):
        return "kitty", False
    if environ.get("LC_TERMINAL") == "iTerm2":  # it crosses ssh, TERM_PROGRAM does not
        return "iterm2", True
    if term.startswith(_SIXEL_TERMS):
        return "sixel", False
    return "blocks", False


def screen_of(stream: TextIO) -> Screen:
    """The terminal behind a stream, which need not be one if NUWA_GRAPHICS says what to write.

    Raises UsageError for an unknown NUWA_GRAPHICS.
    """
    protocol, plays = protocol_of(os.environ)
    columns, rows, cell = _size(stream)
    return Screen(protocol, plays, _colors(stream), columns, rows, cell)


def _size(stream: TextIO) -> tuple[int, int, tuple[int, int]]:
    """Columns, rows, and pixels of a cell."""
    import shutil

    columns, rows = shutil.get_terminal_size()
    try:
        import fcntl
        import struct
        import termios

        answer = fcntl.ioctl(stream.fileno(), termios.TIOCGWINSZ, bytes(8))
        lines, across, width, height = struct.unpack("HHHH", answer)
    except (ImportError, OSError, ValueError):  # no such system, no terminal, no descriptor
        return columns, rows, _CELL
    if lines and across:
        columns, rows = across, lines
    has_pixels = width >= columns and height >= rows
    return columns, rows, (width // columns, height // rows) if has_pixels else _CELL


def _colors(stream: TextIO) -> Literal["true", "256"] | None:
    """Colours of text, by the rules of rich: COLORTERM, TERM, NO_COLOR."""
    from rich.console import Console

    console = Console(file=stream, force_terminal=True)
    if console.no_color or not _is_unicode(stream):
        return None
    if console.color_system == "truecolor" or not stream.isatty():
        return "true"
    return "256" if console.color_system == "256" else None


def _is_unicode(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"
