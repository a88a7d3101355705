"""`nuwa info`: what a file is and how it was made, without loading a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nuwa_cli.cli.options import JsonFlag
from nuwa_cli.cli.output import print_json, print_line

INFO_SCHEMA = "nuwa.info/1"


def register(app: typer.Typer) -> None:
    """Add `nuwa info` to the command line."""
    app.command("info", short_help="Show what a file is and how it was made.")(info)


def info(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Pictures and clips.")],
    json: JsonFlag = False,
) -> None:
    """nuwa info out.mp4

    Show what a picture or clip is, and the recipe that nuwa embedded in it:
    prompt, seed, options, inputs, model. Needs no model.
    """
    from nuwa_cli.media.probe import probe

    facts = [probe(path) for path in files]
    if json:
        print_json({"schema": INFO_SCHEMA, "files": facts})
        return
    for entry in facts:
        for line in _lines(entry):
            print_line(line)


def _lines(entry: dict[str, Any]) -> list[str]:
    frames = f", {entry['frames']} frames" if entry["frames"] > 1 else ""
    speed = f" at {entry['fps']:g} fps" if entry["fps"] else ""
    size = f"{entry['width']}x{entry['height']}"
    lines = [f"{entry['path']}: {entry['format']} {size}{frames}{speed}"]
    recipe = entry["recipe"]
    if recipe is None:
        return [*lines, "  no recipe of nuwa inside"]
    facts = {name: recipe[name] for name in ("command", "prompt", "seed") if name in recipe}
    facts |= recipe.get("options", {})
    lines += [f"  {name}: {value}" for name, value in facts.items()]
    sources = recipe.get("inputs")
    for source in sources if isinstance(sources, list) else []:
        if isinstance(source, dict):
            digest = str(source.get("sha256"))[:12]
            lines.append(f"  input: {source.get('name')} (sha256 {digest}…)")
    region = recipe.get("region")
    bounds = region.get("bounds") if isinstance(region, dict) else None
    if isinstance(bounds, list) and len(bounds) == 4:
        left, top, width, height = bounds
        lines.append(f"  region: within {width}x{height} at {left},{top}")
    model = recipe.get("model")
    if isinstance(model, dict):
        lines.append(f"  model: {model.get('name')} (sha256 {str(model.get('sha256'))[:12]}…)")
    lines.append(f"  made by: nuwa {recipe.get('version')}")
    return lines
