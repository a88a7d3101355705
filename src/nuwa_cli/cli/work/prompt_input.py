"""Prompts from elsewhere: `-` reads them from stdin, `@FILE` from a file, one a line; `@@x` says "@x".

Blank lines are left out, so that a file may be arranged. A text is bounded in bytes and lines before anything
looks at it: whoever sends a film instead of prompts learns so at once.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer

from nuwa_cli.cli.work.inputs import take_stdin
from nuwa_cli.cli.work.spool import STDIN, descriptor_of, pieces, piped, refuse_terminal
from nuwa_cli.errors import InputError, UsageError

MAX_BYTES = 4 << 20
MAX_LINES = 10_000

_LINE_END = re.compile(r"\r\n|\n|\r")


def prompt_callback(context: typer.Context, value: Any) -> Any:
    """For arguments that take prompts: stdin is theirs then. Nothing is read yet.

    Raises UsageError when stdin is asked for twice.
    """
    if not context.resilient_parsing:
        prompts: list[str] = [value] if isinstance(value, str) else value or []
        for prompt in prompts:
            if prompt == "-" or descriptor_of(_file_of(prompt)) == STDIN:
                take_stdin(context, f"prompt '{prompt}'")
    return value


def read_prompts(prompts: Iterable[str | None]) -> list[str | None]:
    """Prompts with what is named by `-` and `@FILE` in its place; None stays.

    Raises UsageError for what cannot be prompts, InputError for a file that cannot be read.
    """
    found: list[str | None] = []
    for prompt in prompts:
        found += [None] if prompt is None else _prompts(prompt)
    return found


def _file_of(prompt: str) -> Path:
    """The file that a prompt names; no path at all for a text."""
    is_name = prompt.startswith("@") and not prompt.startswith("@@")
    return piped(Path(prompt[1:])) if is_name else Path()


def _prompts(given: str) -> list[str]:
    if given == "-":
        refuse_terminal(STDIN, "prompt '-'")
        return _lines(given, _read(STDIN, given))
    if not given.startswith("@"):
        return [given]
    if given.startswith("@@"):
        return [given[1:]]
    path = _file_of(given)
    descriptor = descriptor_of(path)
    return _lines(
        given, _read_file(path, given) if descriptor is None else _read(descriptor, given)
    )


def _read_file(path: Path, given: str) -> bytes:
    try:
        # Not blocking: a pipe that has a name may have no writer, for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(
            f"prompts '{given}': {why}; check the name, or write @@ for an @"
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise InputError(f"prompts '{given}': is not a regular file; give a file of text")
        return _read(descriptor, given)
    finally:
        os.close(descriptor)


def _read(descriptor: int, given: str) -> bytes:
    content = bytearray()
    for piece in pieces(descriptor, given):
        content += piece
        if len(content) > MAX_BYTES:
            raise UsageError(
                f"prompts '{given}': more than {MAX_BYTES >> 20} MiB of text; give fewer prompts"
            )
    return bytes(content)


def _lines(given: str, content: bytes) -> list[str]:
    try:
        text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"prompts '{given}': byte {error.start} is not UTF-8; save it as UTF-8 text"
        ) from error
    lines = [line.strip() for line in _LINE_END.split(text)]
    prompts = [line for line in lines if line]
    if not prompts:
        raise UsageError(f"prompts '{given}': holds no text; give one prompt a line")
    if len(prompts) > MAX_LINES:
        raise UsageError(
            f"prompts '{given}': holds {len(prompts)} prompts; give at most {MAX_LINES} at once"
        )
    return prompts
