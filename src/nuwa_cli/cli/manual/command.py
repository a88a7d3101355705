"""`nuwa man`: the manual of the program, made from the program."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer

import nuwa_cli
from nuwa_cli.cli.manual.pages import Page, pages_of
from nuwa_cli.cli.work.options import JsonFlag
from nuwa_cli.cli.work.output import Output, print_json, print_line
from nuwa_cli.errors import UsageError

MANUAL_SCHEMA = "nuwa.manual/1"


def register(app: typer.Typer) -> None:
    """Add `nuwa man` to the command line."""
    app.command("man", short_help="Print the manual.")(man)


def man(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="Only this command.", show_default=False),
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Markdown instead of the roff that man reads.")
    ] = False,
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="DIR", help="Write one page a command.")
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace existing pages.")] = False,
    json: JsonFlag = False,
) -> None:
    """nuwa man t2i | man -l -

    Print the manual of nuwa, or of one command. With --folder it is written as one page a command:
    nuwa.1, nuwa-t2i.1, and so on. With --json it is what programs read: every command
    with its arguments and options.

    \b
    nuwa man --folder ~/.local/share/man/man1
    nuwa man --markdown > reference.md
    nuwa man t2i --json
    """
    pages = pages_of(context.find_root().command)
    if command:
        pages = [page for page in pages if page.words == tuple(command)]
        if not pages:
            raise UsageError(f"command '{' '.join(command)[:60]}': unknown; see: nuwa --help")
    if folder is None and json:
        if markdown:
            raise UsageError("markdown: not with --json, which has no form; leave one of them out")
        facts = {"version": nuwa_cli.__version__, "pages": [_facts(page) for page in pages]}
        print_json({"schema": MANUAL_SCHEMA, **facts})
        return
    if folder is None:
        print_line(_book(pages, markdown=markdown).rstrip("\n"))
        return

    from nuwa_cli.media.atomic import check_output, make_folder, write_bytes

    make_folder(folder)
    suffix = ".md" if markdown else ".1"
    paths = [folder / f"{page.name}{suffix}" for page in pages]
    for path in paths:
        check_output(path, force=force)
    voice = Output(as_json=json, quiet=True)
    for page, path in zip(pages, paths, strict=True):
        write_bytes(path, _page(page, markdown=markdown).encode(), force=force)
        voice.result(path, {})
    voice.finish("man")


def _facts(page: Page) -> dict[str, Any]:
    return {
        "command": page.title,
        "summary": page.summary,
        "usage": page.usage,
        "description": [block.text for block in page.description],
        "examples": page.examples,
        "arguments": [dataclasses.asdict(entry) for entry in page.arguments],
        "options": [dataclasses.asdict(entry) for entry in page.options],
    }


def _book(pages: list[Page], *, markdown: bool) -> str:
    if len(pages) == 1:
        return _page(pages[0], markdown=markdown)
    if markdown:
        from nuwa_cli.cli.manual.markdown import markdown_book

        return markdown_book(pages)
    from nuwa_cli.cli.manual.roff import roff_book

    return roff_book(pages, nuwa_cli.__version__, _date())


def _page(page: Page, *, markdown: bool) -> str:
    if markdown:
        from nuwa_cli.cli.manual.markdown import markdown_page

        return markdown_page(page)
    from nuwa_cli.cli.manual.roff import roff_page

    return roff_page(page, nuwa_cli.__version__, _date())


def _date() -> str:
    """Today, or the day that SOURCE_DATE_EPOCH names (reproducible-builds.org)."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    seconds = int(given) if given.isdecimal() and len(given) < 12 else time.time()
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))
