"""Worker processes of this machine, fed with jobs through a pipe.

They are forked from one process that has imported torch, which takes longer than a picture, and does so while
the jobs are still being checked. Each is in a session of its own, so that Ctrl-C reaches the master alone,
which then ends them. Where a system cannot fork like that, each worker imports for itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import multiprocessing
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import connection
from multiprocessing.context import ForkServerContext, SpawnContext
from types import TracebackType
from typing import Self

from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.running import Errand
from nuwa_cli.cli.batch.spreading import Event
from nuwa_cli.cli.batch.worker import work
from nuwa_cli.cli.forecast.free_memory import available_memory
from nuwa_cli.errors import EnvironmentFault

_PATIENCE = 5.0  # seconds to end in
_JOBS_OF_EACH = 8  # less is drawn by one process before another has started
_MEMORY_OF_EACH = 1 << 30  # bytes
_NURSERY = "nuwa_cli.cli.batch.nursery"

_Context = ForkServerContext | SpawnContext


class Workers:
    """`Hands` that are processes of this machine."""

    tries = 2

    def __init__(self, count: int) -> None:
        self.count = count
        self._processes: dict[int, _Process] = {}
        self._context: _Context = multiprocessing.get_context("spawn")

    def __enter__(self) -> Self:
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # it needs a folder for temporary files
                _prepare_nursery()
                self._context = multiprocessing.get_context("forkserver")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        processes = list(self._processes.values())
        for process in processes:
            process.end()
        for process in processes:
            process.wait()

    def give(self, hand: int, errands: Sequence[Errand]) -> None:
        """Hand over jobs; a process that is dead, or never lived, is started first. Raises EnvironmentFault."""
        if hand not in self._processes:
            self._processes[hand] = _Process(self._context)
        self._processes[hand].send([dataclasses.asdict(errand) for errand in errands])

    def wait(self) -> list[Event]:
        """What happened next, at least one event."""
        ready = connection.wait([process.master for process in self._processes.values()])
        hands = [hand for hand, process in self._processes.items() if process.master in ready]
        return [event for hand in hands for event in self._read(hand)]

    def _read(self, hand: int) -> Iterator[Event]:
        process = self._processes[hand]
        try:
            found = json.loads(process.master.recv_bytes())
        except (EOFError, OSError):
            del self._processes[hand]
            yield Event(hand, death=process.wait())
        else:
            yield Event(hand, found["number"], Outcome(**found["outcome"]))


def _prepare_nursery() -> None:
    """Start the process that workers are forked from, and do not wait for it. Raises OSError."""
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload([_NURSERY])
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"  # what is imported does not lie in the user's folder
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def workers_for(jobs: int, device: str) -> int:
    """How many workers help with so many jobs: one a core, where there is memory for it and each has
    enough to do; on a GPU one alone, which would only be shared."""
    if device.partition(":")[0] not in ("auto", "cpu") or (device == "auto" and _may_have_gpu()):
        return 1
    memory = available_memory()
    room = _cores() if memory is None else memory // _MEMORY_OF_EACH
    return max(1, min(_cores(), room, jobs // _JOBS_OF_EACH))


def _may_have_gpu() -> bool:
    """Asked without torch, whose import takes longer than a job."""
    return os.path.exists("/dev/nvidiactl") or shutil.which("nvidia-smi") is not None


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # a system without that
        return os.cpu_count() or 1


class _Process:
    def __init__(self, context: _Context) -> None:
        self.master, worker = context.Pipe()
        self._process = context.Process(
            target=work, args=(worker, dict(os.environ)), name="nuwa worker", daemon=True
        )
        try:
            self._process.start()
        except (OSError, EOFError) as error:
            why = (getattr(error, "strerror", None) or "did not start").lower()
            raise EnvironmentFault(f"worker: {why}; give fewer --workers") from error
        worker.close()

    def send(self, errands: Sequence[dict[str, object]]) -> None:
        # A dead reader is noticed where what it says ends.
        with contextlib.suppress(OSError):
            self.master.send_bytes(json.dumps(errands).encode())

    def end(self) -> None:
        self.master.close()
        with contextlib.suppress(OSError):
            self._process.terminate()

    def wait(self) -> str:
        """Wait for its end, and say how it was."""
        self.master.close()
        self._process.join(_PATIENCE)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        status = self._process.exitcode or 0
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"
