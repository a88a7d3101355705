"""How jobs are shared out among hands: windows of one command, the long and the wanted ones first."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nuwa_cli.cli.batch import workers
from nuwa_cli.cli.batch.agenda import Agenda, Planned
from nuwa_cli.cli.batch.translation import Job
from nuwa_cli.cli.batch.workers import workers_for
from nuwa_cli.cli.work.inputs import read_moving
from nuwa_cli.cli.work.output import Output
from nuwa_cli.media.video import write_video
from nuwa_cli.sketches.maps import colorize, read_sketches


def plan(number: int, command: str, *needs: int) -> Planned:
    job = Job(number, f"line {number}", number, (command, "--", "x"), "x.png", (), True)
    return Planned(job, (), frozenset(needs))


def taken(agenda: Agenda, limit: int) -> list[int]:
    return [one.job.number for one in agenda.take(limit, alike=True)]


def test_windows_are_of_one_command_and_the_long_ones_come_first() -> None:
    commands = ["t2i", "t2v", "t2i", "vedit", "t2v"]
    agenda = Agenda([plan(number, command) for number, command in enumerate(commands)])
    assert [taken(agenda, 8) for _ in range(4)] == [[3], [1, 4], [0, 2], []]


def test_a_job_that_others_wait_for_comes_first() -> None:
    agenda = Agenda([plan(0, "vedit"), plan(1, "t2i"), plan(2, "inpaint", 1), plan(3, "t2i")])
    assert taken(agenda, 2) == [1, 3]
    assert taken(agenda, 2) == [0]
    agenda.settle(1, is_done=True)
    assert taken(agenda, 2) == [2]


def test_as_many_workers_as_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_cores", lambda: 4)
    monkeypatch.setattr(workers, "available_memory", lambda: 64 << 30)
    monkeypatch.setattr(workers, "_may_have_gpu", lambda: False)
    assert [workers_for(jobs, "auto") for jobs in (1, 15, 16, 400)] == [1, 1, 2, 4]
    monkeypatch.setattr(workers, "available_memory", lambda: 3 << 30)
    assert workers_for(400, "cpu") == 3
    monkeypatch.setattr(workers, "available_memory", lambda: 1 << 20)
    assert workers_for(400, "cpu") == 1
    monkeypatch.setattr(workers, "available_memory", lambda: None)
    assert workers_for(400, "auto") == 4
    monkeypatch.setattr(workers, "_may_have_gpu", lambda: True)
    assert [workers_for(400, device) for device in ("auto", "cuda:1", "cpu")] == [1, 1, 4]


def test_a_sketch_is_read_again_when_its_file_changed(tmp_path: Path) -> None:
    path = tmp_path / "sketch.mp4"
    for number in (1, 2):
        maps = np.full((2, 32, 32), number, np.uint8)
        write_video(path, list(colorize(maps)), 5, None, force=True)
        first, second = (read_sketches(path)[0] for _ in range(2))
        assert first is second and (first == number).all()
        with pytest.raises(ValueError, match="read-only"):
            first[0] = 0


def test_a_clip_is_read_again_when_its_file_changed(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    for level in (40, 200):
        write_video(path, [np.full((32, 32, 3), level, np.uint8)] * 3, 5, None, force=True)
        first, second = (
            read_moving(path, Output(as_json=False, quiet=True), fps=5, max_frames=3)
            for _ in range(2)
        )
        assert first is second and abs(int(first.frames.mean()) - level) < 8
        assert (
            len(read_moving(path, Output(as_json=False, quiet=True), fps=5, max_frames=2).frames)
            == 2
        )
