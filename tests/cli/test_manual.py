"""The manual holds every command and option, and formatters read it without complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nuwa_cli import errors
from nuwa_cli.cli.app import parser
from nuwa_cli.cli.manual.markdown import markdown_page
from nuwa_cli.cli.manual.pages import EXIT_STATUSES, Page, pages_of
from nuwa_cli.cli.manual.roff import roff_book, roff_page
from nuwa_cli.cli.manual.tree import walk

Run = Callable[..., Any]

DATE = "2026-11-23"


@pytest.fixture(scope="module")
def command() -> Any:
    return parser()


@pytest.fixture(scope="module")
def pages(command: Any) -> list[Page]:
    return pages_of(command)


def shown(roff: str) -> str:
    """What a reader sees of a page, roughly: fonts and escapes resolved, one blank between words."""
    text = re.sub(r"\\f[BIR]|\\&", "", roff)
    text = re.sub(r"\\\[u([0-9A-F]+)\]", lambda match: chr(int(match[1], 16)), text)
    for escape, character in (("\\-", "-"), ("\\(aq", "'"), ("\\(ga", "`"), ("\\(ti", "~")):
        text = text.replace(escape, character)
    return " ".join(text.replace("\\(ha", "^").replace("\\e", "\\").split())


def test_every_option_of_every_command_is_there(command: Any, pages: list[Page]) -> None:
    assert [page.words for page in pages] == [node.words for node in walk(command)]
    book = shown(roff_book(pages, "1", DATE))
    for node, page in zip(walk(command), pages, strict=True):
        text = shown(roff_page(page, "1", DATE))
        for parameter in node.command.params:
            names = [name for name in parameter.opts if name.startswith("-")]
            names = names or [parameter.metavar or parameter.name]
            for whole in (text, book):
                assert ", ".join(names) in whole, (node.words, names)
                assert " ".join(parameter.help.split()) in whole, (node.words, parameter.help)
            if isinstance(parameter.default, (int, float, str)) and parameter.default not in (
                False,
                "",
            ):
                assert f"default: {parameter.default}" in text, (node.words, parameter.name)


def test_help_texts_are_there_with_their_examples(command: Any, pages: list[Page]) -> None:
    for node, page in zip(walk(command), pages, strict=True):
        text = shown(roff_page(page, "1", DATE))
        for word in (node.command.help or "").replace("\b", "").split():
            assert word in text, (node.words, word)
        assert page.examples
    by_name = {page.name: page for page in pages}
    assert len(by_name["nuwa-t2v"].examples) == 3
    assert by_name["nuwa-train-model"].usage.startswith("nuwa train model [OPTIONS]")


def test_exit_statuses_are_those_of_the_errors() -> None:
    kinds = [errors.NuwaError, *errors.NuwaError.__subclasses__()]
    assert {str(kind.exit_code) for kind in kinds} | {"0"} <= set(EXIT_STATUSES)


def test_a_page_is_plain_ascii(pages: list[Page]) -> None:
    book = roff_book(pages, "1", DATE)
    assert book.isascii()
    assert "NÜWA on the command line" in shown(book)
    assert "在草地上打高尔夫球" in shown(book)
    macros = {line.split()[0] for line in book.splitlines() if line.startswith((".", "'"))}
    assert macros <= {".TH", ".SH", ".SS", ".PP", ".TP", ".RS", ".RE", ".nf", ".fi", ".br"}


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_no_warning(pages: list[Page]) -> None:
    texts = [roff_book(pages, "1", DATE), *(roff_page(page, "1", DATE) for page in pages[:3])]
    for text in texts:
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww"], input=text, capture_output=True, text=True
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "NUWA" in done.stdout


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
def test_mandoc_has_no_warning(pages: list[Page], tmp_path: Path) -> None:
    files = []
    for page in pages:
        files.append(tmp_path / f"{page.name}.1")
        files[-1].write_text(roff_page(page, "1", DATE))
    done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", *files], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_command_prints_and_writes(
    inside: Run, work: Path, pages: list[Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    whole = inside("man")
    assert (whole.status, whole.stderr) == (0, "")
    assert whole.stdout.startswith('.TH NUWA 1 "2023-11-14" "nuwa ')
    assert inside("man", "train", "model").stdout.startswith(".TH NUWA\\-TRAIN\\-MODEL 1")
    inside("man", "t2x").check_refusal(2, "'t2x': unknown")
    done = inside("man", "--folder", "man1")
    assert done.paths == [f"man1/{page.name}.1" for page in pages]
    assert (work / "man1" / "nuwa-t2i.1").read_text() == inside("man", "t2i").stdout
    inside("man", "--folder", "man1").check_refusal(4, "exists")
    assert inside("man", "--folder", "man1", "--force", "t2i").paths == ["man1/nuwa-t2i.1"]


def test_markdown(inside: Run, work: Path, pages: list[Page]) -> None:
    text = inside("man", "--markdown").stdout
    for page in pages[1:]:
        assert f"\n## {page.title}\n" in text
        assert f"](#{page.title.replace(' ', '-')})" in text
    assert text.count("```") % 2 == 0
    assert "| `-n, --num" in text
    assert "auto\\|cpu\\|cuda" in text  # a bar would end the cell
    names = {f"{page.name}.md" for page in pages}
    links = re.findall(r"\]\(([\w-]+\.md)\)", "".join(markdown_page(page) for page in pages))
    assert names - {"nuwa.md"} == set(links)
    assert inside("man", "--markdown", "--folder", "docs", "t2v").paths == ["docs/nuwa-t2v.md"]
    assert (work / "docs" / "nuwa-t2v.md").read_text().startswith("# nuwa t2v\n")
