"""Worker processes: this program again, fed with jobs through a pipe.

Each runs `nuwa_cli.cli.batch.worker`, in a session of its own, so that Ctrl-C reaches this process alone,
which then ends them. All start at once, and get ready while the jobs are still being checked. Threads are
shared out among them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.running import Errand
from nuwa_cli.cli.batch.spreading import Event
from nuwa_cli.cli.forecast.free_memory import available_memory
from nuwa_cli.errors import EnvironmentFault

_PATIENCE = 5.0  # seconds to end in
_CHUNK = 1 << 16
_JOBS_OF_EACH = 8  # less is drawn by one process before another has started
_MEMORY_OF_EACH = 1 << 30  # bytes
_MODULE = "nuwa_cli.cli.batch.worker"


class Workers:
    """`Hands` that are processes of this machine."""

    tries = 2

    def __init__(self, count: int) -> None:
        self.count = count
        self._processes: dict[int, _Process] = {}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        for hand in range(self.count):
            self._start(hand)
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
        self._selector.close()

    def give(self, hand: int, errands: Sequence[Errand]) -> None:
        """Hand over jobs; a dead process is started again first. Raises EnvironmentFault."""
        process = self._processes.get(hand) or self._start(hand)
        process.send([dataclasses.asdict(errand) for errand in errands])

    def wait(self) -> list[Event]:
        """What happened next, at least one event."""
        events: list[Event] = []
        while not events:
            for key, _ in self._selector.select():
                events += self._read(key.data)
        return events

    def _start(self, hand: int) -> _Process:
        process = self._processes[hand] = _Process(threads_of_each(self.count))
        self._selector.register(process.output, selectors.EVENT_READ, hand)
        return process

    def _read(self, hand: int) -> Iterator[Event]:
        process = self._processes[hand]
        content = os.read(process.output, _CHUNK)
        if content:
            for line in process.lines(content):
                found = json.loads(line)
                yield Event(hand, found["number"], Outcome(**found["outcome"]))
            return
        self._selector.unregister(process.output)
        del self._processes[hand]
        yield Event(hand, death=process.wait())


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


def threads_of_each(count: int) -> int:
    """How many threads each of `count` processes gets."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdecimal() and int(allowed):
        return max(1, int(allowed) // count)
    return max(1, _cores() // count)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # a system without that
        return os.cpu_count() or 1


class _Process:
    def __init__(self, threads: int) -> None:
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                start_new_session=True,
            )
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise EnvironmentFault(f"worker: {why}; give fewer --workers") from error
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin = self._process.stdin
        self.output = self._process.stdout.fileno()
        self._rest = b""

    def send(self, errands: Sequence[dict[str, object]]) -> None:
        # A dead reader is noticed where its output ends.
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(json.dumps(errands).encode() + b"\n")
            self._stdin.flush()

    def lines(self, content: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *whole, self._rest = (self._rest + content).split(b"\n")
        return whole

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self._stdin.close()
        with contextlib.suppress(OSError):
            self._process.terminate()

    def wait(self) -> str:
        """Wait for its end, and say how it was."""
        with contextlib.suppress(OSError):
            self._stdin.close()
        try:
            status = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}"
