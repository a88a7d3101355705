"""Recipes from before arguments were recorded: the arguments that gave their options, as far as they say.

Such a recipe holds every setting that was used, named nearly as on the command line. What it does not hold
(`--context` of predict, `--start` of vedit, `--snap`) is taken as not given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MEANS_NOTHING: tuple[Any, ...] = (None, 0, 1, "", [], False)


def old_arguments(recipe: Mapping[str, Any], known: Mapping[str, bool]) -> dict[str, Any]:
    """The arguments of a recipe that records none.

    `known` are the parameters of its command: name → whether it is an input file. Options that the
    command does not take are kept, for the caller to refuse, unless they say nothing.
    """
    arguments: dict[str, Any] = {}
    if recipe.get("prompt") and {"prompt", "prompts"} & set(known):
        arguments["prompt"] = recipe["prompt"]
    if "seed" in recipe:
        arguments["seed"] = recipe["seed"]
    arguments |= _spelled(_mapping(recipe.get("options")))
    region = _mapping(recipe.get("region"))
    arguments |= {name: value for name, value in region.items() if name in known}
    sources = recipe.get("inputs")
    files = [name for name, is_file in known.items() if is_file]
    for source in sources if isinstance(sources, list) else []:
        if files and isinstance(source, dict):
            arguments[files.pop(0)] = str(source.get("name"))
    return {
        name: value
        for name, value in arguments.items()
        if name in known or name == "prompt" or value not in _MEANS_NOTHING
    }


def _spelled(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a recipe as the command line takes them."""
    arguments = dict(options)
    size, prompts = arguments.get("size"), arguments.pop("prompts", None)
    if isinstance(size, list) and len(size) == 2:
        arguments["size"] = f"{size[0]}x{size[1]}"
    if isinstance(prompts, list):
        pairs = [pair for pair in prompts if isinstance(pair, list) and len(pair) == 2]
        arguments["prompt_at"] = [f"{at}:{text}" for at, text in pairs if at != 0]
    for side in ("left", "up", "right", "down"):
        if side in arguments:
            arguments[side] = str(arguments[side])
    heat = arguments.pop("place_temperature", None)
    if heat is not None:  # then both temperatures were the model's own
        arguments.pop("temperature", None)
    split = arguments.pop("split", None)
    if split == "held_out":
        arguments["held_out"] = True
    return {name: value for name, value in arguments.items() if value is not None}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
