"""One owner at a time: an advisory lock on a file that says who has it.

The lock is the system's, so it ends with its process however that ends; the text in the file is for the
message only. Where the file system knows no locks, nobody is kept out.
"""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path

from nuwa_cli.errors import EnvironmentFault, OutputError

try:
    import fcntl
except ImportError:  # a system without advisory locks
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None


class Lock:
    """A lock that is held until `release`, or until the process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let others have it; the file stays, or a third process might lock a new one beside."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def take(descriptor: int) -> bool | None:
    """Try to lock an open file: whether it is ours now; None where the system or its file system knows no
    locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def hold(path: Path, what: str, advice: str = "wait for it, or choose another one") -> Lock:
    """Take the lock in the file `path`, which is made if need be.

    Raises EnvironmentFault naming the owner when another process has it, OutputError when the file
    cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise OutputError(f"lock '{path}': {(error.strerror or '').lower()}; {advice}") from error
    is_ours = take(descriptor)
    if is_ours is False:
        owner = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "another process"
        os.close(descriptor)
        raise EnvironmentFault(f"{what}: in use by {owner}; {advice}")
    if is_ours:
        with contextlib.suppress(OSError):  # the lock is what counts, not who it says has it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {platform.node()}\n".encode(), 0)
    return Lock(descriptor)
