"""Manual pages as roff, in the plain `man` macros that every formatter knows.

Pure ASCII: other characters are written as `\\[uXXXX]`, so that a page is right in any locale. A minus is
always `\\-`: copied from the screen it is the character that was typed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence

from nuwa_cli.cli.manual.pages import (
    ENVIRONMENT,
    EXIT_STATUSES,
    FILES,
    PROGRAM,
    Block,
    Entry,
    Page,
)

_LINE = 72
_SPECIAL = {"\\": "\\e", "-": "\\-", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti"}


def roff_page(page: Page, version: str, date: str) -> str:
    """One command as a page of section 1."""
    lines = [*_head(page, version, date), *_body(page, "SH")]
    if page.children:
        lines += [".SH COMMANDS", *_children(page)]
    if not page.words:
        lines += _tables()
    return "\n".join([*lines, *_see_also(page)]) + "\n"


def roff_book(pages: Sequence[Page], version: str, date: str) -> str:
    """The program and all of its commands on one page."""
    root = pages[0]
    lines = [*_head(root, version, date), *_body(root, "SH"), ".SH COMMANDS"]
    for page in pages[1:]:
        lines += [f".SS {_escaped(page.title)}", f"{_escaped(page.summary)}.", *_body(page, "PP")]
    return "\n".join([*lines, *_tables()]) + "\n"


def _head(page: Page, version: str, date: str) -> list[str]:
    name = _escaped(page.name)
    return [
        f'.TH {name.upper()} 1 "{date}" "{PROGRAM} {version}" "{_escaped("Manual of NÜWA")}"',
        ".SH NAME",
        f"{name} \\- {_escaped(page.summary[:1].lower() + page.summary[1:] if page.words else page.summary)}",
    ]


def _body(page: Page, level: str) -> Iterator[str]:
    """Synopsis, description, arguments, options, examples; under headings of a level."""

    def heading(text: str) -> list[str]:
        return [f".SH {text}"] if level == "SH" else [".PP", f"\\fI{text.capitalize()}\\fR"]

    yield from heading("SYNOPSIS")
    if level != "SH":
        yield ".br"
    yield _usage(page)
    if page.description:
        yield from [".SH DESCRIPTION"] if level == "SH" else []
        yield from _blocks(page.description, is_first=level == "SH")
    for title, entries in (("ARGUMENTS", page.arguments), ("OPTIONS", page.options)):
        if entries:
            yield from heading(title)
            yield from _entries(entries)
    if page.examples:
        yield from heading("EXAMPLES")
        yield from _literal(page.examples)


def _usage(page: Page) -> str:
    rest = page.usage.removeprefix(page.title).strip()
    return f"\\fB{_escaped(page.title)}\\fR {_escaped(rest)}".rstrip()


def _blocks(blocks: Iterable[Block], *, is_first: bool) -> Iterator[str]:
    for number, block in enumerate(blocks):
        if block.is_literal:
            yield from [] if is_first and number == 0 else [".PP"]
            yield from _literal(block.text.splitlines())
        else:
            yield from [] if is_first and number == 0 else [".PP"]
            yield from _wrapped(block.text)


def _entries(entries: Iterable[Entry]) -> Iterator[str]:
    for entry in entries:
        names = ", ".join(f"\\fB{_escaped(name)}\\fR" for name in entry.names.split(", "))
        value = f" \\fI{_escaped(entry.value)}\\fR" if entry.value else ""
        yield from (".TP", names + value, *_wrapped(entry.text))


def _children(page: Page) -> Iterator[str]:
    for words, summary in page.children:
        name = "\\-".join(_escaped(word) for word in (PROGRAM, *words))
        yield from (".TP", f"\\fB{name}\\fR(1)", _escaped(summary))


def _literal(lines: Iterable[str]) -> list[str]:
    return [".RS 4", ".nf", *(_escaped(line) or "\\&" for line in lines), ".fi", ".RE"]


def _tables() -> Iterator[str]:
    named: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("EXIT STATUS", EXIT_STATUSES),
        ("ENVIRONMENT", ENVIRONMENT),
        ("FILES", FILES),
    )
    for title, rows in named:
        yield f".SH {title}"
        for name, text in rows.items():
            yield from (".TP", f"\\fB{_escaped(name)}\\fR", *_wrapped(text))


def _see_also(page: Page) -> list[str]:
    if not page.words:
        return []
    above = ["-".join((PROGRAM, *page.words[:count])) for count in range(len(page.words))]
    below = ["-".join((PROGRAM, *words)) for words, _ in page.children]
    names = [f"\\fB{_escaped(name)}\\fR(1)" for name in (*above, *below)]
    return [".SH SEE ALSO", ",\n".join(names)]


def _wrapped(text: str) -> list[str]:
    """Text on source lines of moderate length, as formatters like it."""
    lines = textwrap.wrap(text, _LINE, break_long_words=False, break_on_hyphens=False)
    return [_escaped(line) for line in lines] or ["\\&"]


def _escaped(text: str) -> str:
    """Text that no formatter takes for anything else."""
    out = "".join(
        _SPECIAL.get(character, character) if character.isascii() else f"\\[u{ord(character):04X}]"
        for character in text
    )
    return f"\\&{out}" if out.startswith(".") else out
