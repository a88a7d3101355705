"""What a stranger reads: usage lines without braces, and progress that never goes back."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nuwa_cli.cli.work.output import Progress

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("t2i", "Usage: nuwa t2i [OPTIONS] PROMPT..."),
        ("edit", "Usage: nuwa edit [OPTIONS] IMAGE PROMPT"),
        ("vocab", "Usage: nuwa vocab [OPTIONS] [TEXT]"),
        ("config show", "Usage: nuwa config show [OPTIONS] [COMMAND]..."),
    ],
)
def test_what_must_be_given_stands_as_it_is(inside: Run, command: str, usage: str) -> None:
    assert inside(*command.split(), "--help").stdout.splitlines()[0] == usage


def test_no_help_speaks_python(inside: Run) -> None:
    assert "list[" not in inside("man", "--markdown").stdout


def test_outputs_that_are_drawn_together_do_not_turn_progress_back() -> None:
    shown = []

    class Watched(Progress):
        def show(self, fraction: float) -> None:
            shown.append(fraction)

    progress = Watched(2, "picture")
    for done in (1, 2):
        progress.step(done * 2, 2)
    progress.next()
    progress.next()
    assert shown == sorted(shown) and shown[-1] == 1.0


def test_nothing_to_tell_is_said(inside: Run) -> None:
    done = inside("vocab", "xqzw", "--model", "storybook")
    assert (done.status, done.stdout) == (0, "")
    assert "no word that it knows contains 'xqzw'" in done.stderr
    assert json.loads(inside("vocab", "xqzw", "--json").stdout)["words"] == []
    assert "nothing is set here" in inside("config", "show").stderr
