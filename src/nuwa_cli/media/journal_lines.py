"""A file of JSON lines that grows while a long run goes on, and survives whatever ends it.

Lines are appended and flushed to the disk one by one, so a kill or a power cut loses at most the line
that was being written; a torn last line is cut away when the file is opened again. It is not written
atomically, because it must hold what was done so far at every moment.

Invariants: every line begins with its schema and, when it is read back, was completely written. A file
of something else is refused, and nothing of an existing one is changed before the first line is
appended. A run holds the lock of its file, so two runs never write one.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nuwa_cli.errors import EnvironmentFault, InputError, OutputError
from nuwa_cli.media.locks import is_taken

MAX_BYTES = 1024**3
MAX_LINE = 16 * 1024**2
_CHUNK = 1 << 20


@contextlib.contextmanager
def open_lines(
    path: Path, schema: str, *, resume: bool = False, force: bool = False
) -> Iterator[Lines]:
    """The lines of `path`: those that are there with `resume`, none otherwise. A file that is still
    empty at the end goes.

    Raises OutputError when the file exists and neither `resume` nor `force` is given or when it cannot
    be written, InputError when it holds something else, EnvironmentFault while another run writes it.
    """
    create = os.O_CREAT if resume or force else os.O_CREAT | os.O_EXCL
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):
        create |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, os.O_RDWR | create, 0o666)
    except FileExistsError:
        raise OutputError(
            f"results '{path}': exists; give --resume to go on, or --force to begin anew"
        ) from None
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OutputError(f"results '{path}': is not a regular file; choose another name")
        _lock(path, descriptor)
        try:
            yield Lines(path, descriptor, schema, resume=resume)
        finally:
            if not os.fstat(descriptor).st_size:
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


class Lines:
    """The lines that were there, and the means to append more."""

    def __init__(self, path: Path, descriptor: int, schema: str, *, resume: bool) -> None:
        self.path = path
        self.earlier: list[dict[str, Any]] = []
        self._descriptor = descriptor
        self._schema = schema
        self._end = 0
        self._is_cut = False
        if resume:
            self._read()

    def append(self, lines: Sequence[dict[str, Any]]) -> None:
        """Write lines and wait until the disk has them. Raises OutputError."""
        if not self._is_cut:
            self._change(os.ftruncate, self._end)
            self._is_cut = True
        texts = [json.dumps({"schema": self._schema, **line}, ensure_ascii=False) for line in lines]
        content = "".join(f"{text}\n" for text in texts).encode("utf-8", "surrogateescape")
        self._change(os.pwrite, content, self._end)
        self._change(os.fsync)
        self._end += len(content)

    def _read(self) -> None:
        if os.fstat(self._descriptor).st_size > MAX_BYTES:
            raise InputError(
                f"results '{self.path}': is larger than {MAX_BYTES // 1024**2} MiB; move it away"
            )
        rest = b""
        while content := os.pread(self._descriptor, _CHUNK, self._end + len(rest)):
            *whole, rest = (rest + content).split(b"\n")
            for line in whole:
                self.earlier.append(self._parsed(line))
                self._end += len(line) + 1
            if len(rest) > MAX_LINE:
                raise self._foreign()
        head = json.dumps({"schema": self._schema})[:-1].encode()
        if rest[: len(head)] != head[: len(rest)]:  # not a torn line of ours
            raise self._foreign()

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            found = json.loads(line.decode("utf-8", "surrogateescape"))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("schema") != self._schema:
            raise self._foreign()
        return found

    def _foreign(self) -> InputError:
        number = len(self.earlier) + 1
        return InputError(
            f"results '{self.path}' line {number}: is none of {self._schema}; give another file "
            "with --manifest"
        )

    def _change(self, call: Any, *values: Any) -> None:
        try:
            done = call(self._descriptor, *values)
        except OSError as error:
            raise _refused(self.path, error) from error
        if call is os.pwrite and done != len(values[0]):
            raise OutputError(f"results '{self.path}': no space left on device; free some space")


def _lock(path: Path, descriptor: int) -> None:
    if is_taken(descriptor):
        raise EnvironmentFault(f"results '{path}': another batch is writing them; wait for its end")


def _refused(path: Path, error: OSError | ValueError) -> OutputError:
    code = getattr(error, "errno", None)
    why = os.strerror(code) if code else str(error)
    return OutputError(
        f"results '{path}': {why[:1].lower()}{why[1:]}; choose another file with --manifest"
    )
