"""The last file that was read, kept: a batch often makes many results of one clip or sketch.

Invariants: a file that was changed is read again; what is no single file, a folder of frames or a pipe, always
is; what is large is not kept.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

_Options = ParamSpec("_Options")
_Read = TypeVar("_Read")

_KEPT = 64 << 20  # bytes that may stay in memory


def last_read(
    nbytes: Callable[[_Read], int],
) -> Callable[
    [Callable[Concatenate[Path, _Options], _Read]], Callable[Concatenate[Path, _Options], _Read]
]:
    """Decorate a function that reads a file, so that it keeps what it read last; nobody may write to that.

    `nbytes` says how much memory a result takes.
    """

    def decorate(
        read: Callable[Concatenate[Path, _Options], _Read],
    ) -> Callable[Concatenate[Path, _Options], _Read]:
        kept: dict[object, _Read] = {}  # one at most

        @functools.wraps(read)
        def read_once(path: Path, /, *args: _Options.args, **options: _Options.kwargs) -> _Read:
            version = _version_of(path)
            key = (path, version, args, tuple(sorted(options.items())))
            if key in kept:
                return kept[key]
            kept.clear()
            result = read(path, *args, **options)
            if version is not None and nbytes(result) <= _KEPT:
                kept[key] = result
            return result

        return read_once

    return decorate


def _version_of(path: Path) -> tuple[int, ...] | None:
    """What tells a file from what stands there after a change; None for anything but one whole file."""
    if not path.is_file():
        return None
    state = os.stat(path)
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
