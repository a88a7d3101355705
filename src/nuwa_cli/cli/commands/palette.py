"""`nuwa palette`: the colours to paint a sketch with, as a table, a picture or a palette file."""

from __future__ import annotations

import json as json_format
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from nuwa_cli.cli.work.options import JsonFlag
from nuwa_cli.cli.work.output import Output, print_json, print_line
from nuwa_cli.errors import UsageError

_SUFFIXES = (".png", ".json", ".gpl")


def register(app: typer.Typer) -> None:
    """Add `nuwa palette` to the command line."""
    app.command("palette", short_help="Show the colours to paint a sketch with.")(palette)


def palette(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="File to write: .png .json, or .gpl for GIMP, Krita."),
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace an existing file.")] = False,
    json: JsonFlag = False,
) -> None:
    """nuwa palette -o legend.png

    The classes that a sketch can show, and the colour of each. Paint flat areas with these
    colours in any program and give the picture to sketch2img or sketch2vid.

    \b
    nuwa palette                   the table
    nuwa palette -o legend.png     a picture to pick colours from
    nuwa palette -o nuwa.gpl       a palette file for GIMP, Krita, Inkscape, Aseprite
    """
    from nuwa_cli.sketches.palette import SKETCH_CLASSES, palette_document

    if output is not None:
        _write(output, force=force)
        voice = Output(as_json=json, quiet=True)
        voice.result(output, {"classes": len(SKETCH_CLASSES)})
        voice.finish("palette")
    elif json:
        print_json(palette_document())
    else:
        has_colours = _has_colours()
        for entry in SKETCH_CLASSES:
            red, green, blue = entry.rgb
            swatch = f"\x1b[48;2;{red};{green};{blue}m      \x1b[0m  " if has_colours else ""
            print_line(f"{swatch}{entry.hex}  {entry.name:<13} {entry.name_zh}")


def _has_colours() -> bool:
    """Whether stdout is a terminal that wants colours (no-color.org)."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and os.environ.get("TERM") != "dumb" and not os.environ.get("NO_COLOR")


def _write(path: Path, *, force: bool) -> None:
    from nuwa_cli.media.atomic import write_bytes
    from nuwa_cli.sketches.palette import gimp_palette, palette_document

    suffix = path.suffix.lower()
    if suffix == ".png":
        from nuwa_cli.media.image import write_image
        from nuwa_cli.sketches.legend import draw_legend

        write_image(path, draw_legend(), force=force)
    elif suffix == ".gpl":
        write_bytes(path, gimp_palette().encode(), force=force)
    elif suffix == ".json":
        text = json_format.dumps(palette_document(), ensure_ascii=False, indent=2)
        write_bytes(path, text.encode() + b"\n", force=force)
    else:
        raise UsageError(f"output '{path}': '{suffix}' is no palette; use {' '.join(_SUFFIXES)}")
