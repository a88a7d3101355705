"""Many processes at one name: `python races.py MODE PROCESSES ROUNDS FOLDER`; the counts as JSON.

new      without --force: exactly one of them writes, the others are told so
replace  with --force: all of them write, and what stands there in the end is whole
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

from nuwa_cli.errors import OutputError
from nuwa_cli.media.atomic import write_bytes


def content(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest() * 500


def race(path: Path, number: int, start: int, *, force: bool) -> None:
    """Wait for the start, write, and end with what a command would end with."""
    os.read(start, 1)
    status = 0
    try:
        write_bytes(path, content(number), force=force)
    except OutputError:
        status = 4
    except BaseException:
        status = 1
    os._exit(status)


def main(mode: str, processes: str, rounds: str, folder: str) -> None:
    statuses = {"0": 0, "4": 0, "other": 0}
    torn = left = wrong = 0
    for index in range(int(rounds)):
        path = Path(folder) / f"out-{index}.bin"
        reading, writing = os.pipe()
        pids = []
        for number in range(int(processes)):
            pid = os.fork()
            if not pid:
                os.close(writing)
                race(path, number, reading, force=mode == "replace")
            pids.append(pid)
        os.close(reading)
        os.close(writing)  # all of them read the end of the pipe at once
        ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
        for end in ends:
            statuses[str(end) if end in (0, 4) else "other"] += 1
        wrong += ends.count(0) != (1 if mode == "new" else len(pids))
        torn += path.read_bytes() not in [content(n) for n in range(int(processes))]
        left += sum(1 for entry in os.listdir(folder) if entry.startswith("."))
        path.unlink()
    print(json.dumps({"statuses": statuses, "wrong": wrong, "torn": torn, "left": left}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
