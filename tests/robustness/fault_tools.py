"""What the tests of the fault table share: how a command ended, and what a refusal may cost.

NUWA_CASES in the environment says how many cases the campaigns try: `quick`, the default, is enough to
notice what broke; `ci` has the numbers that the project promises (`.ci/run`), `torture` those of a release.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TIERS = ("quick", "ci", "torture")
TIER = os.environ.get("NUWA_CASES") or TIERS[0]
if TIER not in TIERS:
    raise pytest.UsageError(f"NUWA_CASES '{TIER}': unknown; give one of {', '.join(TIERS)}")

MAX_SECONDS = 1.0  # of processor time, to be refused
MAX_RSS = 300 << 10  # KiB, the same


def times(quick: int, ci: int, torture: int) -> int:
    """How many cases: of a run in between, of every change, of a release."""
    return (quick, ci, torture)[TIERS.index(TIER)]


@dataclass(frozen=True)
class Finished:
    """How a command ended, and what it took."""

    status: int
    stdout: str
    stderr: str
    seconds: float = 0.0
    rss: int = 0

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()

    def check_refusal(self, status: int, why: str = "") -> None:
        """Nothing on stdout, one bounded line without control characters on stderr."""
        assert self.status == status, self
        assert self.stdout == "", self
        assert self.stderr.startswith("nuwa: "), self
        assert self.stderr.endswith("\n") and self.stderr.count("\n") == 1, self
        assert len(self.stderr) <= len("nuwa: ") + 240 + 1, self
        assert all(c >= " " for c in self.stderr[:-1]), self
        assert why.lower() in self.stderr.lower(), self

    def check_cheap(self) -> None:
        """Refused before torch was imported."""
        assert self.seconds <= MAX_SECONDS, self
        assert self.rss <= MAX_RSS, self


Run = Callable[..., Finished]


def contents(folder: Path) -> dict[str, str]:
    """What lies in a folder: name → digest, link target or kind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
        if path.is_symlink():
            found[name] = f"-> {os.readlink(path)!r}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder" if path.is_dir() else "special"
    return found


def wait(process: subprocess.Popen[bytes], timeout: float) -> tuple[float, int]:
    """The end of a process: processor seconds with its children, and its peak memory in KiB.

    Not `ru_maxrss`, which is at least that of the process that started it. A process that takes
    longer than `timeout` is killed, and the test fails.
    """
    deadline = time.monotonic() + timeout
    peak = 0
    while True:
        peak = max(peak, _peak_of(process.pid))
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime, peak
        if time.monotonic() > deadline:
            process.kill()
            process.wait()
            pytest.fail(f"hangs: {process.args!r}")
        time.sleep(0.005)


def _peak_of(pid: int) -> int:
    with contextlib.suppress(OSError, StopIteration), open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith("VmHWM")).split()[1])
    return 0


@contextlib.contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """A test that hangs ends with a traceback."""
    previous = signal.signal(signal.SIGALRM, _hang)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def _hang(*_: object) -> None:
    raise AssertionError("hangs")
