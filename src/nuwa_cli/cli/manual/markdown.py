"""Manual pages as Markdown, for a web site or a repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nuwa_cli.cli.manual.pages import (
    ENVIRONMENT,
    EXIT_STATUSES,
    FILES,
    PROGRAM,
    Entry,
    Page,
)


def markdown_page(page: Page) -> str:
    """One command as a document."""
    lines = list(_section(page, "#"))
    if page.children:
        lines += ["## Commands", "", *_children(page), ""]
    return _joined([*lines, *([] if page.words else _tables())])


def markdown_book(pages: Sequence[Page]) -> str:
    """The program and all of its commands as one document."""
    lines = [*_section(pages[0], "#"), "## Commands", ""]
    for page in pages[1:]:
        anchor = page.title.replace(" ", "-")
        lines.append(f"- [`{page.title}`](#{anchor}): {_plain(page.summary)}.")
    lines.append("")
    for page in pages[1:]:
        lines += _section(page, "##")
    return _joined([*lines, *_tables()])


def _section(page: Page, level: str) -> Iterator[str]:
    yield from (f"{level} {page.title}", "", f"{_plain(page.summary)}.", "")
    yield from ("```sh", page.usage, "```", "")
    for block in page.description:
        if block.is_literal:
            yield from ("```text", block.text, "```", "")
        else:
            yield from (_plain(block.text), "")
    if page.examples:
        yield from ("```sh", *page.examples, "```", "")
    for title, entries in (("Argument", page.arguments), ("Option", page.options)):
        if entries:
            yield from _table(title, entries)


def _table(title: str, entries: Iterable[Entry]) -> Iterator[str]:
    yield from (f"| {title} | |", "|---|---|")
    for entry in entries:
        value = f" {entry.value}" if entry.value else ""
        yield f"| `{_cell(entry.names + value)}` | {_plain(_cell(entry.text))} |"
    yield ""


def _children(page: Page) -> Iterator[str]:
    for words, summary in page.children:
        name = "-".join((PROGRAM, *words))
        yield f"- [`{' '.join((PROGRAM, *words))}`]({name}.md): {_plain(summary)}"


def _tables() -> Iterator[str]:
    named: tuple[tuple[str, Mapping[str, str]], ...] = (
        ("Exit status", EXIT_STATUSES),
        ("Environment", ENVIRONMENT),
        ("Files", FILES),
    )
    for title, rows in named:
        yield from (f"## {title}", "", "| | |", "|---|---|")
        for name, text in rows.items():
            yield f"| `{_cell(name)}` | {_plain(_cell(text))} |"
        yield ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(text: str) -> str:
    """Prose in which nothing is taken for markup."""
    for character in "*_<>[]":
        text = text.replace(character, f"\\{character}")
    return text


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip("\n") + "\n"
