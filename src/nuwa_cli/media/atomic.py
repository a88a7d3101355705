"""The one writer: a file appears complete under its name, or not at all.

The bytes go to a hidden temporary file in the same folder, are flushed to the disk, and only then
take the final name: by a hard link when the name must be new (so that of two racing writers exactly
one wins), by a rename when `force` allows replacing. The folder is flushed last, because a rename
that the folder does not remember is lost in a power cut.

Invariants: after any exception the folder holds what it held before; after `kill -9` at most one
hidden `.NAME.*.tmp`, which holds an advisory lock while its writer lives and is removed by the next
writer of the same name that can take that lock.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from nuwa_cli.errors import OutputError
from nuwa_cli.media.locks import HAS_LOCKS, take

_live: dict[Path, int] = {}
"""Temporary files of unfinished outputs, and the process that writes each: a forked one has a copy
of this table, but not the right to remove what is its parent's."""


class _CheckedFile(io.BufferedRandom):
    """An open file that hides its descriptor: Pillow writes to that itself, and takes the short write
    that a full disk answers with for a whole one."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("write through the file object")


@dataclass(frozen=True)
class Pending:
    """A file being written: its temporary path, and the same file open for reading and writing."""

    path: Path
    file: IO[bytes]
    descriptor: int


@contextlib.contextmanager
def atomic_write(path: Path, *, force: bool = False) -> Iterator[Pending]:
    """Write `path` through the yielded `Pending`; it takes its name when the block ends well.

    Code that insists on opening a path itself (a muxer) may write to `Pending.path`.
    Raises OutputError when the file exists and `force` is not given, and for every failure of the
    file system inside the block (no space, read-only, …).
    """
    path = check_output(path, force=force)
    try:
        _remove_orphans(path)
        pending = _open_temporary(path)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        with pending.file:
            yield pending
            pending.file.flush()
            os.fsync(pending.descriptor)
            _keep_mode(pending, path)
            _publish(pending.path, path, force=force)
        _sync_folder(path.parent)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            pending.path.unlink(missing_ok=True)
        _live.pop(pending.path, None)


def discard_unfinished() -> None:
    """Remove the temporary files of this process: for an end that lets no `finally` run, and for a
    signal that came between the making of a file and the block that would have removed it."""
    for path, owner in list(_live.items()):
        if owner == os.getpid():
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            _live.pop(path, None)


def write_bytes(path: Path, content: bytes, *, force: bool = False) -> None:
    """Write a whole small file atomically. Raises OutputError."""
    with atomic_write(path, force=force) as pending:
        pending.file.write(content)


def make_folder(path: Path) -> None:
    """Make the last folder of `path` unless it is there. Raises OutputError."""
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from error


def check_output(path: Path, *, force: bool) -> Path:
    """Say before the slow part whether `path` can be written; return where it really lies.

    A symbolic link to an existing regular file is followed, so that `force` replaces the file and
    keeps the link. Raises OutputError: the folder is missing or refuses new files, the name is
    impossible or is a folder or device, or the file exists and `force` is not given.
    """
    try:
        status = _status(path)
        if status is not None:
            if stat.S_ISDIR(status.st_mode):
                raise OutputError(f"output '{path}': is a folder; give a file name in it")
            if not stat.S_ISREG(status.st_mode):
                raise OutputError(
                    f"output '{path}': is not a regular file; choose another file name"
                )
            if not force:
                raise OutputError(
                    f"output '{path}': exists; give --force to replace it, or choose another name"
                )
            path = Path(os.path.realpath(path))
        _probe_folder(path)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise _refused(path, error) from error
    return path


def _status(path: Path) -> os.stat_result | None:
    """What stands under the name: the target of a link, the link itself if it dangles."""
    try:
        return path.stat()
    except FileNotFoundError:
        try:
            return path.lstat()
        except FileNotFoundError:
            return None


def _probe_folder(path: Path) -> None:
    folder = path.parent
    if not folder.is_dir():
        why = "its folder does not exist" if not folder.exists() else "its folder is no folder"
        raise OutputError(f"output '{path}': {why}; create it with: mkdir -p '{folder}'")
    import tempfile  # slow to import, and `--help` comes past this module

    with tempfile.TemporaryFile(dir=folder):  # the only honest test of a writable folder
        pass


def _open_temporary(path: Path) -> Pending:
    """A new temporary file whose lock is ours, or one without where locks are unknown.

    Between its making and its locking another writer may take it for an orphan: then it is given
    up, and a new one is made.
    """
    while True:
        temporary = path.parent / f"{_temporary_prefix(path)}{os.urandom(4).hex()}.tmp"
        _live[temporary] = os.getpid()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o666)
        if take(descriptor) is not False and _stands(temporary, descriptor):
            file = _CheckedFile(io.FileIO(descriptor, "w+b"))
            return Pending(temporary, cast("IO[bytes]", file), descriptor)
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
        del _live[temporary]


def _stands(path: Path, descriptor: int) -> bool:
    """Whether the name still means the opened file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _temporary_prefix(path: Path) -> str:
    # Names are limited to 255 bytes: leave room for the random part and the suffix.
    name = os.fsdecode(os.fsencode(path.name)[:200])
    return f".{name}."


def _remove_orphans(path: Path) -> None:
    """Remove what a killed writer of this name left; a living one still holds its lock."""
    if not HAS_LOCKS:  # orphans are left for the user to see
        return
    prefix = _temporary_prefix(path)
    with os.scandir(path.parent) as entries:
        found = [e.path for e in entries if e.name.startswith(prefix) and e.name.endswith(".tmp")]
    for orphan in found:
        with contextlib.suppress(OSError):
            descriptor = os.open(orphan, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if take(descriptor):
                    os.unlink(orphan)
            finally:
                os.close(descriptor)


def _keep_mode(pending: Pending, path: Path) -> None:
    """A replaced file keeps its permissions; a new one has those of the umask already."""
    status = _status(path)
    if status is not None:
        os.chmod(pending.path, stat.S_IMODE(status.st_mode))


def _publish(temporary: Path, path: Path, *, force: bool) -> None:
    if force:
        os.replace(temporary, path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise OutputError(
            f"output '{path}': another process has just written it; give --force to replace it"
        ) from None
    except OSError:  # a file system without hard links; the window for a race is microseconds
        check_output(path, force=False)
        os.rename(temporary, path)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some file systems cannot sync a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _refused(path: Path, error: Exception) -> OutputError:
    code = getattr(error, "errno", None)
    why = os.strerror(code) if isinstance(code, int) and code > 0 else str(error)
    advice = {
        errno.ENOSPC: "free some space",
        errno.EFBIG: "raise the file size limit",
        errno.EROFS: "choose a folder that can be written",
        errno.EACCES: "choose a folder that can be written",
        errno.ENAMETOOLONG: "choose a shorter name",
    }.get(code or 0, "choose another output")
    return OutputError(f"output '{path}': {why[:1].lower()}{why[1:]}; {advice}")
