"""The tree of commands as the parser built it, for those that describe it: completion, manual."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Node:
    """One command: its words (`nuwa` left out), and the parser's object."""

    words: tuple[str, ...]
    command: Any

    @property
    def is_group(self) -> bool:
        """Whether other commands are below it."""
        return bool(getattr(self.command, "commands", None))


def walk(command: Any, words: tuple[str, ...] = ()) -> Iterator[Node]:
    """A command and all below it that are not hidden, in the order of `--help`."""
    yield Node(words, command)
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from walk(child, (*words, name))
