"""What the tests of `nuwa batch` share: job files, result lists, a batch in a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SCHEMA = "nuwa.batch/1"


def write_jobs(folder: Path, jobs: list[dict[str, Any]], name: str = "jobs.jsonl") -> None:
    """A file of JSON lines."""
    text = "".join(f"{json.dumps(job)}\n" for job in jobs)
    (folder / name).write_text(text, encoding="utf-8")


def results_of(
    folder: Path, *statuses: str, name: str = "jobs.results.jsonl"
) -> list[dict[str, Any]]:
    """Complete lines of some statuses, of all jobs that ended unless some are named."""
    path = folder / name
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    lines = [json.loads(line) for line in whole.splitlines()]
    assert all(line["schema"] == SCHEMA for line in lines)
    return [line for line in lines if line["status"] in (statuses or ("done", "failed", "skipped"))]


def media_of(folder: Path) -> dict[str, bytes]:
    """Every file in a folder and below but those of the batch itself, by its name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("jobs.")
    }


def start(command: str, folder: Path, model: Path, *words: str) -> subprocess.Popen[bytes]:
    """`nuwa batch jobs.jsonl -q …` in a folder."""
    return subprocess.Popen(
        [command, "batch", "jobs.jsonl", "-q", "--model", str(model), *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # a shell's background job has it ignored, which a child inherits
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def wait_for(process: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> None:
    """Until something is so. The process must not end before."""
    for _ in range(12_000):
        if is_so():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("never came so far")
