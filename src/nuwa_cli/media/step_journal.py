"""A journal of tokens, step by step, so that a long run can go on where it was cut off.

`.NAME.journal` lies beside the output NAME: a head with the digest of everything that decides the
result, then one record a step, each with its own checksum, appended and flushed to the disk when the
step is done (`append_only`); whatever a killed process or a power cut leaves at its end is cut away when it
is opened again.

    head     8 bytes magic, 32 bytes sha256
    record   step, rows, columns, tokens row after row, CRC-32 of all that; little-endian, 4 bytes each

Invariants: what is read back was completely written, under the same digest. A run holds the lock of
its journal, so two runs never write one.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.errors import InputError
from nuwa_cli.media.append_only import AppendOnly, Wording, open_to_append

Tokens = np.ndarray[Any, np.dtype[np.int64]]

_MAGIC = b"NUWAJNL1"
_DIGEST_BYTES = 32
_RECORD = struct.Struct("<III")  # step, rows, columns
_WORDING = Wording(
    what="journal",
    busy="another run is writing this output",
    advice="free some space, or choose another folder",
)
_MAX_SIDE = 4096  # of a patch in cells; a larger one is damage


def journal_path(output: Path) -> Path:
    """Where the journal of an output lies."""
    # Names are limited to 255 bytes.
    return output.with_name(f".{os.fsdecode(os.fsencode(output.name)[:240])}.journal")


@contextlib.contextmanager
def open_journal(output: Path, digest: bytes, *, resume: bool) -> Iterator[Journal]:
    """The journal of a run that writes `output` and is decided by `digest` (32 bytes).

    With `resume` the steps of an earlier run are taken up, otherwise they are dropped. The file stays
    when the block ends early and something is in it; `Journal.finish` says that it is needed no more.
    Raises InputError for a journal of other settings or of something else, EnvironmentFault while
    another run writes it, OutputError when it cannot be written.
    """
    path = journal_path(output)
    with open_to_append(path, _WORDING) as file:
        journal = Journal(path, file, digest, resume=resume)
        try:
            yield journal
        finally:
            if journal.is_finished or not len(journal):
                path.unlink(missing_ok=True)


class Journal(Mapping[int, Tokens]):
    """Tokens (h, w) int64 of the steps that are done, read from the disk when they are asked for."""

    def __init__(self, path: Path, file: AppendOnly, digest: bytes, *, resume: bool) -> None:
        assert len(digest) == _DIGEST_BYTES
        self.path = path
        self.is_finished = False
        self._file = file
        self._places: dict[int, tuple[int, int, int]] = {}  # step: offset, rows, columns
        head = file.read(len(_MAGIC) + _DIGEST_BYTES, 0)
        if not _MAGIC.startswith(head[: len(_MAGIC)]):
            raise InputError(f"journal '{path}': is no journal of nuwa; move it away")
        self._end = len(_MAGIC) + _DIGEST_BYTES
        if resume and len(head) == self._end:
            if head[len(_MAGIC) :] != digest:
                raise InputError(
                    f"journal '{path}': was left by a run of other settings, model or input; give the "
                    "same ones, or leave --resume out to begin anew"
                )
            self._scan()
            file.cut(self._end)
        else:
            file.cut(0)
            file.put(_MAGIC + digest, 0)

    def append(self, step: int, tokens: Tokens) -> None:
        """Remember the tokens (h, w) of a step. Raises OutputError when that fails."""
        if step in self._places:
            return
        rows, columns = tokens.shape
        content = _RECORD.pack(step, rows, columns) + tokens.astype("<i4").tobytes()
        content += struct.pack("<I", zlib.crc32(content))
        self._file.put(content, self._end)
        self._file.settle()
        self._places[step] = (self._end + _RECORD.size, rows, columns)
        self._end += len(content)

    def finish(self) -> None:
        """The output is complete: the journal goes when its block ends."""
        self.is_finished = True

    def __getitem__(self, step: int) -> Tokens:
        offset, rows, columns = self._places[step]
        content = self._file.read(4 * rows * columns, offset)
        return np.frombuffer(content, dtype="<i4").reshape(rows, columns).astype(np.int64)

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def _scan(self) -> None:
        """Find every whole record; `_end` is where the first one that is not begins."""
        while len(head := self._file.read(_RECORD.size, self._end)) == _RECORD.size:
            step, rows, columns = _RECORD.unpack(head)
            if not (0 < rows <= _MAX_SIDE and 0 < columns <= _MAX_SIDE):
                return
            start = self._end + _RECORD.size
            content = self._file.read(4 * rows * columns + 4, start)
            checksum = struct.pack("<I", zlib.crc32(content[:-4], zlib.crc32(head)))
            if len(content) != 4 * rows * columns + 4 or content[-4:] != checksum:
                return
            self._places[step] = (start, rows, columns)
            self._end = start + len(content)
