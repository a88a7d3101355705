"""What may stand for a parameter: words, or files of some suffixes, by its name and its command.

Choices need no entry, the parser knows them. What is found nowhere here completes to nothing (a prompt,
a number), and a path of unknown kind to any file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuwa_cli.errors import NuwaError
from nuwa_cli.media.naming import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from nuwa_cli.tasks.registry import TASKS

PLAIN, FILE, DIR = "plain", "file", "dir"


@dataclass(frozen=True)
class Value:
    """One thing that may be typed: a word, files of some suffixes (`png jpg`), or a folder."""

    text: str
    kind: str = PLAIN
    help: str = ""


def _files(*suffixes: str) -> list[Value]:
    return [Value(" ".join(suffix.lstrip(".") for suffix in suffixes), FILE)]


_PICTURES_IN = (*IMAGE_SUFFIXES, ".gif", ".bmp", ".tif", ".tiff")
_CLIPS_IN = VIDEO_SUFFIXES
_MEDIA_IN = tuple(dict.fromkeys((*_PICTURES_IN, *_CLIPS_IN)))
_MEDIA_OUT = tuple(dict.fromkeys((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)))
_FOLDER = [Value("", DIR)]

_OUTPUTS: dict[str, tuple[str, ...]] = {
    "palette": (".png", ".json", ".gpl"),
    "sheet": IMAGE_SUFFIXES,
    "eval": (".json",),
}
"""Suffixes of -o where the command is none of the tasks; others make pictures and clips."""

_BY_METAVAR = {
    "IMAGE": _files(*_PICTURES_IN),
    "SKETCH": _files(*_MEDIA_IN),
    "VIDEO": _files(*_CLIPS_IN),
    "CLIP": _files(*_CLIPS_IN),
    "MEDIA": _files(*_MEDIA_IN),
    "FILE": _files(*_MEDIA_IN),
    "JOBS": _files(".jsonl", ".csv", ".toml", ".txt"),
    "FOLDER": _FOLDER,
    "DIR": _FOLDER,
}
_BY_NAME = {
    "mask": _files(*_PICTURES_IN),
    "mask_preview": _files(*IMAGE_SUFFIXES),
    "sheet": _files(*IMAGE_SUFFIXES),
    "preview": _files(*IMAGE_SUFFIXES),
    "sketch": _files(*_MEDIA_OUT),
    "depfile": _files(".d"),
    "recipe": _files(".toml"),
    "text": _files(".json"),
    "seed": [Value("random", help="another one each time")],
    "device": [Value(name) for name in ("auto", "cpu", "cuda")],
    "max_memory": [Value(size) for size in ("1G", "2G", "4G", "8G")],
    "run_dir": _FOLDER,
    "sprites": _FOLDER,
    "evaluator": _FOLDER,
    "tokenizer": _FOLDER,
    "sketch_tokenizer": _FOLDER,
    "start_from": _FOLDER,
    "reranker": _FOLDER,
    "folder": _FOLDER,
    "out": _FOLDER,
}


Values = list[Value] | Callable[[Any], list[Value]]
"""Values, or what finds them when they are asked for, given the root of the parser's tree."""


def values_of(words: tuple[str, ...], parameter: Any) -> Values | None:
    """What may stand for a parameter of the command `words`; None leaves it to the parser."""
    name = parameter.name or ""
    if getattr(parameter, "is_flag", False):
        return None
    if name == "model":
        return [*_models(), *_FOLDER]
    if name == "preset":
        return _presets
    if name == "format":
        suffixes = _output_suffixes(words)
        return [Value(suffix.lstrip(".")) for suffix in suffixes]
    if name == "output":
        return _files(*_output_suffixes(words))
    if name in _BY_NAME:
        return _BY_NAME[name]
    if parameter.metavar in _BY_METAVAR:
        return _BY_METAVAR[parameter.metavar]
    return _files() if _is_path(parameter) else None


def _output_suffixes(words: tuple[str, ...]) -> tuple[str, ...]:
    command = words[0] if words else ""
    if command in TASKS:
        return IMAGE_SUFFIXES if TASKS[command].kind == "image" else VIDEO_SUFFIXES
    return _OUTPUTS.get(command, _MEDIA_OUT)


def _models() -> list[Value]:
    from nuwa_cli.hub.catalog import CATALOG

    return [Value(entry.name, help=entry.summary) for entry in CATALOG]


def _presets(root: Any) -> list[Value]:
    """The presets of the config files in force here."""
    from nuwa_cli.cli.settings.layers import read_layers
    from nuwa_cli.cli.settings.names import all_commands

    with contextlib.suppress(NuwaError):  # a file that is wrong is complained of when it is used
        layers = read_layers(all_commands(root))
        return [Value(name) for name in dict.fromkeys(n for layer in layers for n in layer.presets)]
    return []


def _is_path(parameter: Any) -> bool:
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    return Path in (annotation, *getattr(annotation, "__args__", ()))
