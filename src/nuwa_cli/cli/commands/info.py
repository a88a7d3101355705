"""`nuwa info`: what a file is and how it was made, without loading a model.

For a reader: what was given, what was used, and the command line that makes the file again. For a program
(`--json`) the whole recipe, of the tokens only their shape and digest.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from nuwa_cli.cli.work.options import JsonFlag
from nuwa_cli.cli.work.output import print_json, print_line
from nuwa_cli.errors import InputError

INFO_SCHEMA = "nuwa.info/1"

_DIGITS = 12  # of a sha256 for a reader


def register(app: typer.Typer) -> None:
    """Add `nuwa info` to the command line."""
    app.command("info", short_help="Show what a file is and how it was made.")(info)


def info(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Pictures and clips.")],
    json: JsonFlag = False,
) -> None:
    """nuwa info out.mp4

    Show what a picture or clip is, and the recipe that nuwa embedded in it: what was given,
    what was used, inputs, model, and the command line that makes it again. Needs no model.
    """
    from nuwa_cli.media.large_png import probe_any_size

    facts = [probe_any_size(path) for path in files]
    if json:
        print_json({"schema": INFO_SCHEMA, "files": [_as_json(entry) for entry in facts]})
        return
    for entry in facts:
        for line in _lines(entry):
            print_line(_visible(line))


def _as_json(entry: dict[str, Any]) -> dict[str, Any]:
    from nuwa_cli.cli.recipes.recall import shown

    recipe = entry["recipe"]
    if recipe is None:
        return entry
    words = _replay(Path(entry["path"]), recipe)
    return {**entry, "recipe": shown(recipe), "replay": words}


def _lines(entry: dict[str, Any]) -> list[str]:
    frames = f", {entry['frames']} frames" if entry["frames"] > 1 else ""
    speed = f" at {entry['fps']:g} fps" if entry["fps"] else ""
    size = f"{entry['width']}x{entry['height']}"
    lines = [f"{entry['path']}: {entry['format']} {size}{frames}{speed}"]
    recipe = entry["recipe"]
    if recipe is None:
        return [*lines, "  no recipe of nuwa inside"]
    facts = {name: recipe[name] for name in ("command", "prompt", "seed") if name in recipe}
    facts |= _mapping(recipe.get("options"))
    lines += [f"  {name}: {value}" for name, value in facts.items()]
    lines += [f"  input: {_named(source)}" for source in _list(recipe.get("inputs"))]
    lines += _region(recipe) + _outputs(recipe) + _tokens(recipe)
    if isinstance(recipe.get("model"), dict):
        lines.append(f"  model: {_named(recipe['model'])}")
    lines.append(f"  made by: nuwa {recipe.get('version')}")
    words = _replay(Path(entry["path"]), recipe)
    if words is not None:
        lines.append(f"  replay: {shlex.join(words)}")
    return lines


def _replay(path: Path, recipe: dict[str, Any]) -> list[str] | None:
    """The command line that makes a file again, inputs by their names; None where there is none."""
    from nuwa_cli.cli.recipes.recall import arguments_of, argv_of, file_arguments
    from nuwa_cli.hub.catalog import DEFAULT_MODEL

    name = str(_mapping(recipe.get("model")).get("name", DEFAULT_MODEL))
    again = path.with_name(f"{path.stem}-replay{path.suffix}")
    try:
        arguments_of(recipe, path)
        inputs = {name: Path(file) for name, file in file_arguments(recipe, path).items()}
        model = None if name == DEFAULT_MODEL else name
        return ["nuwa", *argv_of(recipe, path, inputs, again, model=model)]
    except InputError:
        return None


def _region(recipe: dict[str, Any]) -> list[str]:
    bounds = _mapping(recipe.get("region")).get("bounds")
    if not isinstance(bounds, list) or len(bounds) != 4:
        return []
    left, top, width, height = bounds
    return [f"  region: within {width}x{height} at {left},{top}"]


def _outputs(recipe: dict[str, Any]) -> list[str]:
    """The pictures on a contact sheet."""
    outputs = [_mapping(output) for output in _list(recipe.get("outputs"))]
    return [
        f"  shows: {o.get('name')} (seed {o.get('seed')}) {o.get('prompt', '')}" for o in outputs
    ]


def _tokens(recipe: dict[str, Any]) -> list[str]:
    if "tokens" not in recipe:
        return []

    from nuwa_cli.cli.recipes.recall import shown

    shape = shown(recipe)["tokens"].get("shape")
    return [f"  tokens: {'x'.join(map(str, shape)) if shape else 'damaged'}"]


def _visible(line: str) -> str:
    """What a foreign recipe says, without anything that could move the cursor of a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in line
    )


def _named(source: Any) -> str:
    facts = _mapping(source)
    return f"{facts.get('name')} (sha256 {str(facts.get('sha256'))[:_DIGITS]}…)"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
