"""What makes a recipe re-runnable: what the user gave goes into it, a command line comes out of it.

`embedded` adds to a recipe the arguments of its one output: what was given and differs from the default,
but for what only says where and how results go. Prompt and seed are those of this very output, whatever
counting, sweeping or reading from a file led to them. `argv_of` turns that back into words, from the
commands themselves: there is no second list of options that could fall behind.

Invariants: arguments are plain JSON. Files stand in them by name, without the folders of the user who made
the picture. Whatever a foreign recipe asks for, `argv_of` gives no option that says where something is
written.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from nuwa_cli.cli.batch.variants import expand_prompts, literal
from nuwa_cli.cli.recipes.old_recipes import old_arguments
from nuwa_cli.cli.work.options import OutputOptions
from nuwa_cli.cli.work.spool import descriptor_of
from nuwa_cli.errors import InputError

if TYPE_CHECKING:
    from nuwa_cli.media.metadata import Recipe
    from nuwa_cli.media.token_chunk import Tokens

PROMPT, SEED = "prompt", "seed"
STDIN_NAME = "-"
"""Of an input that came through a pipe."""

_PROMPT_NAMES = (PROMPT, "prompts")
_NOT_RECORDED = {field.name for field in dataclasses.fields(OutputOptions)} | {
    "num",
    "model",  # stands in the recipe by name and sha256, wherever it lies
    "sweep",  # its values are recorded under their own names
    "device",
    "strict_size",
    "mask_preview",
    "keep_partial",
    "resume",
}
_SCENE_PLACES = {"sketch", "sprites"}  # of `nuwa storybook`: another output, a folder of its own
_MAX_LIST = 10_000


@dataclasses.dataclass(frozen=True)
class Parameter:
    """An argument or option of a command."""

    name: str
    flag: str | None  # as it is written; None for an argument, which is known by its place
    is_file: bool
    is_list: bool
    is_switch: bool


def embedded(recipe: Recipe, values: Mapping[str, Any], tokens: Tokens | None = None) -> Recipe:
    """The recipe as it goes into the file of one output.

    Args:
        values: parameter name → value, as given to the command (`options.given_values`).
        tokens: the grid (t, h, w) that was drawn; left out when it is too large.
    """
    arguments = recorded(recipe["command"], values, recipe["prompt"], recipe["seed"])
    recipe = {**recipe, "arguments": arguments}
    if tokens is not None:
        from nuwa_cli.media.token_chunk import pack_tokens

        packed = pack_tokens(tokens)
        if packed is not None:
            recipe["tokens"] = packed
    return recipe


def shown(recipe: Recipe) -> Recipe:
    """The recipe for a reader: shape and sha256 of the tokens instead of the tokens."""
    if "tokens" not in recipe:
        return recipe

    from nuwa_cli.media.token_chunk import describe_tokens

    return {**recipe, "tokens": describe_tokens(recipe["tokens"])}


def recorded(command: str, values: Mapping[str, Any], prompt: str, seed: int) -> dict[str, Any]:
    """The arguments of one output: JSON values by the parameter names of the command."""
    arguments: dict[str, Any] = {SEED: seed}
    if prompt and command != "storybook":  # whose captions are found, not given
        arguments[PROMPT] = prompt
    for name, value in values.items():
        if name not in arguments and name not in _PROMPT_NAMES and is_recorded(command, name):
            arguments[name] = _plain(value)
    return arguments


def is_recorded(command: str, name: str) -> bool:
    """Whether a parameter decides what is made, not where it goes."""
    if command == "storybook" and name in _SCENE_PLACES:
        return False
    return name not in _NOT_RECORDED


def input_files(command: str, values: Mapping[str, Any]) -> list[Path]:
    """The input files among the values that were given, folders and patterns as they are."""
    return [
        value
        for name, value in values.items()
        if isinstance(value, Path) and is_recorded(command, name)
    ]


def prerequisites(command: str, values: Mapping[str, Any], model: str) -> list[Path]:
    """Every file that the outputs are made from: inputs (of folders and patterns each picture), files
    of prompts, and the model where it is a folder of the user's."""
    from nuwa_cli.hub.catalog import CATALOG
    from nuwa_cli.media.sources import numbered_pictures

    files: list[Path] = []
    for path in input_files(command, values):
        if descriptor_of(path) is None:  # what came through a pipe is no file that could change
            files += numbered_pictures(path) or [path]
    for prompt in _prompts_given(values):
        if prompt.startswith("@") and not prompt.startswith("@@"):
            files.append(Path(prompt[1:]))
    folder = Path(model)
    if model not in {entry.name for entry in CATALOG} and folder.is_dir():
        files += sorted(path for path in folder.iterdir() if path.is_file())
    return list(dict.fromkeys(files))


def takes_model(command: str) -> bool:
    """Whether a command works with a model."""
    from nuwa_cli.cli.app import parser

    found = parser().commands.get(command)
    return found is not None and any(p.name == "model" for p in found.params)


@cache
def parameters_of(command: str) -> dict[str, Parameter]:
    """The recorded parameters of a command that leaves recipes, in their order; empty for all others."""
    from nuwa_cli.cli.app import parser

    found = parser().commands.get(command)
    if found is None or not {"no_metadata", SEED} <= {p.name for p in found.params}:
        return {}
    hints = _hints_of(command)
    parameters = {}
    for parameter in found.params:
        name = parameter.name
        if not is_recorded(command, name) or name not in hints:
            continue
        is_option = parameter.param_type_name == "option"
        parameters[name] = Parameter(
            name,
            flag=max(parameter.opts, key=len) if is_option else None,
            is_file=Path in (hints[name], *get_args(hints[name])),
            is_list=bool(parameter.multiple) or parameter.nargs == -1,
            is_switch=bool(getattr(parameter, "is_flag", False)),
        )
    return parameters


def arguments_of(recipe: Recipe, path: Path) -> dict[str, Any]:
    """The arguments of a recipe, those of an old one found in its options, each one known to its command.

    `path` is the file that carries it. Raises InputError for what no command of this nuwa can run.
    """
    command = recipe.get("command")
    known = parameters_of(command) if isinstance(command, str) else {}
    if not known:
        raise _refused(path, f"was made by '{str(command)[:40]}', which nuwa does not run again")
    if "part" in recipe:
        raise _refused(path, f"is the {str(recipe['part'])[:40]} of another output")
    arguments = recipe.get("arguments")
    if arguments is None:
        arguments = old_arguments(recipe, {name: p.is_file for name, p in known.items()})
    if not isinstance(arguments, dict):
        raise _refused(path, "has no list of arguments")
    for name, value in arguments.items():
        if name not in known and not (name == PROMPT and "prompts" in known):
            raise _refused(path, f"has '{name[:40]}', which nuwa {command} does not take")
        is_list = isinstance(value, list) and name in known and known[name].is_list
        values = value if is_list else [value]
        if len(values) > _MAX_LIST or not all(isinstance(v, str | int | float) for v in values):
            raise _refused(path, f"has no usable value of '{name[:40]}'")
    return dict(arguments)


def file_arguments(recipe: Recipe, path: Path) -> dict[str, str]:
    """The input files of a recipe: parameter → name. Raises InputError as `arguments_of`."""
    arguments = arguments_of(recipe, path)
    known = parameters_of(recipe["command"])
    return {
        name: str(arguments[name]) for name in known if known[name].is_file and name in arguments
    }


def argv_of(
    recipe: Recipe,
    path: Path,
    inputs: Mapping[str, Path],
    output: Path,
    *,
    seed: int | None = None,
    model: str | None = None,
) -> list[str]:
    """The words after `nuwa` that make the output of a recipe again.

    Args:
        path: the file that carries the recipe, for messages.
        inputs: parameter → where that file is now; see `file_arguments`.
        output: where the result goes.
        seed: instead of the recipe's own.
        model: name or folder, unless it is the default one.

    Raises InputError for a recipe that no command of this nuwa can run.
    """
    command = recipe["command"] if isinstance(recipe.get("command"), str) else ""
    arguments = arguments_of(recipe, path)
    arguments |= {} if seed is None else {SEED: seed}
    options: list[str] = [] if model is None else ["--model", model]
    places: list[str] = []
    for parameter in parameters_of(command).values():
        name = PROMPT if parameter.name in _PROMPT_NAMES else parameter.name
        if name not in arguments:
            continue
        value: Any = inputs.get(name, arguments[name])
        words = [_word(name, item) for item in (value if isinstance(value, list) else [value])]
        if parameter.flag is None:
            places += words
        elif not parameter.is_switch:
            options += [part for word in words for part in (parameter.flag, word)]
        elif value:
            options.append(parameter.flag)
    options += ["-o", str(output)]
    if any(word.startswith("-") for word in places):
        return [command, *options, "--", *places]
    return [command, *places, *options]


def _word(name: str, value: Any) -> str:
    """A value as it is written on a command line."""
    text = str(value)
    if name == PROMPT:
        if expand_prompts([text]) != [text]:
            text = literal(text)
        return f"@{text}" if text.startswith("@") else text
    return repr(value) if isinstance(value, float) else text


def _hints_of(command: str) -> dict[str, Any]:
    """Types of the parameters as the command declares them, without what Typer is told besides."""
    from nuwa_cli.cli.app import app

    callback: Callable[..., Any] | None = next(
        (entry.callback for entry in app.registered_commands if entry.name == command), None
    )
    if callback is None:
        return {}
    signature = inspect.signature(callback)
    return {
        name: next(iter(get_args(parameter.annotation)), parameter.annotation)
        for name, parameter in signature.parameters.items()
    }


def _prompts_given(values: Mapping[str, Any]) -> Iterable[str]:
    for name in _PROMPT_NAMES:
        value = values.get(name)
        yield from [value] if isinstance(value, str) else value or ()


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return value.name if descriptor_of(value) is None else STDIN_NAME
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def _refused(path: Path, why: str) -> InputError:
    return InputError(f"file '{path}': its recipe {why}; see: nuwa info '{path}'")
