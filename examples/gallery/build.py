"""Lay the results of the examples out: one HTML page and one contact sheet.

    python gallery/build.py out        # out/gallery.html, out/gallery.png

Everything shown is read from the scripts, their inputs and the folder of results; what stands where
is in `figures.toml`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from commands import read_scripts
from page import page
from panels import read_figures
from sheet import contact_sheet

HEADING = "nuwa: eight tasks, one small model"
BELOW = (
    "Text, sketches, parts of pictures and clips in; pictures and clips out. "
    "Every result is the first that its command gave."
)


def build(root: Path, results: Path) -> None:
    """Write `gallery.html` and `gallery.png` into the folder of results."""
    figures = read_figures(root, results, read_scripts(root))
    contact_sheet(figures, HEADING, BELOW).save(results / "gallery.png", optimize=True)
    text = page(figures, HEADING, BELOW)
    (results / "gallery.html").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    build(Path(__file__).parents[1], Path(sys.argv[1]))
