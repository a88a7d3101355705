"""Which settings there are: the options of the program, by the names that files and the environment
use for them, and who may set which.

    a flag of the command line     --best-of 4
    a key of a file                best-of = 4      (best_of as well)
    a variable                     NUWA_BEST_OF=4, or for one command NUWA_T2V_BEST_OF=4

What writes, replaces or names files belongs to one run and can only be given with it. A project file
comes from whoever made the folder: it may say how things are drawn and nothing else, by a list of what
is harmless, so that an option made later is out until somebody thinks about it.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuwa_cli.cli.settings.sources import Place
from nuwa_cli.errors import UsageError

_OF_ONE_RUN = frozenset(
    {"output", "force", "dry-run", "resume", "depfile", "sheet", "preview", "mask-preview"}
    | {"help", "version", "no-config"}
)
_OF_A_PROJECT = frozenset(
    {"model", "device", "dtype", "attention", "max-memory", "preset", "quiet", "show", "format"}
    | {"seed", "num", "best-of", "temperature", "top-k", "top-p", "guidance", "persistence"}
    | {"frames", "fps", "size", "engine", "fit", "feather", "context", "keep-first", "snap"}
    | {"strict-prompt", "strict-size"}
)


@dataclass(frozen=True)
class Setting:
    """One option of one command."""

    key: str  # "best-of"
    name: str  # "best_of", what the parser calls it
    flags: tuple[str, ...]  # "-n", "--num"
    is_switch: bool
    is_multiple: bool
    is_of_one_run: bool
    default: Any


Settings = dict[str, Setting]
"""By key."""


@functools.cache
def settings_of(command: Any) -> Settings:
    """The options of a command of the parser."""
    found = {}
    for parameter in command.params:
        flags = [flag for flag in getattr(parameter, "opts", []) if flag.startswith("-")]
        long = [flag[2:] for flag in flags if flag.startswith("--")]
        if long:
            found[long[0]] = Setting(
                key=long[0],
                name=parameter.name,
                flags=tuple(flags),
                is_switch=bool(getattr(parameter, "is_flag", False)),
                is_multiple=bool(parameter.multiple) or parameter.nargs != 1,
                is_of_one_run=long[0] in _OF_ONE_RUN or _names_a_file(parameter),
                default=parameter.default,
            )
    return found


@functools.cache
def all_commands(group: Any, path: str = "") -> dict[str, Settings]:
    """Settings by command: "t2v", "models verify"."""
    found = {}
    for name, child in getattr(group, "commands", {}).items():
        whole = f"{path} {name}".strip()
        found[whole] = settings_of(child)
        found |= all_commands(child, whole)
    return found


def check_may_set(place: Place, setting: Setting) -> None:
    """Raise UsageError for what this kind of file must not decide."""
    if setting.is_of_one_run:
        raise UsageError(
            f"config '{place.label}': {setting.key} belongs to one run; "
            f"give --{setting.key} with the command"
        )
    if place.rank == "project" and setting.key not in _OF_A_PROJECT:
        raise UsageError(
            f"config '{place.label}': {setting.key} is not for the file of a project; "
            "put it into your own, see: nuwa config path"
        )


def check_model(place: Place, model: str) -> str:
    """The model of a file, its folder relative to that file.

    A project can choose what ships with nuwa or what lies in its own folder: entering a folder must
    not be enough to fetch something from the network. Raises UsageError.
    """
    from nuwa_cli.hub.catalog import CATALOG

    if any(entry.name == model for entry in CATALOG):
        return model
    base = place.path.parent
    if place.rank != "project":
        beside = base / os.path.expanduser(model)
        return str(beside) if beside.is_dir() else model
    folder = Path(os.path.realpath(base / model))
    if folder.is_dir() and folder.is_relative_to(os.path.realpath(base)):
        return str(folder)
    raise UsageError(
        f"config '{place.label}': model '{model}' is neither one that ships with nuwa nor a folder "
        "beside the file; give --model, or put it into your own file"
    )


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` for a word that is not known, or an empty text."""
    import difflib

    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def is_on(text: str | None) -> bool:
    """Whether the value of an environment variable says yes."""
    return (text or "").strip().lower() in ("1", "true", "t", "yes", "y", "on")


def variable(command: str, key: str) -> str:
    """The environment variable of a setting; of all commands where `command` is empty."""
    words = [*command.split(), key]
    return "NUWA_" + "_".join(words).upper().replace("-", "_")


def _names_a_file(parameter: Any) -> bool:
    descriptor = getattr(parameter, "type_descriptor", None)
    if descriptor is not None:
        return Path in (descriptor.annotation, *getattr(descriptor.annotation, "__args__", ()))
    return getattr(getattr(parameter, "type", None), "name", "") in ("path", "file", "filename")
