"""The process in which foreign video is decoded: `python -m nuwa_cli.media.foreign FILE QUESTION`.

Started by `child.py`, which also says what is sent. It imports numpy and the decoder only, reads one
opened file and writes one pipe; limits of the system bound its memory, its processor time and its files.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from nuwa_cli.errors import EnvironmentFault, InputError, NuwaError
from nuwa_cli.media.child import ALIVE, END, FRAME, HEAD, SIZES

try:
    import resource
except ImportError:  # no limits on this system
    resource = None  # type: ignore[assignment]

MAX_MEMORY = 6 << 30
"""Address space at most; a file gets it in proportion to its size."""

_BASE_MEMORY = 512 << 20  # the libraries, and 300 MiB to refuse a file with
_MEMORY_PER_BYTE = 2048

_MAX_SECONDS = 600  # of processor time
_MAX_FILES = 32
_BEAT = 0.5  # seconds between signs of life


def main(arguments: list[str]) -> None:
    """Answer one question about one file."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's, which then ends us
    most = min(MAX_MEMORY, _BASE_MEMORY + _MEMORY_PER_BYTE * os.stat(arguments[0]).st_size)
    _limit(most)
    send = _Sender()
    try:
        from nuwa_cli.media import probe, reading
    except (ImportError, MemoryError, OSError):
        reason = "the libraries cannot be loaded; is there enough memory?"
        send.error(EnvironmentFault(f"decoder: {reason}"))
        return
    send(ALIVE)
    path, question = Path(arguments[0]), json.loads(arguments[1])
    try:
        if question["ask"] == "probe":
            send.facts(probe.probe_container(path, send.beat))
        else:
            options = question["options"]
            clip = reading.ClipReader(path, options, send.beat)
            for frame in clip.frames():
                send.frame(frame)
            send.facts({"fps": clip.fps, "notes": clip.notes})
    except NuwaError as error:
        send.error(error)
    except MemoryError:
        why = f"takes more than {most >> 20} MiB to decode, which is much for its size; shrink it"
        send.error(InputError(f"file '{path}': {why}"))


class _Sender:
    """Writes messages; the pipe is not the stdout that libraries may print to."""

    def __init__(self) -> None:
        self._pipe = os.dup(1)
        os.dup2(2, 1)
        self._last = time.monotonic()

    def __call__(self, kind: bytes, *parts: Any) -> None:
        length = sum(memoryview(part).nbytes for part in parts)
        for part in (HEAD.pack(kind, length), *parts):
            view = memoryview(part).cast("B")
            while view:
                view = view[os.write(self._pipe, view) :]
        self._last = time.monotonic()

    def beat(self) -> None:
        """There is progress."""
        if time.monotonic() - self._last > _BEAT:
            self(ALIVE)

    def frame(self, pixels: Any) -> None:
        """A frame (H, W, 3)."""
        self(FRAME, SIZES.pack(*pixels.shape[:2]), pixels)

    def facts(self, facts: dict[str, Any]) -> None:
        """The answer is complete."""
        self(END, json.dumps(facts).encode())

    def error(self, error: NuwaError) -> None:
        """There is no answer."""
        self.facts({"error": type(error).__name__, "message": str(error)})


def _limit(memory: int) -> None:
    if resource is None:
        return
    infinity = resource.RLIM_INFINITY
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, _MAX_SECONDS),
        (resource.RLIMIT_NOFILE, _MAX_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        least = min([most, *(limit for limit in resource.getrlimit(kind) if limit != infinity)])
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (least, least))


if __name__ == "__main__":
    main(sys.argv[1:])
