"""Signals at random moments of a run: `python signals.py SEED MODEL FOLDER SIGNAL=COUNT …`; for each
signal a line of JSON with its counts, after the lines that the runs print.

The libraries and the model are loaded once; every case is a fork of this process that draws a picture and
is signalled meanwhile, so that all moments of checking, loading, drawing and writing are hit. Moments of
importing are hit by the tests that start the installed command.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

FORMATS = ("out.png", "out.mp4", "frames/%02d.png")


def words(index: int, model: str) -> list[str]:
    name = FORMATS[index % len(FORMATS)]
    return ["t2i" if name == "out.png" else "t2v", "a dog", "-o", name, "--model", model, "-q"]


def start(index: int, model: str, folder: Path) -> int:
    pid = os.fork()
    if pid:
        return pid
    from nuwa_cli.cli.app import run
    from nuwa_cli.cli.main_errors import leave

    status = 130
    try:
        os.chdir(folder)
        log = os.open(folder.parent / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        try:
            leave(run(words(index, model)))
        except SystemExit as end:
            status = int(end.code or 0)
        except KeyboardInterrupt:
            status = 130
    finally:
        os._exit(status)


def main(seed: str, model: str, given: str, *campaigns: str) -> None:
    from nuwa_cli.cli.app import run

    folder = Path(given) / "work"
    folder.mkdir()
    os.chdir(folder)
    usual = []
    for index in range(2 * len(FORMATS)):  # warm, then measured
        started = time.perf_counter()
        assert run(words(index, model)) == 0
        usual.append(time.perf_counter() - started)
        clean(folder)
    luck = random.Random(seed)
    for campaign in campaigns:
        name, _, count = campaign.partition("=")
        found = disturb(name, int(count), luck, model, folder, usual[len(FORMATS) :])
        print(json.dumps({"signal": name, **found}))  # noqa: T201


def disturb(
    name: str, count: int, luck: random.Random, model: str, folder: Path, usual: list[float]
) -> dict[str, int]:
    """One signal, many runs: how they ended, and what they left."""
    number = getattr(signal, name)
    kinds = ("cases", "stopped", "wrong status", "torn", "left", "loud", "slow")
    found = dict.fromkeys(kinds, 0)
    for index in range(count):
        pid = start(index, model, folder)
        time.sleep(luck.uniform(0.002, 1.2 * usual[index % len(FORMATS)]))
        sent = time.perf_counter()
        os.kill(pid, number)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        found["slow"] += time.perf_counter() - sent > 5
        found["cases"] += 1
        found["stopped"] += status == 128 + number
        # Before the program has its handlers, and when it is done, the system's own way counts.
        found["wrong status"] += status not in (0, 128 + number, -number)
        said = (folder.parent / "stderr").read_text() if (folder.parent / "stderr").exists() else ""
        found["loud"] += "Traceback" in said or said.count("\n") > 1 + (status == 0) * 3
        check(folder, status, found)
        clean(folder)
    return found


def check(folder: Path, status: int, found: dict[str, int]) -> None:
    """A stopped run leaves nothing, or what was complete before it was stopped."""
    from nuwa_cli.errors import InputError
    from nuwa_cli.media.probe import probe

    for path in folder.rglob("*"):
        if path.name.startswith("."):
            found["left"] += 1
        elif path.is_file() and status in (0, 130, 143, 129):
            try:
                if path.suffix == ".png":
                    probe(path)
            except InputError:
                found["torn"] += 1


def clean(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


if __name__ == "__main__":
    main(*sys.argv[1:])
