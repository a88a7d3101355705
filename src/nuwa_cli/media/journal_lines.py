"""A file of JSON lines that grows while a long run goes on, and survives whatever ends it.

Lines are appended and flushed to the disk one by one (`append_only`), so a kill or a power cut loses at most
the line that was being written; a torn last line is cut away when the file is opened again.

Invariants: every line begins with its schema and, when it is read back, was completely written. A file
of something else is refused, and nothing of an existing one is changed before the first line is
appended. A run holds the lock of its file, so two runs never write one.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nuwa_cli.errors import InputError
from nuwa_cli.media.append_only import AppendOnly, Wording, open_to_append

MAX_BYTES = 1024**3
MAX_LINE = 16 * 1024**2
_CHUNK = 1 << 20
_WORDING = Wording(
    what="results",
    busy="another batch is writing them",
    advice="choose another file with --manifest",
)
_EXISTS = "exists; give --resume to go on, or --force to begin anew"


@contextlib.contextmanager
def open_lines(
    path: Path, schema: str, *, resume: bool = False, force: bool = False
) -> Iterator[Lines]:
    """The lines of `path`: those that are there with `resume`, none otherwise. A file that is still
    empty at the end goes.

    Raises OutputError when the file exists and neither `resume` nor `force` is given or when it cannot
    be written, InputError when it holds something else, EnvironmentFault while another run writes it.
    """
    may_exist = resume or force
    with open_to_append(path, _WORDING, exists=None if may_exist else _EXISTS) as file:
        yield Lines(path, file, schema, resume=resume)


class Lines:
    """The lines that were there, and the means to append more."""

    def __init__(self, path: Path, file: AppendOnly, schema: str, *, resume: bool) -> None:
        self.path = path
        self.earlier: list[dict[str, Any]] = []
        self._file = file
        self._schema = schema
        self._end = 0
        self._is_cut = False
        if resume:
            self._read()

    def append(self, lines: Sequence[dict[str, Any]]) -> None:
        """Write lines and wait until the disk has them. Raises OutputError."""
        if not self._is_cut:
            self._file.cut(self._end)
            self._is_cut = True
        texts = [json.dumps({"schema": self._schema, **line}, ensure_ascii=False) for line in lines]
        content = "".join(f"{text}\n" for text in texts).encode("utf-8", "surrogateescape")
        self._file.put(content, self._end)
        self._file.settle()
        self._end += len(content)

    def _read(self) -> None:
        if self._file.size > MAX_BYTES:
            raise InputError(
                f"results '{self.path}': is larger than {MAX_BYTES // 1024**2} MiB; move it away"
            )
        rest = b""
        while content := self._file.read(_CHUNK, self._end + len(rest)):
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
