"""What the manual says, as plain data: from the parser's own tree, so it cannot lag behind.

A page is a command. Its text is the help of the command: the first line and blocks of command lines are
its examples, the rest describes it. What no command knows about itself (exit statuses, environment,
files) stands in tables here.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import typer

from nuwa_cli.cli.manual.tree import Node, walk

PROGRAM = "nuwa"
TITLE = "NÜWA on the command line"

_NAMES = re.compile(r"(-[^ ,]+(?:, -[^ ,]+)*)\s*(.*)")
_LITERAL = "\b"  # in front of a paragraph that must not be filled
_COMMAND_LINE = re.compile(r"(nuwa|[A-Z_]+=\S+ nuwa|mkdir|man|source|make|curl|ffplay|mpv|#) ?")


@dataclass(frozen=True)
class Entry:
    """An option or argument: its names, the word for its value, what it does."""

    names: str  # "-o, --output"; "PROMPT" of an argument
    value: str
    text: str


@dataclass(frozen=True)
class Block:
    """A paragraph, or lines that stand as they are."""

    text: str
    is_literal: bool = False


@dataclass(frozen=True)
class Page:
    """A command as it is described."""

    words: tuple[str, ...]
    summary: str
    usage: str
    description: list[Block] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    arguments: list[Entry] = field(default_factory=list)
    options: list[Entry] = field(default_factory=list)
    children: list[tuple[tuple[str, ...], str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """`nuwa-train-model`, the name of the page."""
        return "-".join((PROGRAM, *self.words))

    @property
    def title(self) -> str:
        """`nuwa train model`."""
        return " ".join((PROGRAM, *self.words))


EXIT_STATUSES = {
    "0": "Everything was done.",
    "1": "A bug of ours; a log with details is named.",
    "2": "Wrong usage: an option, argument or setting cannot be used as given. Nothing was loaded.",
    "3": "An input or a model was refused.",
    "4": "An output cannot be written where it was asked for.",
    "5": "The machine cannot do it now: memory, device, network, lock.",
    "6": "A batch ended, and some of its jobs failed.",
    "7": "A check found a difference.",
    "130, 143, 129": "Ended by an interrupt, a request to terminate, or the end of its terminal.",
    "141": "Whoever read the output closed it.",
}

ENVIRONMENT = {
    "NUWA_OPTION": "Default of an option of all commands, such as NUWA_MODEL or NUWA_BEST_OF.",
    "NUWA_COMMAND_OPTION": "Default of an option of one command, such as NUWA_T2V_FRAMES.",
    "NUWA_NO_CONFIG": "1 leaves all config files out.",
    "NUWA_GRAPHICS": "How the terminal shows pictures: kitty, iterm2, sixel, blocks or none.",
    "NO_COLOR": "Not empty: text has no colours, and pictures of characters become grey.",
    "TERM, COLORTERM, TERM_PROGRAM": "What the terminal is; dumb means plain progress, no pictures.",
    "SOURCE_DATE_EPOCH": "The date of manual pages, in seconds since 1970.",
    "HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN": "Cache, mirror, offline switch and key of the "
    "Hugging Face hub, for models given as owner/name.",
    "XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_STATE_HOME": "Where config files and logs are.",
}

FILES = {
    "nuwa.toml": "Settings of a project, in its folder or above; [tool.nuwa] in pyproject.toml too.",
    "~/.config/nuwa/config.toml": "Your own settings.",
    "/etc/xdg/nuwa/config.toml": "Settings of the system.",
    "~/.local/state/nuwa": "Logs of crashes, and how fast this machine is.",
}


def pages_of(command: Any) -> list[Page]:
    """A page of the command itself and of each below it, hidden ones left out."""
    contexts: dict[tuple[str, ...], Any] = {}
    pages = []
    for node in walk(command):
        name = node.words[-1] if node.words else PROGRAM
        settings = node.command.context_settings
        parent = contexts.get(node.words[:-1]) if node.words else None
        context = typer.Context(node.command, parent=parent, info_name=name, **settings)
        contexts[node.words] = context
        pages.append(_page(node, context))
    return pages


def _page(node: Node, context: Any) -> Page:
    command = node.command
    description, examples = _text_of(command.help or "")
    parameters = command.get_params(context)
    return Page(
        words=node.words,
        summary=command.get_short_help_str(limit=200).rstrip(".") if node.words else TITLE,
        usage=" ".join(
            [context.command_path.replace("[OPTIONS] ", ""), *command.collect_usage_pieces(context)]
        ),
        description=description,
        examples=examples,
        arguments=list(_entries(parameters, context, "argument")),
        options=list(_entries(parameters, context, "option")),
        children=[
            ((*node.words, name), child.get_short_help_str(limit=200))
            for name, child in getattr(command, "commands", {}).items()
            if not child.hidden
        ],
    )


def _entries(parameters: list[Any], context: Any, kind: str) -> Iterator[Entry]:
    for parameter in parameters:
        record = parameter.get_help_record(context)
        if record is None or parameter.param_type_name != kind:
            continue
        names, text = record
        text = " ".join(text.split())
        if kind == "argument":
            name, _, value = names.partition(" ")
            yield Entry(name, value, text)
        else:
            match = _NAMES.fullmatch(names)
            yield Entry(match[1], match[2], text) if match else Entry(names, "", text)


def _text_of(help_text: str) -> tuple[list[Block], list[str]]:
    """Description and examples of a help text."""
    blocks: list[Block] = []
    examples: list[str] = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", inspect.cleandoc(help_text))):
        is_literal = paragraph.startswith(_LITERAL)
        text = paragraph.removeprefix(_LITERAL).strip("\n")
        lines = text.splitlines()
        if number == 0 or (is_literal and all(_COMMAND_LINE.match(line) for line in lines)):
            examples += lines
        elif is_literal:
            blocks.append(Block(text, is_literal=True))
        else:
            blocks.append(Block(" ".join(text.split())))
    return blocks, examples
