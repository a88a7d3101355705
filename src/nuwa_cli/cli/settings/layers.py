"""What one file says, checked: options by command, presets, aliases.

    fps = 8                      an option, for every command that has it
    [t2v]                        for one command; [train] for all of its own, [train.model] for one
    frames = 16
    [presets.draft]              the same again, taken with --preset draft
    best-of = 1
    [aliases]
    dog = "t2i 'a dog' -n 4"

A key that nobody knows is refused with the nearest one that is known: a setting that does nothing is
worse than an error.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from nuwa_cli.cli.settings.names import (
    Setting,
    Settings,
    check_may_set,
    check_model,
    nearest,
)
from nuwa_cli.cli.settings.sources import Place, places, read_place
from nuwa_cli.errors import UsageError

Tables = dict[str, dict[str, Any]]
"""Command ("" for all, "t2v", "train model") → key → value as the parser takes it."""

_PRESETS, _ALIASES = "presets", "aliases"


@dataclass(frozen=True)
class Layer:
    """One file."""

    place: Place
    tables: Tables
    presets: dict[str, Tables] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def read_layers(commands: dict[str, Settings]) -> list[Layer]:
    """All files that there are, strongest first. Raises UsageError for what is wrong in one."""
    return [
        _layer(place, read_place(place), commands) for place in places() if place.state == "found"
    ]


def settings_below(commands: dict[str, Settings], path: str) -> Settings:
    """All settings of the commands at or under a path, by key; every one for an empty path."""
    found: Settings = {}
    for name, settings in commands.items():
        if not path or name == path or name.startswith(f"{path} "):
            for key, setting in settings.items():
                known = found.get(key)
                # `model` is the name of a model here and a file to write there: the name can be set
                if known is None or known.is_of_one_run:
                    found[key] = setting
    return found


def _layer(place: Place, document: dict[str, Any], commands: dict[str, Settings]) -> Layer:
    rest = {key: value for key, value in document.items() if key not in (_PRESETS, _ALIASES)}
    presets = {
        name: _tables(place, _table(place, f"{_PRESETS}.{name}", value), commands)
        for name, value in _table(place, _PRESETS, document.get(_PRESETS, {})).items()
    }
    aliases = {
        name: _alias(place, name, value, commands)
        for name, value in _table(place, _ALIASES, document.get(_ALIASES, {})).items()
    }
    return Layer(place, _tables(place, rest, commands), presets, aliases)


def _tables(
    place: Place, document: dict[str, Any], commands: dict[str, Settings], path: str = ""
) -> Tables:
    known = settings_below(commands, path)
    tables: Tables = {path: {}}
    for key, value in document.items():
        below = f"{path} {key}".strip()
        option = key.replace("_", "-")
        if isinstance(value, dict) and below in commands:
            tables |= _tables(place, value, commands, below)
        elif option in known and not isinstance(value, dict):
            setting = known[option]
            check_may_set(place, setting)
            tables[path][option] = _checked(place, setting, value)
        else:
            raise _unknown(place, path, key, option, value, commands, known)
    return tables


def _unknown(
    place: Place,
    path: str,
    key: str,
    option: str,
    value: Any,
    commands: dict[str, Settings],
    known: Iterable[str],
) -> UsageError:
    shown = f"{path} {key}".strip().replace(" ", ".")
    if option in known:
        return UsageError(f"config '{place.label}': {shown} is an option; give a value, no table")
    if f"{path} {key}".strip() in commands:
        return UsageError(f"config '{place.label}': {shown} is a command; write [{shown}]")
    start = f"{path} " if path else ""
    words = [name[len(start) :] for name in commands if name.startswith(start)]
    names = {*known, *(word for word in words if " " not in word)}
    names |= set() if path else {_PRESETS, _ALIASES}
    kind = "table" if isinstance(value, dict) else "key"
    hint = nearest(option, names) or f"; see: nuwa {path or 't2v'} --help"
    return UsageError(f"config '{place.label}': unknown {kind} '{shown}'{hint}")


def _checked(place: Place, setting: Setting, value: Any) -> Any:
    """A value as the command line would bring it: text, so that the same checks see it."""
    if setting.is_switch:
        if isinstance(value, bool):
            return value
        raise UsageError(f"config '{place.label}': {setting.key} is a switch; give true or false")
    items = value if isinstance(value, list) and setting.is_multiple else [value]
    if any(isinstance(item, bool) or not isinstance(item, (str, int, float)) for item in items):
        raise UsageError(
            f"config '{place.label}': {setting.key} takes a text or a number; look at --help"
        )
    texts = [str(item) for item in items]
    if setting.key == "model":
        texts = [check_model(place, text) for text in texts]
    return texts if setting.is_multiple else texts[0]


def _table(place: Place, name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"config '{place.label}': {name} is no table; write [{name}]")
    return value


def _alias(place: Place, name: str, value: Any, commands: dict[str, Settings]) -> str:
    """The text of an alias, once it is known to be words that such a file may say."""
    if not isinstance(value, str):
        raise UsageError(f"config '{place.label}': alias {name} is no text; put it in quotes")
    words = split_alias(place, name, value)
    if place.rank == "project":
        known = settings_below(commands, "")
        for word in words[1:]:
            if word == "--":
                break
            for setting in _settings_in(word, known):
                check_may_set(place, setting)
    return value


def split_alias(place: Place, name: str, text: str) -> list[str]:
    """The words of an alias. Raises UsageError for none, or for a quote that does not end."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        why = str(error).lower()
        raise UsageError(f"config '{place.label}': alias {name}: {why}; quote it whole") from error
    if not words:
        raise UsageError(f"config '{place.label}': alias {name} is empty; give a command")
    return words


def _settings_in(word: str, known: Settings) -> list[Setting]:
    """The options that a word of a command line sets, also in a cluster such as -fq."""
    if word.startswith("--"):
        key = word[2:].partition("=")[0]
        return [known[key]] if key in known else []
    if not word.startswith("-"):
        return []
    found = []
    for letter in word[1:]:
        named = [setting for setting in known.values() if f"-{letter}" in setting.flags]
        found += named
        if not named or not named[0].is_switch:
            break  # the rest is a value
    return found
