"""Contact sheets: `--sheet` of a generating command, and `nuwa sheet` for files that exist.

The recipe of a sheet names what is on it, command, prompts and seeds; it cannot be replayed itself,
its pictures can.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import nuwa_cli
from nuwa_cli.cli.work.options import JsonFlag, check_range
from nuwa_cli.cli.work.output import Output
from nuwa_cli.errors import UsageError
from nuwa_cli.media.atomic import check_output
from nuwa_cli.media.metadata import RECIPE_SCHEMA, TRAINED
from nuwa_cli.media.naming import check_suffix

if TYPE_CHECKING:
    from nuwa_cli.media.contact_sheet import Frames

SHEET_COMMAND = "sheet"

_MAX_COLUMNS = 100


def register(app: typer.Typer) -> None:
    """Add `nuwa sheet` to the command line."""
    app.command(SHEET_COMMAND, short_help="Put pictures and clips on one sheet.")(sheet)


class SheetFile:
    """A sheet that is filled while outputs are made, and written when all are.

    Only thumbnails are kept, so that `count` outputs of any size need bounded memory.
    """

    def __init__(
        self,
        path: Path,
        count: int,
        *,
        force: bool = False,
        with_recipe: bool = True,
        others: Sequence[Path] = (),
        columns: int | None = None,
    ) -> None:
        """Check the name of the sheet; `others` are names that are taken.

        Raises UsageError for a suffix of no picture and for a name that is taken, OutputError for
        one that cannot be written.
        """
        check_suffix(path, "image")
        if any(other.absolute() == path.absolute() for other in others):
            raise UsageError(f"sheet '{path}': is an output as well; give it another name")
        check_output(path, force=force)
        self.path, self._count, self._columns = path, count, columns
        self._force, self._with_recipe = force, with_recipe
        self._entries: list[tuple[Frames, str]] = []
        self._outputs: list[dict[str, Any]] = []
        self._recipe: dict[str, Any] = {}

    def add(
        self,
        frames: Frames,
        *,
        prompt: str = "",
        seed: int | None = None,
        name: str = "",
        recipe: dict[str, Any] | None = None,
    ) -> None:
        """The next output, frames uint8 (T, H, W, 3); its name is the caption of one that has
        neither prompt nor seed."""
        import numpy as np

        from nuwa_cli.media.contact_sheet import caption_of, shown, shrunk

        # A panorama may be as long as a row: its height is what a tile bounds.
        few = shown(frames)
        side = self._side()
        height, width = few.shape[1:3]
        side = max(side, min(6 * side, side * width // max(height, 1)))
        small = np.stack([shrunk(frame, side) for frame in few])
        self._entries.append((small, caption_of(prompt, seed) or name))
        self._outputs.append({"name": name, "prompt": prompt, "seed": seed})
        self._recipe = self._recipe or recipe or {}

    def write(self, command: str) -> dict[str, Any]:
        """Write the sheet of what `command` made; its facts. Raises OutputError."""
        from nuwa_cli.media.contact_sheet import contact_sheet
        from nuwa_cli.media.image import write_image

        pixels = contact_sheet(self._entries, self._columns, side=self._side())
        recipe = {
            "schema": RECIPE_SCHEMA,
            "version": nuwa_cli.__version__,
            "digital_source_type": self._recipe.get("digital_source_type", TRAINED),
            "command": SHEET_COMMAND,
            "of": command,
            "outputs": self._outputs,
        }
        if "model" in self._recipe:
            recipe["model"] = self._recipe["model"]
        write_image(self.path, pixels, recipe if self._with_recipe else None, force=self._force)
        height, width = pixels.shape[:2]
        return {"width": width, "height": height, "cells": len(self._entries), "recipe": recipe}

    def _side(self) -> int:
        from nuwa_cli.media.contact_sheet import SHOWN_FRAMES, tile_side

        return tile_side(self._count * SHOWN_FRAMES)


def sheet(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Pictures, clips, folders.", show_default=False),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Sheet to write: .png .jpg .webp.")
    ],
    columns: Annotated[
        int | None, typer.Option("--columns", metavar="N", help="Pictures side by side.")
    ] = None,
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace an existing file.")] = False,
    no_metadata: Annotated[
        bool, typer.Option("--no-metadata", help="Do not embed what is on the sheet.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """nuwa sheet dog-*.png -o sheet.png

    Put pictures and clips on one sheet, a clip as six of its frames. The caption is seed and prompt
    where nuwa made the file, else its name. Generating commands have --sheet for the same.

    \b
    nuwa sheet a.png b.png c.png d.png --columns 4 -o row.png
    nuwa sheet golf-*.mp4 -o golf.jpg
    """
    from nuwa_cli.cli.looking.files import look_at
    from nuwa_cli.media.contact_sheet import SHOWN_FRAMES

    if columns is not None:
        check_range("columns", columns, 1, _MAX_COLUMNS)
    page = SheetFile(
        output,
        len(files),
        force=force,
        with_recipe=not no_metadata,
        others=files,
        columns=columns,
    )
    voice = Output(as_json=json, quiet=False)
    for path in files:
        seen = look_at(path, SHOWN_FRAMES)
        page.add(
            seen.frames, prompt=seen.prompt, seed=seen.seed, name=path.name, recipe=seen.recipe
        )
    voice.result(output, page.write(SHEET_COMMAND))
    voice.finish(SHEET_COMMAND)
