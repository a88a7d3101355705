"""Input that comes through a pipe, as a file: `-`, /dev/stdin, /dev/fd/N and what a shell makes of `<(…)`.

Decoders want to seek, and a digest wants the bytes a second time. So a `Piped` path reads its pipe into a
private file the first time anything opens it, and not before: options are checked first. The file has no name
from the moment it is made, so that nothing is left behind whatever happens.

Invariants: messages and recipes show the name that the user gave. What cannot be an input is refused after
its first mebibyte, and no more is ever stored than a file of its kind may have.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nuwa_cli.errors import EnvironmentFault, InputError, UsageError

STDIN = 0

_DESCRIPTOR = re.compile(r"/dev/stdin|/(?:dev|proc/self)/fd/([0-9]{1,6})")
_PIECE = 1 << 20
_NAMELESS = os.path.isdir("/proc/self/fd")  # an open file can be opened again without a name

if TYPE_CHECKING:
    _PlainPath = Path
else:
    _PlainPath = type(Path())


class Piped(_PlainPath):
    """A path that shows the name of a pipe and opens the file that the pipe was read into."""

    _descriptor: int | None = None  # of the pipe; paths derived from this one have none
    _file: IO[bytes] | None = None

    def __fspath__(self) -> str:
        if self._descriptor is None:
            return super().__fspath__()
        if self._file is None:
            self._file = _open_spool()
            try:
                self._read(self._descriptor, self._file)
            except BaseException:
                self._file = None
                raise
        return _name_of(self._file)

    def _read(self, descriptor: int, file: IO[bytes]) -> None:
        most, size = 0, 0
        for piece in pieces(descriptor, str(self)):
            try:
                file.write(piece)
                file.flush()
            except OSError as error:
                raise EnvironmentFault(
                    f"input '{self}': cannot be stored ({(error.strerror or str(error)).lower()}); "
                    "free some space, or set TMPDIR to a folder that has it"
                ) from error
            size += len(piece)
            most = most or self._most(size)
            if most and size > most:
                raise InputError(f"file '{self}': has more than {most} bytes; give a shorter one")

    def _most(self, size: int) -> int:
        """How many bytes there may be, by the first of them; 0 = too few yet to tell."""
        from nuwa_cli.media import probe

        if size < _PIECE:
            return 0
        if probe.is_picture_file(self):
            return probe.MAX_PICTURE_BYTES
        probe.check_container(self)
        return probe.MAX_FILE_BYTES


def piped(path: Path) -> Path:
    """The path as it is, or as a `Piped` one where it names an open descriptor that is no file.

    A pipe that has a name in the file system is not read: it may have no writer, for ever. Raises
    UsageError for a terminal.
    """
    if str(path) == "-":
        return _from(path, STDIN)
    match = _DESCRIPTOR.fullmatch(str(path))
    if match is None:
        return path
    descriptor = int(match.group(1) or STDIN)
    try:
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return path
    return path if is_file else _from(path, descriptor)


def descriptor_of(path: Path) -> int | None:
    """The descriptor that a `Piped` path reads; None for any other path."""
    return path._descriptor if isinstance(path, Piped) else None


def pieces(descriptor: int, name: str) -> Iterator[bytes]:
    """The bytes of a descriptor as they come, to its end. Raises InputError."""
    try:
        while piece := os.read(descriptor, _PIECE):
            yield piece
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"file '{name}': {why}; check what writes it") from error


def refuse_terminal(descriptor: int, what: str) -> None:
    """Raise UsageError where somebody would have to type the input."""
    if os.isatty(descriptor):
        raise UsageError(f"{what}: is a terminal; send a file or the output of a program to it")


def _from(path: Path, descriptor: int) -> Piped:
    refuse_terminal(descriptor, f"input '{path}'")
    result = Piped(path)
    result._descriptor = descriptor
    return result


def _open_spool() -> IO[bytes]:
    import tempfile  # slow to import

    make = tempfile.TemporaryFile if _NAMELESS else tempfile.NamedTemporaryFile
    try:
        return make(prefix="nuwa-")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise EnvironmentFault(
            f"temporary file: {why}; set TMPDIR to a folder that can be written"
        ) from error


def _name_of(file: IO[bytes]) -> str:
    # By the number of the process, not `self`: a child that decodes the file may open it too.
    return f"/proc/{os.getpid()}/fd/{file.fileno()}" if _NAMELESS else str(file.name)
