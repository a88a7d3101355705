"""Settings from files and the environment, given to the parser as defaults.

    a flag > --preset NAME > NUWA_* > project file > user file > system file > preset named there > built-in

The parser checks them as if they had been typed, so every range and message is the same; `blame` adds
the file or variable to what it says. A preset that is asked for on the command line counts as typed
there, below single flags: a file that says `best-of = 8` does not undo `--preset draft`.

`--help`, `config`, `doctor` and a line without a command read nothing: they must work with a file that
is wrong.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from nuwa_cli.cli.settings.layers import Layer, Tables, read_layers, split_alias
from nuwa_cli.cli.settings.names import (
    Setting,
    Settings,
    all_commands,
    is_on,
    nearest,
    settings_of,
    variable,
)
from nuwa_cli.errors import NuwaError, UsageError

_NO_CONFIG = "no_config"  # an option of the program itself, read here before the parser sees it
_UNSET = ("config", "doctor")  # commands that look at settings instead of having them
_HELP = ("-h", "--help")
_PRESET = "preset"
_MAX_ALIASES = 16

Source = Literal["preset", "environment", "project", "user", "system"]


@dataclass(frozen=True)
class Origin:
    """Where a default comes from: `label` is a file, a variable, or the name of a preset."""

    source: Source
    label: str


@dataclass(frozen=True)
class Loaded:
    """The words of a command line, and the defaults for them."""

    argv: list[str]
    default_map: dict[str, Any] = field(default_factory=dict)  # as the parser nests it
    values: dict[str, Any] = field(default_factory=dict)  # of this command, by key
    origins: dict[str, Origin] = field(default_factory=dict)  # by key
    settings: Settings = field(default_factory=dict)

    def blame(self, error: BaseException) -> BaseException:
        """The same error; where a default of ours is what it complains about, its message says so."""
        for key, origin in self.origins.items():
            setting = self.settings[key]
            if self._is_typed(setting):
                continue
            if isinstance(error, NuwaError):
                text = str(error)
                start = f"{key} '"
                end = text.find("':", len(start))
                if text.startswith(start) and end > 0:
                    error.args = (f"{text[: end + 1]} ({origin.label}){text[end + 1 :]}",)
            elif getattr(getattr(error, "param", None), "name", None) == setting.name:
                parser_error: Any = error
                message = str(parser_error.message).rstrip(".")
                parser_error.message = f"{message} ({origin.label})"
        return error

    def _is_typed(self, setting: Setting) -> bool:
        return any(
            word == flag or word.startswith(f"{flag}=")
            for word in self.argv
            for flag in setting.flags
        )


NO_SETTINGS = Loaded([])
"""Nothing was read."""


def load_settings(group: Any, argv: Sequence[str]) -> Loaded:
    """Expand an alias, and gather the defaults of the command that is called.

    Raises UsageError for a file that is wrong, an alias that leads nowhere, a preset that is not there.
    """
    words = list(argv)
    if _wants_nothing(words):
        return Loaded(words)
    commands = all_commands(group)
    layers = [] if _without_files(words) else read_layers(commands)
    words = expand_alias(group, words, layers)
    path, command = _command(group, words)
    if command is None or path in _UNSET or path.split()[0] in _UNSET:
        return Loaded(words)
    return _gather(path, settings_of(command), words, layers)


def settings_for(group: Any, path: str) -> Loaded:
    """The defaults that a command would have if it were called now. Raises UsageError."""
    commands = all_commands(group)
    layers = [] if _without_files([]) else read_layers(commands)
    return _gather(path, commands[path], path.split(), layers)


def expand_alias(group: Any, words: list[str], layers: Sequence[Layer]) -> list[str]:
    """The words with an alias in the place of a command spelled out; a command is never hidden.

    Raises UsageError for an alias that leads to itself, or to no command.
    """
    place = _first_word(words)
    seen: list[str] = []
    while place is not None and words[place] not in group.commands:
        name = words[place]
        layer = next((layer for layer in layers if name in layer.aliases), None)
        if layer is None:
            if not seen:
                return words  # the parser says that there is no such command
            raise UsageError(
                f"alias '{seen[0]}': '{name}' is no command"
                f"{nearest(name, group.commands) or '; see: nuwa --help'}"
            )
        if name in seen or len(seen) == _MAX_ALIASES:
            raise UsageError(
                f"alias '{seen[0]}': leads to itself ({layer.place.label}); "
                "let it begin with a command"
            )
        seen.append(name)
        expansion = split_alias(layer.place, name, layer.aliases[name])
        words = [*words[:place], *expansion, *words[place + 1 :]]
    return words


def _gather(path: str, settings: Settings, words: list[str], layers: Sequence[Layer]) -> Loaded:
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}

    def add(tables: Tables, origin: Origin) -> None:
        for name in _prefixes(path):
            for key, value in tables.get(name, {}).items():
                if key in settings and not settings[key].is_of_one_run:
                    values[key], origins[key] = value, origin

    for layer in reversed(layers):
        add(layer.tables, Origin(layer.place.rank, layer.place.label))
    for key, setting in settings.items():
        found = _from_environment(path, setting)
        if found is not None:
            name, values[key] = found
            origins[key] = Origin("environment", name)

    typed = _typed_preset(words) if _PRESET in settings else None
    named = typed or values.pop(_PRESET, None)
    origins.pop(_PRESET, None)
    if named is not None:
        tables, origin = _preset(str(named), layers)
        if typed is not None:
            add(tables, origin)
        else:  # below everything that the files say of their own accord
            stronger, their_origins = dict(values), dict(origins)
            values.clear()
            origins.clear()
            add(tables, origin)
            values |= stronger
            origins |= their_origins
    by_name: Any = {settings[key].name: value for key, value in values.items()}
    for name in reversed(path.split()):
        by_name = {name: by_name}
    return Loaded(words, by_name, values, origins, settings)


def _preset(name: str, layers: Sequence[Layer]) -> tuple[Tables, Origin]:
    for layer in layers:
        if name in layer.presets:
            return layer.presets[name], Origin("preset", f"preset {name} of {layer.place.label}")
    known = sorted({preset for layer in layers for preset in layer.presets})
    hint = nearest(name, known) or (
        f"; there are: {', '.join(known)}" if known else "; no file has one, see: nuwa config init"
    )
    raise UsageError(f"preset '{name}': unknown{hint}")


def _typed_preset(words: list[str]) -> str | None:
    found = None
    for index, word in enumerate(words):
        if word == "--":
            break
        if word == f"--{_PRESET}" and index + 1 < len(words):
            found = words[index + 1]
        elif word.startswith(f"--{_PRESET}="):
            found = word.partition("=")[2]
    return found


def _from_environment(path: str, setting: Setting) -> tuple[str, Any] | None:
    """(variable, value) of the closest variable that is set and not empty."""
    if setting.is_of_one_run:
        return None
    for prefix in reversed(_prefixes(path)):
        name = variable(prefix, setting.key)
        text = os.environ.get(name)
        if text:
            return name, text.split() if setting.is_multiple else text
    return None


def _prefixes(path: str) -> list[str]:
    """Widest first: "train model" → "", "train", "train model"."""
    words = path.split()
    return [" ".join(words[:count]) for count in range(len(words) + 1)]


def _wants_nothing(words: list[str]) -> bool:
    before = words[: words.index("--")] if "--" in words else words
    place = _first_word(before)
    return place is None or before[place] in _UNSET or any(word in _HELP for word in before)


def _without_files(words: list[str]) -> bool:
    flag = f"--{_NO_CONFIG.replace('_', '-')}"
    return is_on(os.environ.get(variable("", _NO_CONFIG))) or flag in words[: _first_word(words)]


def _first_word(words: list[str]) -> int | None:
    """Where the command stands: options of the program itself take no values."""
    return next((index for index, word in enumerate(words) if not word.startswith("-")), None)


def _command(group: Any, words: list[str]) -> tuple[str, Any]:
    """("train model", the command) that the words call; None where there is no such."""
    path: list[str] = []
    command = group
    for word in words[_first_word(words) :]:
        children = getattr(command, "commands", None)
        if not children:
            break
        if word.startswith("-"):
            continue
        if word not in children:
            return " ".join(path) or word, None
        path.append(word)
        command = children[word]
    return " ".join(path), None if getattr(command, "commands", None) else command
