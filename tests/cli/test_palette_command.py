"""`nuwa palette`: the table, the files, and their refusals."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import GimpPaletteFile, Image

Run = Callable[..., Any]


def test_table(nuwa: Run) -> None:
    done = nuwa("palette")
    assert done.status == 0, done
    rows = done.stdout.splitlines()
    assert len(rows) == 32
    assert rows[0].split() == ["#78d2f5", "sky", "天空"]
    assert "\x1b" not in done.stdout  # no terminal
    assert done.stderr == ""


def test_terminals_show_swatches(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "\x1b[48;2;120;210;245m" in inside("palette").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in inside("palette").stdout


def test_json(inside: Run, work: Path) -> None:
    printed = json.loads(inside("palette", "--json").stdout)
    assert printed["schema"] == "nuwa.palette/1"
    assert printed["classes"][5]["name"] == "grass"
    done = inside("palette", "-o", "a.json", "--json")
    assert json.loads(done.stdout)["outputs"] == [{"path": "a.json", "classes": 32}]
    assert json.loads((work / "a.json").read_text("utf-8")) == printed


def test_files(inside: Run, work: Path) -> None:
    for name in ("legend.png", "nuwa.gpl"):
        done = inside("palette", "-o", name)
        assert (done.status, done.stdout, done.stderr) == (0, f"{name}\n", "")
        inside("palette", "-o", name).check_refusal(4, "exists")
        assert inside("palette", "-o", name, "--force").status == 0
    with Image.open(work / "legend.png") as legend:
        assert legend.mode == "RGB"
        assert legend.width > 800
    lines = (work / "nuwa.gpl").read_text("utf-8").splitlines()
    assert lines[0] == "GIMP Palette"
    assert lines[4] == "120 210 245\tsky 天空"


def test_a_paint_program_reads_the_palette(inside: Run, work: Path) -> None:
    """Pillow's own reader of GIMP palettes agrees."""
    inside("palette", "-o", "a.gpl")
    with (work / "a.gpl").open("rb") as file:
        colours, mode = GimpPaletteFile.GimpPaletteFile(file).getpalette()
    assert mode == "RGB"
    assert colours[:6] == bytes((120, 210, 245, 196, 208, 225))


def test_refusals(inside: Run) -> None:
    inside("palette", "-o", "a.txt").check_refusal(2, "'.txt' is no palette")
    inside("palette", "-o", "missing/a.png").check_refusal(4, "mkdir")
