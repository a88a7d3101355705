"""Entries of job files become command lines.

Keys are the long option names of the very command, and its arguments as the help shows them, so a job
knows whatever its command knows and there is no second list to keep. The command line is then parsed
by the same parser that reads the user's: every check, default and message is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuwa_cli.cli.batch.commands import Command, Parameter, commands, normal
from nuwa_cli.cli.batch.reading import Entry, Value
from nuwa_cli.cli.batch.variants import combinations
from nuwa_cli.errors import UsageError
from nuwa_cli.media.naming import fill_some, is_sequence, numbered

_OF_THE_WHOLE = {"dry_run", "json", "json_stream", "quiet", "show"}
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")
_IN_FOLDER = "{job}-{slug}{suffix}"
_SEVERAL_IN_FOLDER = "{job}-{index}-{slug}{suffix}"
_TELLING = {"job", "slug", "prompt"}  # fields that tell the variants of a job apart

Resolve = Callable[[str], str]
"""An input as a job names it → where it is."""


@dataclass(frozen=True)
class Job:
    """One command line: its number among all jobs, where its entry stands, what files it names."""

    number: int
    place: str
    line: int
    argv: tuple[str, ...]
    output: str
    inputs: tuple[str, ...]  # files that options and arguments name, without the output
    may_force: bool

    @property
    def command(self) -> str:
        """The command's name."""
        return self.argv[0]

    def forced(self) -> tuple[str, ...]:
        """The command line that replaces files."""
        if not self.may_force or "--force" in self.argv:
            return self.argv
        return (self.command, "--force", *self.argv[1:])


def translate(
    entry: Entry,
    first: int,
    *,
    defaults: Mapping[str, Value],
    folder: Path | None,
    force: bool,
    resolve: Resolve,
) -> Iterator[Job]:
    """The jobs of an entry, numbered from `first`: one, or one for each combination of swept values.

    `defaults` are those of the whole batch. Raises UsageError.
    """
    command = _command_of(entry)
    values = _by_parameter(entry, command, defaults)
    if force and "force" in command.keys:
        values[command.keys["force"]] = True
    sweeps = {
        parameter: value
        for parameter, value in values.items()
        if isinstance(value, list) and not parameter.takes_many
    }
    by_name = {parameter.name: value for parameter, value in sweeps.items()}
    settings = combinations(by_name)
    for index, setting in enumerate(settings):
        chosen = dict(values)
        for parameter in sweeps:
            chosen[parameter] = setting[parameter.name]
        number = first + index
        texts = {name: str(value) for name, value in setting.items() if name != "prompt"}
        output, is_told = _output(entry, command, chosen, folder)
        output, has_field = fill_some(output, {**texts, "job": f"{number:04d}"})
        if len(settings) > 1 and not (is_told or has_field or is_sequence(Path(output))):
            output = str(numbered(Path(output), index))
        chosen[command.keys["output"]] = output
        yield _job(entry, command, chosen, number, output, resolve)


def _command_of(entry: Entry) -> Command:
    name = entry.values.get("command", entry.defaults.get("command"))
    known = " ".join(commands())
    if name is None:
        raise UsageError(f"{entry.place}: has no 'command'; give one of {known}")
    if not isinstance(name, str) or name not in commands():
        raise UsageError(f"{entry.place}: command '{str(name)[:40]}' is unknown; use {known}")
    return commands()[name]


def _by_parameter(
    entry: Entry, command: Command, defaults: Mapping[str, Value]
) -> dict[Parameter, Value]:
    """What is given, the entry before its file's defaults before the batch's. A default is for those
    commands that know it; an entry's own key must mean something."""
    values: dict[Parameter, Value] = {}
    for source in (defaults, entry.defaults, entry.values):
        given: set[Parameter] = set()
        for key, value in source.items():
            if key == "command":
                continue
            parameter = command.keys.get(normal(key))
            if parameter is None:
                if source is entry.values:
                    raise _unknown(entry, command, key)
                if not any(normal(key) in other.keys for other in commands().values()):
                    raise UsageError(f"{entry.place}: default '{key[:40]}' is known to no command")
                continue
            if parameter.name in _OF_THE_WHOLE:
                raise UsageError(
                    f"{entry.place}: '{key}' is not for a single job; give it to nuwa batch"
                )
            if parameter in given:
                raise UsageError(f"{entry.place}: '{key}' is given twice; keep one")
            given.add(parameter)
            values[parameter] = value
    return values


def _unknown(entry: Entry, command: Command, key: str) -> UsageError:
    import difflib

    near = difflib.get_close_matches(normal(key), command.keys, n=1)
    hint = f"do you mean '{near[0].replace('_', '-')}'?" if near else f"see: nuwa {command.name} -h"
    return UsageError(f"{entry.place}: {command.name} has no '{key[:40]}'; {hint}")


def _output(
    entry: Entry, command: Command, values: Mapping[Parameter, Value], folder: Path | None
) -> tuple[str, bool]:
    """The output as text, and whether its name tells variants apart."""
    given = values.get(command.keys["output"])
    if given is None and folder is None:
        raise UsageError(f"{entry.place}: has no 'output'; give one, or a folder with -o")
    if isinstance(given, (list, bool)) or str(given) == "-":
        raise UsageError(f"{entry.place}: output '{given}' is no file name; give one")
    text = "./" if given is None else str(given)
    if text.endswith("/"):
        several = values.get(command.keys["num"], 1) if "num" in command.keys else 1
        text += _IN_FOLDER if str(several) == "1" else _SEVERAL_IN_FOLDER
    _, is_told = fill_some(text, dict.fromkeys(_TELLING, ""))
    return str(Path(text) if folder is None else folder / text), is_told


def _job(
    entry: Entry,
    command: Command,
    values: Mapping[Parameter, Value],
    number: int,
    output: str,
    resolve: Resolve,
) -> Job:
    options, arguments, inputs = [], [], []
    for parameter in command.parameters:
        value = values.get(parameter)
        if value is None:
            if parameter.is_required:
                name = _shown(command, parameter)
                raise UsageError(f"{entry.place}: {command.name} needs '{name}'; give it")
            continue
        if parameter.is_switch:
            options += _switch(entry, parameter, value)
            continue
        texts = [_text(entry, parameter, one) for one in _each(value)]
        if parameter.is_path:
            texts = [resolve(text) for text in texts]
            inputs += texts
        elif not parameter.flag:  # a prompt may stand in a file
            inputs += [text[1:] for text in texts if text[:1] == "@" != text[1:2]]
        if parameter.flag:
            options += [f"{parameter.flag}={text}" for text in texts]
        else:
            arguments += texts
    argv = (command.name, *options, *(["--", *arguments] if arguments else []))
    may_force = "force" in command.keys
    return Job(number, entry.place, entry.line, argv, output, tuple(inputs), may_force)


def _each(value: Value) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _shown(command: Command, parameter: Parameter) -> str:
    """The key that help would show: the metavar of an argument, the option otherwise."""
    keys = [key for key, other in command.keys.items() if other is parameter]
    return keys[-1].replace("_", "-")


def _switch(entry: Entry, parameter: Parameter, value: Value) -> list[str]:
    word = str(value).strip().lower()
    if word in _YES:
        return [parameter.flag]
    if word in _NO:
        return [parameter.no_flag] if parameter.no_flag else []
    raise UsageError(
        f"{entry.place}: '{parameter.flag[2:]}' is a switch, '{word[:40]}' is not; "
        "give true or false"
    )


def _text(entry: Entry, parameter: Parameter, value: str | int | float | bool) -> str:
    name = parameter.flag[2:] or parameter.name
    if isinstance(value, bool):
        raise UsageError(f"{entry.place}: '{name}' is no switch; give a value")
    text = str(value)
    if text == "-" and (parameter.is_path or not parameter.flag):
        raise UsageError(f"{entry.place}: {name} '-' would read stdin; name a file or a text")
    return text
