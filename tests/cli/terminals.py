"""A terminal for tests: a pseudo terminal whose other end is read all the time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO


class Terminal:
    """What a program sees as its terminal, and what it wrote there."""

    def __init__(self, columns: int, rows: int) -> None:
        self._master, self.slave = pty.openpty()
        size = struct.pack("HHHH", rows, columns, 8 * columns, 16 * rows)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, size)
        settings = termios.tcgetattr(self.slave)
        settings[1] &= ~termios.OPOST  # a new line stays one byte
        termios.tcsetattr(self.slave, termios.TCSANOW, settings)
        self._seen = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the other end is closed
            while part := os.read(self._master, 1 << 16):
                self._seen += part

    @property
    def shown(self) -> bytes:
        """All that was written so far."""
        return bytes(self._seen)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, since: int = 0, timeout: float = 60) -> bytes:
        """What is shown from `since` on, as soon as `text` is in it."""
        end = time.monotonic() + timeout
        while text.encode() not in self.shown[since:]:
            assert time.monotonic() < end, (text, self.shown[since:])
            time.sleep(0.02)
        return self.shown[since:]

    def settled(self) -> bytes:
        """All that was written, once nothing more comes."""
        size = -1
        while size != len(self._seen):
            size = len(self._seen)
            time.sleep(0.05)
        return self.shown

    def close(self) -> None:
        os.close(self.slave)
        self._reader.join(5)
        os.close(self._master)


@contextlib.contextmanager
def terminal(columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """A terminal of some size in characters, of 8 by 16 pixels each."""
    found = Terminal(columns, rows)
    try:
        yield found
    finally:
        found.close()


@contextlib.contextmanager
def file_on(screen: Terminal) -> Iterator[TextIO]:
    """A text file that writes to a terminal, as sys.stderr does."""
    with os.fdopen(os.dup(screen.slave), "w", encoding="utf-8", buffering=1) as file:
        yield file


@contextlib.contextmanager
def shell_on(
    screen: Terminal, command: Sequence[str], env: Mapping[str, str], cwd: Path
) -> Iterator[None]:
    """An interactive program whose three streams are a terminal; killed at the end."""

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    end = screen.slave
    with subprocess.Popen(
        command,
        stdin=end,
        stdout=end,
        stderr=end,
        env=dict(env),
        cwd=cwd,
        start_new_session=True,
        preexec_fn=take_terminal,
    ) as process:
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
