"""A worker process: lists of jobs come in, outcomes go out, JSON each.

What it prints goes to stderr. When nothing can come in any more its master is gone: a worker that is drawing
then stops as at SIGTERM, so that it does not write files beside a batch that is resumed.
"""

from __future__ import annotations

import dataclasses
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection

from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.running import Errand, perform
from nuwa_cli.cli.main_errors import exit_status, termination_signals


def work(master: Connection, environment: Mapping[str, str]) -> None:
    """Do jobs until the other end closes, and leave with the exit status.

    `environment`: of the master, which may have changed since the process came into being.
    """
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C reaches the master alone, which then ends its workers
    os.environ.clear()
    os.environ.update(environment)
    os.dup2(2, 1)
    try:
        with termination_signals():
            _serve(master)
    except BaseException as error:
        sys.exit(exit_status(error, ["batch", "worker"]))


def _serve(master: Connection) -> None:
    messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    received = finished = 0

    def read() -> None:
        nonlocal received
        try:
            while True:
                message = master.recv_bytes()
                received += 1
                messages.put(message)
        except (EOFError, OSError):
            messages.put(None)
        if received > finished:
            os.kill(os.getpid(), signal.SIGTERM)

    def tell(errand: Errand, outcome: Outcome) -> None:
        found = {"number": errand.number, "outcome": dataclasses.asdict(outcome)}
        master.send_bytes(json.dumps(found).encode())

    threading.Thread(target=read, daemon=True).start()
    while (message := messages.get()) is not None:
        perform([Errand.from_json(found) for found in json.loads(message)], tell)
        finished += 1
