"""The commands that a job can be, from the parser's own table, so that there is no second one to keep."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

_DRAWS = {"output", "model", "seed"}  # what every command that draws files with a model takes


@dataclass(frozen=True)
class Parameter:
    """What is needed of an option or argument."""

    name: str
    flag: str  # --best-of; empty for an argument
    no_flag: str  # what switches a flag off, if that exists
    is_switch: bool
    takes_many: bool
    is_required: bool
    is_path: bool


@dataclass(frozen=True)
class Command:
    """A command that draws: its parameters in their order, and all the keys that mean them."""

    name: str
    parameters: tuple[Parameter, ...]
    keys: Mapping[str, Parameter]


@functools.cache
def commands() -> dict[str, Command]:
    """Every command that a job can be."""
    from nuwa_cli.cli.app import app, parser

    functions = {info.name or info.callback.__name__: info.callback for info in _registered(app)}
    found = {}
    for name, command in parser().commands.items():
        names = {parameter.name for parameter in getattr(command, "params", ())}
        if names >= _DRAWS:
            found[name] = _command(name, command, functions[name])
    return found


def _registered(app: Any) -> list[Any]:
    return [info for info in app.registered_commands if info.callback is not None]


def _command(name: str, command: Any, function: Callable[..., Any]) -> Command:
    hints = {
        parameter.name: parameter.annotation
        for parameter in inspect.signature(function).parameters.values()
    }
    parameters = []
    keys: dict[str, Parameter] = {}
    for raw in command.params:
        is_argument = raw.param_type_name == "argument"
        long = [option for option in raw.opts if option.startswith("--")]
        parameter = Parameter(
            name=raw.name,
            flag="" if is_argument else long[0],
            no_flag=next(iter(raw.secondary_opts), ""),
            is_switch=bool(getattr(raw, "is_flag", False)),
            takes_many=raw.nargs != 1 or bool(getattr(raw, "multiple", False)),
            is_required=raw.required,
            is_path=raw.name != "output" and _is_path(hints[raw.name]),
        )
        parameters.append(parameter)
        shown = [str(raw.metavar).lower()] if is_argument and raw.metavar else []
        for key in (raw.name, *shown, *(option.lstrip("-") for option in long)):
            keys[normal(key)] = parameter
    return Command(name, tuple(parameters), keys)


def _is_path(hint: Any) -> bool:
    if hint is Path:
        return True
    inner = get_args(hint)[:1] if get_origin(hint) is Annotated else get_args(hint)
    return any(_is_path(part) for part in inner)


def normal(key: str) -> str:
    """A key as it is compared: case and dashes say nothing."""
    return key.strip().lstrip("-").replace("-", "_").lower()
