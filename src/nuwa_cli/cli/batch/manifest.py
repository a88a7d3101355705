"""The result list of a batch: one JSON line for every job that ended, and what a resumed run trusts.

    {"schema": "nuwa.batch/1", "status": "started", "digests": […]}      before jobs are drawn
    {"schema": "nuwa.batch/1", "job": 0, "line": 2, "status": "done", "exit": 0,
     "outputs": [{"path": …, "sha256": …, …}], "inputs": […], "error": null, "seconds": …, "digest": …}

`status` is done, failed or skipped (was done by an earlier run). A job is known by the digest of its
command line, wherever it stands in its file. It is skipped when all of its outputs and inputs are there
and have the digests that the list names. Of files that are in the way, a resumed run replaces those
that this list says are its own and unchanged, and those of jobs that were started and never ended.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nuwa_cli
from nuwa_cli.cli.batch.translation import Job
from nuwa_cli.cli.work.inputs import source_of
from nuwa_cli.errors import InputError
from nuwa_cli.media.journal_lines import Lines

SCHEMA = "nuwa.batch/1"
RESULTS_SUFFIX = ".results.jsonl"


@dataclass(frozen=True)
class Outcome:
    """How one job ended; `outputs` are facts of its files, `notes` what it would have said."""

    exit: int = 0
    error: str | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def is_done(self) -> bool:
        """Whether every output was written."""
        return self.exit == 0


def results_path(jobs: Path) -> Path:
    """Where the results of a job file lie unless another place is given."""
    if str(jobs) == "-":
        return Path(f"batch{RESULTS_SUFFIX}")
    return jobs.with_name(f"{jobs.stem}{RESULTS_SUFFIX}")


def digest_of(job: Job) -> str:
    """The digest that a job is known by."""
    text = json.dumps([nuwa_cli.__version__, *job.argv])
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_facts(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Path and sha256 of files, and of frame sequences as one. Raises InputError."""
    return [{"path": path, "sha256": source_of(Path(path))["sha256"]} for path in paths]


class Results:
    """The list of one run, and what earlier runs wrote into it."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._done: dict[str, dict[str, Any]] = {}
        self._started: set[str] = set()
        self._made: dict[str, str] = {}
        for line in lines.earlier:
            self._remember(line)

    @property
    def path(self) -> Path:
        """The file."""
        return self._lines.path

    def start(self, jobs: Sequence[Job]) -> None:
        """Say that jobs are about to be drawn."""
        self._write([{"status": "started", "digests": [digest_of(job) for job in jobs]}])

    def end(self, job: Job, outcome: Outcome) -> None:
        """Say how a job ended."""
        self._write(
            [
                {
                    "job": job.number,
                    "line": job.line,
                    "status": "done" if outcome.is_done else "failed",
                    "exit": outcome.exit,
                    "outputs": outcome.outputs,
                    "inputs": outcome.inputs,
                    "error": outcome.error,
                    "seconds": round(outcome.seconds, 3),
                    "digest": digest_of(job),
                }
            ]
        )

    def skip(self, jobs: Iterable[tuple[Job, dict[str, Any]]]) -> None:
        """Say that jobs stand as an earlier line says."""
        lines = [
            {**line, "job": job.number, "line": job.line, "status": "skipped", "seconds": 0}
            for job, line in jobs
        ]
        if lines:
            self._write(lines)

    def standing(self, job: Job) -> dict[str, Any] | None:
        """The line of a job that is done and whose files are what they were, None otherwise."""
        line = self._done.get(digest_of(job))
        if line is None or not all(map(_is_unchanged, (*line["outputs"], *line["inputs"]))):
            return None
        return {name: value for name, value in line.items() if name != "schema"}

    def may_replace(self, job: Job, path: str) -> bool:
        """Whether a file that is in a job's way is one that this batch made or was making."""
        if digest_of(job) in self._started:
            return True
        return path in self._made and _is_unchanged({"path": path, "sha256": self._made[path]})

    def _write(self, lines: Sequence[dict[str, Any]]) -> None:
        self._lines.append(lines)
        for line in lines:
            self._remember(line)

    def _remember(self, line: Mapping[str, Any]) -> None:
        try:
            if line["status"] == "started":
                self._started.update(line["digests"])
                return
            digest = line["digest"]
            self._started.discard(digest)
            if line["status"] in ("done", "skipped"):
                self._done[digest] = dict(line)
            for output in line["outputs"]:
                self._made[output["path"]] = output["sha256"]
        except (KeyError, TypeError) as error:
            raise InputError(
                f"results '{self.path}': a line has no usable {error}; give another file with "
                "--manifest"
            ) from None


def _is_unchanged(facts: Mapping[str, Any]) -> bool:
    path = Path(facts["path"])
    try:
        return source_of(path)["sha256"] == facts["sha256"]
    except InputError:
        return False
