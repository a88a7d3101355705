"""The files that settings can stand in: where they are looked for, and what they hold as plain data.

    project   nuwa.toml, or [tool.nuwa] of pyproject.toml, in the nearest folder from here upwards
    user      $XDG_CONFIG_HOME/nuwa/config.toml       (~/.config/nuwa/config.toml)
    system    nuwa/config.toml in $XDG_CONFIG_DIRS    (/etc/xdg/nuwa/config.toml)

A project file comes with a folder that somebody else may have made. It is read only when it belongs to
the user, to root or to the owner of the working directory, so that nobody plants one in /tmp; and it
may set less than the user's own files (`settings_names`). Every file is bounded and must be a regular
one. The parser of TOML is imported when there is a file to read, not before.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nuwa_cli.errors import UsageError

Rank = Literal["project", "user", "system"]

PROJECT_NAME = "nuwa.toml"
_SHARED_NAME = "pyproject.toml"
_FILE_NAME = "config.toml"
_MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Place:
    """A path where settings may stand, and how things are there."""

    rank: Rank
    path: Path
    state: Literal["absent", "found", "ignored"]
    why: str = ""  # it is ignored

    @property
    def label(self) -> str:
        """The path as a person would write it: relative where short, ~ for the home folder."""
        return short_path(self.path)


def places() -> list[Place]:
    """Every place, strongest first. Never raises."""
    own = config_home()
    found = list(_project_places())
    found += [_place("user", own / "nuwa" / _FILE_NAME)] if own else []
    found += [_place("system", folder / "nuwa" / _FILE_NAME) for folder in _config_folders()]
    return found


def read_place(place: Place) -> dict[str, Any]:
    """What a file holds. Raises UsageError, naming it, when it cannot be read or is no TOML."""
    try:
        if place.path.stat().st_size > _MAX_BYTES:
            raise _refused(place, f"is larger than {_MAX_BYTES >> 20} MiB; write a smaller one")
        content = place.path.read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise _refused(place, f"{why}; make it readable, or give --no-config") from error
    return _parse(place, content)


def config_home() -> Path | None:
    """The folder of the user's own settings, if the user has one."""
    given = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(given):  # the specification says: a relative one is to be ignored
        return Path(given)
    home = _home()
    return None if home is None else home / ".config"


def short_path(path: Path) -> str:
    """`path` seen from the working directory if it lies there or above, else from the home folder."""
    here, home = _here(), _home()
    if here is not None and path.is_relative_to(here) and path != here:
        return str(path.relative_to(here))
    if here is not None and here.is_relative_to(path.parent) and path.parent != path.parent.parent:
        return os.path.relpath(path, here)
    if home is not None and path.is_relative_to(home) and path != home:
        return f"~/{path.relative_to(home)}"
    return str(path)


def _project_places() -> Iterator[Place]:
    """The nearest file that counts, after those nearer ones that do not."""
    here = _here()
    if here is None:
        return
    for folder in (here, *here.parents):
        for name in (PROJECT_NAME, _SHARED_NAME):
            place = _place("project", folder / name)
            if place.state == "absent" or (name == _SHARED_NAME and not _has_table(place)):
                continue
            place = _unless_foreign(place, here)
            yield place
            if place.state == "found":
                return


def _place(rank: Rank, path: Path) -> Place:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return Place(rank, path, "absent")
    if not stat.S_ISREG(status.st_mode):
        return Place(rank, path, "ignored", "it is no regular file")
    return Place(rank, path, "found")


def _unless_foreign(place: Place, here: Path) -> Place:
    if place.state != "found" or not hasattr(os, "geteuid"):
        return place
    try:
        trusted = {os.geteuid(), 0, here.stat().st_uid}
        if place.path.stat().st_uid in trusted:
            return place
    except OSError:
        pass
    return Place(place.rank, place.path, "ignored", "it belongs to somebody else")


def _has_table(place: Place) -> bool:
    """Whether a file that serves many tools speaks to this one: cheap, before it is parsed."""
    try:
        with place.path.open("rb") as file:
            return b"tool.nuwa" in file.read(_MAX_BYTES + 1)
    except OSError:
        return False


def _parse(place: Place, content: bytes) -> dict[str, Any]:
    import tomllib

    try:
        document = tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _refused(place, "is not UTF-8 text; save it as such") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        why = str(error).splitlines()[0][:80] or "too deep"
        raise _refused(place, f"is no valid TOML: {why[:1].lower()}{why[1:]}") from error
    if place.path.name != _SHARED_NAME:
        return document
    tools = document.get("tool")
    table = tools.get("nuwa", {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise _refused(place, "tool.nuwa is no table; write [tool.nuwa]")
    return table


def _refused(place: Place, why: str) -> UsageError:
    return UsageError(f"config '{place.label}': {why}")


def _config_folders() -> list[Path]:
    given = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    return [Path(folder) for folder in given.split(os.pathsep) if os.path.isabs(folder)]


def _home() -> Path | None:
    try:
        return Path.home()
    except (RuntimeError, KeyError):  # no HOME, and no such user
        return None


def _here() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # the working directory was removed
        return None
