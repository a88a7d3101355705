"""On a terminal there is a bar and colour, in a pipe there are lines; --quiet, NO_COLOR and TERM=dumb count."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from terminals import Terminal, file_on, terminal

Run = Callable[..., Any]

ESCAPE = b"\x1b"
COLOUR = (b"\x1b[3", b"\x1b[9", b"\x1b[1;3", b"\x1b[38;")
CLIP = ("t2v", "a dog", "--frames", "2", "-n", "2", "-o", "x.gif")


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An ordinary terminal, whatever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "CI", "COLUMNS", "LINES", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return monkeypatch


@pytest.fixture
def screen() -> Iterator[Terminal]:
    with terminal() as found:
        yield found


@pytest.fixture
def on_screen(tiny: Run, screen: Terminal, plain: pytest.MonkeyPatch) -> Callable[..., bytes]:
    """Run a command on the tiny model with a terminal as stderr; what was seen there."""

    def run(*words: str, status: int = 0) -> bytes:
        with file_on(screen) as stream, pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stderr", stream)
            done = tiny(*words)
        assert done.status == status
        assert "\x1b" not in done.stdout
        return screen.settled()

    assert plain is not None
    return run


def has_colour(content: bytes) -> bool:
    return any(code in content for code in COLOUR)


def test_a_bar_on_a_terminal_that_goes_away(on_screen: Callable[..., bytes], work: Path) -> None:
    seen = on_screen(*CLIP)
    assert "━".encode() in seen
    assert b"clip 1/2" in seen
    assert has_colour(seen)
    assert seen.count(b"\x1b[?25l") == seen.count(b"\x1b[?25h")  # the cursor comes back
    assert b"\x1b[2K" in seen  # and the bar is gone
    assert (work / "x-0001.gif").is_file()


def test_no_color(on_screen: Callable[..., bytes], plain: pytest.MonkeyPatch) -> None:
    plain.setenv("NO_COLOR", "1")
    seen = on_screen(*CLIP)
    assert "━".encode() in seen
    assert not has_colour(seen)


def test_a_dumb_terminal_has_no_bar(
    on_screen: Callable[..., bytes], plain: pytest.MonkeyPatch
) -> None:
    plain.setenv("TERM", "dumb")
    assert ESCAPE not in on_screen(*CLIP)


def test_quiet_is_silent(on_screen: Callable[..., bytes]) -> None:
    assert on_screen(*CLIP, "--quiet") == b""


def test_a_refusal_has_no_colour(on_screen: Callable[..., bytes]) -> None:
    seen = on_screen("t2i", "a dog", "-o", "x.txt", status=2)
    assert seen.startswith(b"nuwa: ")
    assert ESCAPE not in seen
    assert seen.count(b"\n") == 1


def test_nothing_but_paths_in_a_pipe(
    command: str, model_folder: Path, work: Path, plain: pytest.MonkeyPatch
) -> None:
    """The installed program with a terminal as stdin only; FORCE_COLOR is for text, not for data."""
    plain.setenv("FORCE_COLOR", "1")
    with terminal() as screen:
        done = subprocess.run(
            [command, "t2i", "a dog", "-o", "x.png", "--model", model_folder],
            stdin=screen.slave,
            capture_output=True,
            cwd=work,
            env=os.environ,
            timeout=120,
        )
        assert (done.returncode, done.stdout) == (0, b"x.png\n")
        assert ESCAPE not in done.stderr
        assert screen.settled() == b""


@pytest.mark.parametrize("words", [["--help"], ["t2i", "--help"], ["palette"], ["man"]])
def test_plain_text_in_a_pipe(inside: Run, plain: pytest.MonkeyPatch, words: list[str]) -> None:
    done = inside(*words)
    assert done.status == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert plain is not None


def test_plain_progress_is_a_line_now_and_then(tiny: Run, plain: pytest.MonkeyPatch) -> None:
    from nuwa_cli.cli.work import output

    plain.setattr(output, "_PLAIN_INTERVAL", 0.0)
    done = tiny(*CLIP)
    lines = done.stderr.splitlines()
    assert len(lines) > 3
    assert all(line.startswith("nuwa: ") and line.endswith("s left") for line in lines)
    assert any("1/2 clips" in line for line in lines)
