"""A file that is only appended to: the one kind that is not written atomically, because it must hold what was
done so far at every moment.

`step_journal` and `journal_lines` say what stands in it. Here is what they share: it is opened without following
a link, must be a regular file, and is locked until it is closed, so two runs never write one; and whatever the
disk refuses is one OutputError that begins with what the file is and ends with what to do.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nuwa_cli.errors import EnvironmentFault, OutputError
from nuwa_cli.media.locks import take


@dataclass(frozen=True)
class Wording:
    """How messages speak of a file."""

    what: str  # results
    busy: str  # another batch is writing them
    advice: str  # choose another file


@contextlib.contextmanager
def open_to_append(
    path: Path, wording: Wording, *, exists: str | None = None
) -> Iterator[AppendOnly]:
    """Open `path`, which is made if need be; where it is there already, with `exists`, that is the reason to
    refuse it. A file that is empty at the end goes.

    Raises OutputError when it cannot be written, EnvironmentFault while another run writes it.
    """
    flags = os.O_RDWR | os.O_CREAT | (os.O_EXCL if exists else 0)
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except FileExistsError:
        raise OutputError(f"{wording.what} '{path}': {exists}") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise _refused(path, wording, error) from error
    file = AppendOnly(path, descriptor, wording)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OutputError(
                f"{wording.what} '{path}': is not a regular file; choose another name"
            )
        if take(descriptor) is False:
            raise EnvironmentFault(f"{wording.what} '{path}': {wording.busy}; wait for its end")
        try:
            yield file
        finally:
            if not file.size:
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


class AppendOnly:
    """The open file. What is read is what is there; what is written raises OutputError."""

    def __init__(self, path: Path, descriptor: int, wording: Wording) -> None:
        self.path = path
        self._descriptor = descriptor
        self._wording = wording

    @property
    def size(self) -> int:
        """Bytes that there are."""
        return os.fstat(self._descriptor).st_size

    def read(self, count: int, place: int) -> bytes:
        """At most `count` bytes from a place on."""
        return os.pread(self._descriptor, count, place)

    def cut(self, size: int) -> None:
        """Drop what follows."""
        with self._refusing():
            os.ftruncate(self._descriptor, size)

    def put(self, content: bytes, place: int) -> None:
        """Write bytes at a place."""
        with self._refusing():
            written = os.pwrite(self._descriptor, content, place)
        if written != len(content):
            raise OutputError(
                f"{self._wording.what} '{self.path}': no space left on device; free some space"
            )

    def settle(self) -> None:
        """Wait until the disk has it all."""
        with self._refusing():
            os.fsync(self._descriptor)

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _refused(self.path, self._wording, error) from error


def _refused(path: Path, wording: Wording, error: OSError | ValueError) -> OutputError:
    code = getattr(error, "errno", None)
    why = os.strerror(code) if code else str(error)
    return OutputError(f"{wording.what} '{path}': {why[:1].lower()}{why[1:]}; {wording.advice}")
