"""`--update`: an output whose embedded recipe says that it is what would be made now is left alone.

Make compares times, which say nothing about a changed prompt, option, model or version, and are wrong
after a checkout. Here the file itself is asked: command, arguments, sha256 of inputs and model, and the
version of nuwa must be those of the run, and the file must be whole. No weights are loaded for that.

A stale output is replaced, but only one that carries a recipe of ours: what somebody else made is never
overwritten without --force.

An output that is up to date, but older than what it was made from, gets a new time: otherwise make would
ask again for ever.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nuwa_cli
from nuwa_cli.errors import InputError, OutputError, UsageError
from nuwa_cli.media.naming import existing_frames, is_sequence, numbered

if TYPE_CHECKING:
    from nuwa_cli.media.metadata import Recipe

_STREAMS = (
    "mp4",
    "webm",
)  # formats whose number of frames is certain; animations join equal frames


def check_update(paths: Sequence[Path], *, force: bool, no_metadata: bool) -> None:
    """Say before the slow part whether the outputs can be brought up to date.

    Raises UsageError where there would be no recipe to compare, OutputError for an existing file that
    is not ours.
    """
    if no_metadata:
        raise UsageError("update: compares recipes, and --no-metadata leaves them out; drop one")
    for path in paths:
        if str(path) == "-":
            raise UsageError("update: stdout is never up to date; give -o a file name")
        for file in () if force else _files(path):
            if file.exists() and _facts(file).get("recipe") is None:
                raise OutputError(
                    f"output '{file}': exists and was not made by nuwa; give --force to replace it"
                )


class Freshness:
    """What the outputs of one run must say to be up to date."""

    def __init__(
        self,
        command: str,
        model: str | None,
        sources: Iterable[Mapping[str, str]] = (),
        prerequisites: Sequence[Path] = (),
    ) -> None:
        """`sources` are name and sha256 of each input; `prerequisites` the files behind all of it.

        Raises InputError for a model without a manifest.
        """
        self._expected: dict[str, Any] = {
            "command": command,
            "version": nuwa_cli.__version__,
            "inputs": [dict(source) for source in sources],
        }
        if model is not None:
            self._expected["model"] = model_digest(model)
        self._newest = max(map(_changed, prerequisites), default=0)

    def is_current(self, path: Path, arguments: Mapping[str, Any]) -> bool:
        """Whether the output at `path` is what `arguments` (`recall.recorded`) make. If it is, it is
        at least as new as every prerequisite afterwards."""
        files = _files(path)
        if not files or not files[0].exists():
            return False
        recipe = _whole(path, files)
        if recipe is None:
            return False
        said = {name: recipe.get(name) for name in self._expected}
        said["inputs"] = recipe.get("inputs", [])
        if "model" in said:
            model = recipe.get("model")
            said["model"] = model.get("sha256") if isinstance(model, dict) else None
        if said != self._expected or recipe.get("arguments") != dict(arguments):
            return False
        for file in files:
            if _changed(file) < self._newest:
                with contextlib.suppress(OSError):  # a file of somebody else is as good as it was
                    os.utime(file)
        return True


def model_digest(model: str) -> str:
    """The sha256 that stands for a model, from its manifest alone.

    Raises UsageError, InputError, EnvironmentFault as `hub.catalog.find_model`.
    """
    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import read_manifest

    return read_manifest(find_model(model)).digest


def _whole(path: Path, files: Sequence[Path]) -> Recipe | None:
    """The recipe of a complete output; None for a damaged, shortened or partial one."""
    facts = _facts(files[0], is_to_be_read=True)
    recipe = facts.get("recipe")
    if recipe is None or {"partial", "part", "streamed"} & recipe.keys():
        return None
    options = recipe.get("options")
    length = options.get("frames") if isinstance(options, dict) else None
    if is_sequence(path):
        is_whole = length == len(files) and files[0] == numbered(path, 0)
        return recipe if is_whole and recipe.get("frame") == 0 else None
    if facts["format"] in _STREAMS and length not in (None, facts["frames"]):
        return None
    return recipe


def _facts(file: Path, *, is_to_be_read: bool = False) -> dict[str, Any]:
    """What a file is; nothing for what cannot be read, or with `is_to_be_read` not to its end."""
    from nuwa_cli.media.large_png import probe_any_size
    from nuwa_cli.media.probe import MAX_PIXELS, is_picture_file, open_picture
    from nuwa_cli.media.whole import is_whole

    try:
        facts = probe_any_size(file)
        if not is_to_be_read:
            return facts
        if not is_whole(file, facts["format"]):
            return {}
        if is_picture_file(file) and facts["width"] * facts["height"] <= MAX_PIXELS:
            with open_picture(file) as picture:
                for frame in range(facts["frames"]):
                    picture.seek(frame)
                    picture.load()
        return facts
    except (InputError, OSError):
        return {}


def _files(path: Path) -> list[Path]:
    """The file, or the frames that there are of a sequence."""
    if not is_sequence(path):
        return [path]
    return existing_frames(path) if path.parent.is_dir() else []


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
