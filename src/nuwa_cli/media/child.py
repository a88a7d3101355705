"""Foreign video is decoded in a process of its own, which may crash, hang or eat memory without harm.

Decoders are millions of lines of C that read whatever a stranger sends. The child (`foreign.py`) gets
the opened file as its stdin and a question as its argument, and answers on its stdout in messages of
one byte of kind, four bytes of length (little endian) and the content:

    A   alive, empty: sent at least once after the imports, then while there is progress
    F   one frame: two 4-byte sizes (height, width) and uint8 RGB
    J   the end: a JSON object, facts or {"error": class name, "message": …}

Invariants: the child never outlives a call; whatever it does or sends, the outcome is an answer of
bounded size or one NuwaError.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from nuwa_cli.errors import EnvironmentFault, InputError, NuwaError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

SILENCE = 10.0
"""Seconds without a sign of life after which the child is killed."""
HEAD = struct.Struct("<cI")
SIZES = struct.Struct("<II")
ALIVE, FRAME, END = b"A", b"F", b"J"
STDIN = "/dev/fd/0" if sys.platform == "linux" else ""
"""What the child calls the file; its messages name it so, the parent puts the real name in. Other
systems do not open a descriptor anew under this name, so the child is given the path there."""

_MODULE = "nuwa_cli.media.foreign"
_MAX_END = 16 << 20  # the recipe of a file is in it
_PIECE = 1 << 20
_LEAN = {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"}  # address space is counted there


@dataclass
class Answer:
    """Facts of a file, and frames of one size if they were asked for."""

    facts: dict[str, Any] = field(default_factory=dict)
    frames: list[Pixels] = field(default_factory=list)


def ask(path: Path, question: dict[str, Any], *, max_pixels: int = 0) -> Answer:
    """Put a question about a video file to a child process; frames of at most `max_pixels` together.

    Raises InputError when the child refuses the file, crashes or hangs, EnvironmentFault when no
    process can be started.
    """
    try:
        with path.open("rb") as file, _child(path, file, question) as process:
            return _listen(path, process, max_pixels)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        if error.filename == str(path):
            raise InputError(f"file '{path}': {why}; check the name") from error
        raise EnvironmentFault(f"decoder: cannot be started ({why}); try again later") from error


@contextlib.contextmanager
def _child(
    path: Path, file: IO[bytes], question: dict[str, Any]
) -> Iterator[subprocess.Popen[bytes]]:
    # -P: never import from the working folder, which may be anybody's.
    words = [sys.executable, "-P", "-m", _MODULE, STDIN or str(path), json.dumps(question)]
    process = subprocess.Popen(
        words,
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={**os.environ, **_LEAN},
    )
    try:
        yield process
    finally:
        process.kill()  # nothing to lose: an answer is complete before this
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _listen(path: Path, process: subprocess.Popen[bytes], max_pixels: int) -> Answer:
    answer = Answer()
    has_started = False
    pixels = 0
    while True:
        try:
            kind, content = _message(process, max_pixels)
        except EOFError:
            raise _ended(path, process, has_started=has_started) from None
        except ValueError:
            raise _nonsense(path) from None
        except TimeoutError:
            raise InputError(
                f"file '{path}': decoding stands still for {SILENCE:g} s; re-encode the clip"
            ) from None
        has_started = True
        if kind == END:
            answer.facts = _facts(path, content)
            return answer
        if kind == FRAME:
            height, width = SIZES.unpack_from(content)
            pixels += height * width
            frame = np.frombuffer(content, np.uint8, offset=SIZES.size)
            if pixels > max_pixels or frame.size != height * width * 3:
                raise _nonsense(path)
            answer.frames.append(frame.reshape(height, width, 3))


def _message(process: subprocess.Popen[bytes], max_pixels: int) -> tuple[bytes, bytearray]:
    """The next message. Raises EOFError at the end of the pipe, TimeoutError after silence,
    ValueError for what is no message."""
    kind, length = HEAD.unpack(_exactly(process, HEAD.size))
    limits = {ALIVE: 0, END: _MAX_END, FRAME: SIZES.size + 3 * max_pixels}
    if length > limits.get(kind, -1):
        raise ValueError(kind)
    return kind, _exactly(process, length)


def _exactly(process: subprocess.Popen[bytes], size: int) -> bytearray:
    assert process.stdout is not None
    content = bytearray(size)
    view = memoryview(content)
    deadline = time.monotonic() + SILENCE
    while view:
        if os.name == "posix":  # elsewhere pipes cannot be waited for with a limit
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise TimeoutError
        count = process.stdout.readinto(view[:_PIECE])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
        deadline = time.monotonic() + SILENCE
    return content


def _facts(path: Path, content: bytearray) -> dict[str, Any]:
    try:
        facts = json.loads(content)
    except ValueError:
        raise _nonsense(path) from None
    if not isinstance(facts, dict):
        raise _nonsense(path)
    if "error" in facts:
        kind = EnvironmentFault if facts["error"] == EnvironmentFault.__name__ else InputError
        message = str(facts.get("message"))
        raise kind(message.replace(STDIN, str(path), 1) if STDIN else message)
    return facts


def _ended(path: Path, process: subprocess.Popen[bytes], *, has_started: bool) -> NuwaError:
    """Why the child ended without an answer."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(SILENCE)
    code = process.returncode
    how = f"status {code}"
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            how = signal.Signals(-code).name
    if not has_started:
        return EnvironmentFault(f"decoder: did not start ({how}); is there enough memory?")
    return InputError(f"file '{path}': the decoder crashed ({how}); re-encode the clip")


def _nonsense(path: Path) -> InputError:
    return InputError(f"file '{path}': the decoder sent nonsense; re-encode the clip")
