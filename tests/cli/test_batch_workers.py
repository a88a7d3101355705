"""Several processes: the same files, and no job is lost with its process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from batch_tools import media_of, results_of, start, wait_for, write_jobs

from nuwa_cli.cli.batch import workers
from nuwa_cli.cli.batch.agenda import Agenda, Planned
from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.running import Errand
from nuwa_cli.cli.batch.spreading import Event, spread
from nuwa_cli.cli.batch.translation import Job
from nuwa_cli.errors import EnvironmentFault

Run = Callable[..., Any]

JOBS = [
    {"command": "t2i", "prompt": "a dog", "output": "{seed}.png", "seed": [0, 1, 2, 3]},
    {"command": "predict", "media": "2.png", "output": "a.mp4", "frames": 4, "seed": [5, 6]},
    {"command": "t2v", "prompt": "golf", "output": "{job}.webm", "frames": 12,
     "seed": [1, 2, 3, 4, 5, 6]},
    {"command": "edit", "image": "1.png", "prompt": "x", "box": "0,0,8,8", "output": "e.png"},
]  # fmt: skip


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """They are in sessions of their own; their parent, which imports for them, is not."""
    found = [pid for child in children_of(process.pid) for pid in children_of(child)]
    return [pid for pid in found if os.getsid(pid) == pid]


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()]


def test_two_workers_one_of_which_dies(
    command: str, model_folder: Path, work: Path, tiny: Run
) -> None:
    """The files of one process, byte for byte; what the killed worker held is done by others."""
    stray = [work / f"{name}.py" for name in ("torch", "json")]  # is not imported
    for path in stray:
        path.write_text("raise SystemExit('not this one')")
    write_jobs(work, JOBS)
    process = start(command, work, model_folder, "--workers", "2")
    wait_for(process, lambda: bool(results_of(work)))
    first = workers_of(process)
    assert len(first) == 2
    os.kill(first[0], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=300)
    assert (process.returncode, stderr) == (0, b"")
    assert len(stdout.splitlines()) == 13
    assert {line["job"] for line in results_of(work)} == set(range(13))
    assert not any(Path(f"/proc/{child}").exists() for child in first)
    for path in stray:
        path.unlink()

    alone = work / "alone"
    alone.mkdir()
    write_jobs(alone, JOBS)
    made = media_of(work)
    os.chdir(alone)
    assert tiny("batch", "jobs.jsonl", "-q").status == 0
    assert media_of(alone) == made


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_workers_end_with_their_master(
    command: str, model_folder: Path, work: Path, number: signal.Signals, status: int
) -> None:
    """None goes on writing beside the next run."""
    write_jobs(work, JOBS)
    process = start(command, work, model_folder, "--workers", "2")
    wait_for(process, lambda: len(workers_of(process)) == 2)
    children = workers_of(process)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == status
    for _ in range(3000):
        if not any(map(is_alive, children)):
            return
        time.sleep(0.01)
    raise AssertionError("workers live on")


def is_alive(number: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return False


def plan(number: int, *needs: int) -> Planned:
    job = Job(number, f"line {number}", number, ("t2i", "--", "x"), "x.png", (), True)
    return Planned(job, (), frozenset(needs))


class Books:
    """An office that only remembers."""

    def __init__(self, agenda: Agenda) -> None:
        self.agenda = agenda
        self.ended: dict[int, Outcome] = {}
        self.doomed: list[int] = []

    def begin(self, window: Sequence[Planned]) -> None:
        assert window

    def finish(self, one: Planned, outcome: Outcome) -> None:
        assert one.job.number not in self.ended
        self.ended[one.job.number] = outcome
        settled = self.agenda.settle(one.job.number, is_done=outcome.is_done)
        self.doomed += [doomed.job.number for doomed, _ in settled]


@pytest.mark.slow
def test_a_system_that_cannot_fork_workers(
    work: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch, tiny: Run
) -> None:
    """There each imports for itself."""

    def refuse() -> None:
        raise OSError("no folder for temporary files")

    monkeypatch.setattr(workers, "_prepare_nursery", refuse)
    write_jobs(work, JOBS[:1])
    found = tiny("batch", "jobs.jsonl", "--workers", "2", "--model", str(model_folder))
    assert (found.status, len(results_of(work))) == (0, 4), found.stderr


class Hands:
    """Workers that do one job a turn; `deadly` ones kill them."""

    tries = 2

    def __init__(self, count: int, deadly: Sequence[int] = ()) -> None:
        self.count = count
        self.deadly = deadly
        self.given: list[list[Errand]] = [[] for _ in range(count)]
        self.seen: list[Errand] = []

    def give(self, hand: int, errands: Sequence[Errand]) -> None:
        assert not self.given[hand]
        self.given[hand] = list(errands)
        self.seen += errands

    def wait(self) -> list[Event]:
        hand = next(hand for hand in range(self.count) if self.given[hand])
        errand = self.given[hand].pop(0)
        if errand.number in self.deadly:
            self.given[hand] = []
            return [Event(hand, death="was ended by SIGKILL")]
        return [Event(hand, errand.number, Outcome())]


def test_a_deadly_job_takes_no_other_with_it() -> None:
    agenda = Agenda(
        [plan(number) for number in range(20)] + [plan(20, 3), plan(21, 20), plan(22, 4)]
    )
    books, hands = Books(agenda), Hands(2, deadly=[3])
    spread(agenda, books, hands)
    assert books.ended.keys() == {*range(20), 22}
    assert [number for number, outcome in books.ended.items() if not outcome.is_done] == [3]
    assert books.ended[3].exit == 5
    assert "was ended by SIGKILL, 2 times" in str(books.ended[3].error)
    assert sorted(books.doomed) == [20, 21]
    again = [errand for errand in hands.seen if errand.number == 3]
    assert [errand.argv[1] for errand in again] == ["--", "--force"]


def test_hands_that_never_live() -> None:
    numbers = range(50)
    agenda = Agenda([plan(number) for number in numbers])
    with pytest.raises(EnvironmentFault, match="again and again"):
        spread(agenda, Books(agenda), Hands(2, deadly=numbers))


def test_json_of_errands() -> None:
    import dataclasses

    errand = Errand(3, ("t2i", "--", "\udcff 高"), ("a",), ("b", "c"))
    assert Errand.from_json(json.loads(json.dumps(dataclasses.asdict(errand)))) == errand
