"""A worker process: lists of jobs come in on stdin, outcomes go out on stdout, a line each.

Whatever else is printed goes to stderr. When stdin ends, its master is gone: a worker that is drawing then
stops as at SIGTERM, so that it does not write files beside a batch that is resumed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import sys
import threading

from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.running import Errand, perform
from nuwa_cli.cli.main_errors import exit_status, termination_signals


def main() -> int:
    """Do jobs until stdin ends; the exit status."""
    output = os.dup(1)
    os.dup2(2, 1)
    try:
        with termination_signals():
            _serve(output)
    except BaseException as error:
        return exit_status(error, ["batch", "worker"])
    return 0


def _serve(output: int) -> None:
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    received = finished = 0

    def read() -> None:
        nonlocal received
        for line in sys.stdin.buffer:
            received += 1
            lines.put(line)
        lines.put(None)
        if received > finished:
            os.kill(os.getpid(), signal.SIGTERM)

    def tell(errand: Errand, outcome: Outcome) -> None:
        line = json.dumps({"number": errand.number, "outcome": dataclasses.asdict(outcome)})
        content = line.encode() + b"\n"
        while content:
            content = content[os.write(output, content) :]

    threading.Thread(target=read, daemon=True).start()
    _get_ready()
    while (line := lines.get()) is not None:
        perform([Errand.from_json(found) for found in json.loads(line)], tell)
        finished += 1


def _get_ready() -> None:
    """Import what every job needs, which takes longer than a picture."""
    import nuwa_cli.api.engine
    import nuwa_cli.cli.app
    import nuwa_cli.cli.work.drawing  # noqa: F401


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # nothing is left to be done, and to take torch down is half a second
