"""`--show` and `nuwa show`: the right protocol, the right size, and nothing where there is no terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from terminals import Terminal, file_on, terminal

from nuwa_cli.cli.looking.screen import Screen, protocol_of
from nuwa_cli.cli.looking.show import Display, encode, show
from nuwa_cli.errors import UsageError
from nuwa_cli.media.video import write_video
from terminal_codes import kitty_commands, psnr, read_blocks, read_png, read_sixel

Run = Callable[..., Any]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]

TERMINAL_VARIABLES = (
    *("TERM", "COLORTERM", "TERM_PROGRAM", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "LC_TERMINAL"),
    *("TMUX", "STY", "ZELLIJ", "NO_COLOR", "FORCE_COLOR", "NUWA_GRAPHICS", "COLUMNS", "LINES"),
)


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An ordinary terminal of many colours, whatever runs the tests."""
    for name in TERMINAL_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    return monkeypatch


@pytest.fixture
def screen() -> Iterator[Terminal]:
    with terminal(columns=80, rows=24) as found:
        yield found


def scene(side: int = 64, shift: int = 0) -> Pixels:
    y, x = np.mgrid[0:side, 0:side]
    pixels = np.stack([60 + 2 * y, 120 + y, 250 - y], axis=-1)
    pixels[(x - side // 2 - shift) ** 2 + (y - side // 2) ** 2 < (side // 5) ** 2] = (220, 60, 40)
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"TERM": "xterm-kitty"}, ("kitty", True)),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, ("kitty", True)),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, ("iterm2", True)),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, ("iterm2", True)),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, ("kitty", False)),
        ({"TERM": "xterm-ghostty"}, ("kitty", False)),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "240802"}, ("kitty", False)),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, ("iterm2", True)),
        ({"TERM": "foot"}, ("sixel", False)),
        ({"TERM": "foot-extra"}, ("sixel", False)),
        ({"TERM": "mlterm-256color"}, ("sixel", False)),
        ({"TERM": "xterm-256color"}, ("blocks", False)),
        ({"TERM": "linux"}, ("blocks", False)),
        ({"TERM": "dumb"}, ("none", False)),
        ({}, ("none", False)),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, ("blocks", False)),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/x,1,0"}, ("blocks", False)),
        ({"TERM": "screen.xterm-256color"}, ("blocks", False)),
        ({"TERM": "xterm-256color", "NUWA_GRAPHICS": "sixel"}, ("sixel", False)),
        ({"TERM": "dumb", "NUWA_GRAPHICS": "blocks"}, ("blocks", False)),
        ({"TERM": "xterm-kitty", "NUWA_GRAPHICS": "kitty"}, ("kitty", True)),
        ({"TERM": "xterm-kitty", "NUWA_GRAPHICS": "none"}, ("none", False)),
    ],
)
def test_terminals_are_known_by_their_names(
    environ: dict[str, str], expected: tuple[str, bool]
) -> None:
    assert protocol_of(environ) == expected


def test_an_unknown_way_is_refused() -> None:
    with pytest.raises(UsageError, match=r"NUWA_GRAPHICS 'gif': is no way.*use kitty iterm2"):
        protocol_of({"TERM": "xterm", "NUWA_GRAPHICS": "gif"})


def test_blocks_fill_the_screen_and_no_more(plain: pytest.MonkeyPatch, screen: Terminal) -> None:
    picture = scene(256)
    with file_on(screen) as stream:
        show(picture[None], "dog.png", stream)
    content = screen.settled()
    *lines, caption, rest = content.split(b"\n")
    assert (caption, rest) == (b"dog.png", b"")
    assert len(lines) == 22  # of 24, one for the caption, one for the next prompt
    drawn = read_blocks(b"\n".join(lines))
    small = Image.fromarray(picture).resize((44, 44), Image.Resampling.LANCZOS)
    assert np.array_equal(drawn, np.asarray(small))
    assert plain is not None


def test_small_pictures_are_not_enlarged(plain: pytest.MonkeyPatch, screen: Terminal) -> None:
    with file_on(screen) as stream:
        show(scene(16)[None], "x", stream)
    lines = screen.settled().split(b"\n")[:-2]
    assert np.array_equal(read_blocks(b"\n".join(lines)), scene(16))
    assert plain is not None


def test_no_color_gives_letters(plain: pytest.MonkeyPatch, screen: Terminal) -> None:
    plain.setenv("NO_COLOR", "1")
    with file_on(screen) as stream:
        show(scene()[None], "x", stream)
    assert b"\x1b" not in screen.settled()
    assert set(screen.shown.decode()) <= set(" .:-=+*#%@\nx")


def test_a_caption_cannot_move_the_cursor(plain: pytest.MonkeyPatch, screen: Terminal) -> None:
    with file_on(screen) as stream:
        show(scene(2)[None], "a\x1b[2Jb\nc", stream)
    assert screen.settled().endswith(b"\na\\x1b[2Jb\\nc\n")
    assert plain is not None


def test_256_colours(plain: pytest.MonkeyPatch, screen: Terminal) -> None:
    plain.delenv("COLORTERM")
    with file_on(screen) as stream:
        show(scene()[None], "x", stream)
    assert b";5;" in screen.settled()
    assert b";2;" not in screen.shown


def test_display_without_a_terminal_says_one_note(plain: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    display = Display(notes.append, stream)
    for _ in range(3):
        display.show(scene()[None], "x")
    assert len(notes) == 1
    assert "no terminal" in notes[0]
    assert stream.buffer.getvalue() == b""  # type: ignore[attr-defined]
    assert plain is not None


def test_display_on_a_dumb_terminal(plain: pytest.MonkeyPatch, screen: Terminal) -> None:
    notes: list[str] = []
    plain.setenv("TERM", "dumb")
    with file_on(screen) as stream:
        Display(notes.append, stream).show(scene()[None], "x")
        plain.setenv("NUWA_GRAPHICS", "none")
        Display(notes.append, stream).show(scene()[None], "x")  # as asked: no note
    assert screen.settled() == b""
    assert len(notes) == 1
    assert "NUWA_GRAPHICS" in notes[0]


def test_pixels_fit_into_the_screen() -> None:
    """Where a cell has 8 by 16 pixels, 40 by 12 cells show 320 by 160 of them."""
    small = Screen("kitty", False, "true", 40, 12, (8, 16))
    ((_, payload),) = kitty_commands(encode(scene(256)[None], small))
    assert read_png(payload).shape == (160, 160, 3)
    wide = np.concatenate([scene(64)] * 8, axis=1)
    ((_, payload),) = kitty_commands(encode(wide[None], small))
    assert read_png(payload).shape == (40, 320, 3)
    dense = Screen("kitty", False, "true", 100, 50, (18, 36))
    ((_, payload),) = kitty_commands(encode(scene(64)[None], dense))
    assert read_png(payload).shape == (128, 128, 3)  # no stamp on a dense screen


def test_a_clip_plays_where_it_can_and_is_a_strip_elsewhere() -> None:
    frames = np.stack([scene(shift=shift) for shift in range(10)])
    playing = Screen("kitty", True, "true", 80, 24, (8, 16))
    commands = kitty_commands(encode(frames, playing, 5.0))
    assert [keys["a"] for keys, _ in commands] == ["T", *["f"] * 9, "a", "a"]
    assert commands[1][0]["z"] == "200"
    assert b"GIF8" not in encode(frames, playing, 5.0)
    iterm = encode(frames, Screen("iterm2", True, "true", 80, 24, (8, 16)), 5.0)
    assert b"R0lGOD" in iterm  # GIF8 in base64
    strip = read_sixel(encode(frames, Screen("sixel", False, "true", 120, 40, (8, 16)), 5.0))
    assert strip.shape == (64, 6 * 64 + 5 * 2, 3)
    assert psnr(strip[:, :64], frames[0]) > 30
    assert psnr(strip[:, -64:], frames[-1]) > 30
    narrow = read_blocks(encode(frames, Screen("blocks", False, "true", 40, 24, (8, 16)), 5.0))
    assert narrow.shape[1] <= 40


def test_long_clips_keep_their_speed() -> None:
    frames = np.repeat(scene(8)[None], 240, axis=0)
    playing = Screen("kitty", True, "true", 80, 24, (8, 16))
    commands = kitty_commands(encode(frames, playing, 20.0))
    gap = int(commands[1][0]["z"])
    assert len(commands) == 60 + 2
    assert 60 * gap == 240 * 1000 // 20


def test_show_prints_files(inside: Run, work: Path, plain: pytest.MonkeyPatch) -> None:
    plain.setenv("NUWA_GRAPHICS", "blocks")
    Image.fromarray(scene(16)).save(work / "a.png")
    frames = np.stack([scene(16, shift=shift) for shift in range(5)])
    write_video(work / "b.gif", frames, 10.0)
    done = inside("show", "a.png", "b.gif")
    assert (done.status, done.stderr) == (0, "")
    content = done.stdout.encode()
    first, second = content.split(b"a.png\n")
    assert np.array_equal(read_blocks(first), scene(16))
    assert second.endswith(b"\nb.gif\n")
    assert read_blocks(second.removesuffix(b"b.gif\n")).shape == (16, 4 * 16 + 3, 3)
    inside("show", "none.png").check_refusal(3, "none.png")


def test_show_needs_a_terminal(inside: Run, work: Path, plain: pytest.MonkeyPatch) -> None:
    Image.fromarray(scene(8)).save(work / "a.png")
    inside("show", "a.png").check_refusal(2, "no terminal")
    plain.setenv("NUWA_GRAPHICS", "none")
    inside("show", "a.png").check_refusal(2, "shows no pictures")
    plain.setenv("NUWA_GRAPHICS", "best")
    inside("show", "a.png").check_refusal(2, "NUWA_GRAPHICS 'best'")


def test_pictures_of_a_run_are_shown_on_stderr(
    tiny: Run, screen: Terminal, plain: pytest.MonkeyPatch
) -> None:
    with file_on(screen) as stream:
        plain.setattr(sys, "stderr", stream)
        done = tiny("t2i", "a dog", "-n", "2", "-o", "out.png", "--show", "--seed", "5")
    assert (done.status, done.paths) == (0, ["out-0000.png", "out-0001.png"])
    content = screen.settled()
    for name in done.paths:
        path = os.fsencode(name)
        before = content.partition(b"\n" + path)[0].rpartition(b"\x1b[0m\n\n")[2]
        lines = [line for line in before.split(b"\n") if "▀".encode() in line]
        assert len(lines) >= 16, name
    assert content.index(b"out-0000.png") < content.index(b"out-0001.png")


def test_without_a_terminal_a_run_says_so_once(tiny: Run, plain: pytest.MonkeyPatch) -> None:
    done = tiny("t2i", "a dog", "-n", "2", "-o", "out.png", "--show")
    assert done.status == 0
    assert done.stderr.count("nothing is shown") == 1
    assert "\x1b" not in done.stderr + done.stdout
    quiet = tiny("t2i", "a dog", "-o", "quiet.png", "--show", "--quiet")
    assert (quiet.status, quiet.stderr) == (0, "")
    plain.setenv("NUWA_GRAPHICS", "best")
    tiny("t2i", "a dog", "-o", "other.png", "--show").check_refusal(2, "NUWA_GRAPHICS 'best'")
