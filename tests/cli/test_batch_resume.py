"""A batch that is cut off, at any moment and by any means, goes on to the same files."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_tools import SCHEMA, media_of, results_of, start, wait_for, write_jobs

from nuwa_cli.errors import EnvironmentFault, InputError, OutputError
from nuwa_cli.media.journal_lines import open_lines

Run = Callable[..., Any]

JOBS = [
    {"defaults": {"frames": 3}},
    {"command": "t2i", "prompt": "a dog", "output": "{seed}.png", "seed": [0, 1]},
    {"command": "predict", "media": "0.png", "output": "0.mp4"},
    {"command": "t2v", "prompt": "golf", "output": "f/%03d.png"},
]
LONG = [{"command": "t2v", "prompt": "golf", "output": "{job}.mp4", "frames": 10,
         "seed": list(range(12))}]  # fmt: skip


def test_wherever_the_list_ends(tiny: Run, work: Path) -> None:
    """Cut the list of a whole run at many places, torn lines among them, and lose the files that it does
    not tell of, or keep them: the resumed run ends with the same files and a whole list."""
    write_jobs(work, JOBS)
    assert tiny("batch", "jobs.jsonl", "-q").status == 0
    whole = media_of(work)
    assert sorted(whole) == ["0.mp4", "0.png", "1.png", "f/000.png", "f/001.png", "f/002.png"]
    lines = (work / "jobs.results.jsonl").read_bytes()
    ends = [place + 1 for place, byte in enumerate(lines) if byte == ord("\n")]
    assert len(ends) == 6  # three jobs are begun and ended, then the one that reads what they made
    for cut, is_kept in [
        (0, False),
        (ends[0] // 2, False),
        (ends[0], True),
        (ends[1], False),
        (ends[1] + 40, True),
        (ends[2] - 1, True),
        (ends[4] + 1, True),
        (len(lines), True),
    ]:
        (work / "jobs.results.jsonl").write_bytes(lines[:cut])
        if cut < ends[4]:  # the last one was not begun
            (work / "0.mp4").unlink()
        told = {out["path"] for line in results_of(work, "done") for out in line["outputs"]}
        if not is_kept:
            for name in media_of(work).keys() - told:
                (work / name).unlink()
        done = tiny("batch", "jobs.jsonl", "-q", "--resume")
        assert (done.status, done.stderr) == (0, ""), cut
        assert media_of(work) == whole, cut
        standing = {line["job"] for line in results_of(work)}
        assert standing == {0, 1, 2, 3}
        assert len(done.paths) == 4


def test_what_does_not_verify_is_made_again(tiny: Run, work: Path) -> None:
    write_jobs(work, JOBS[:3])
    assert tiny("batch", "jobs.jsonl", "-q").status == 0
    whole = media_of(work)

    (work / "0.mp4").unlink()
    done = tiny("batch", "jobs.jsonl", "--resume", "--json")
    assert [out["status"] for out in json.loads(done.stdout)["outputs"]] == [
        *("skipped", "skipped", "done")
    ]
    # An input changed: its job is done again, in place of its old file.
    shutil.copy(work / "1.png", work / "0.png")
    done = tiny("batch", "jobs.jsonl", "--resume")
    done.check_refusal(4, "output '0.png': exists")  # not what the list says: it is the user's now
    (work / "0.png").unlink()
    assert tiny("batch", "jobs.jsonl", "--resume", "-q").status == 0
    assert media_of(work) == whole
    # Another option: another job, which may replace what the list says is its own.
    write_jobs(work, [{"defaults": {"frames": 4}}, *JOBS[1:3]])
    assert tiny("batch", "jobs.jsonl", "--resume", "-q").status == 0
    after = media_of(work)
    assert {name for name in whole if whole[name] != after[name]} == {"0.mp4"}
    # A file of the user is never replaced, though the list is there.
    (work / "0.mp4").write_bytes(b"mine")
    write_jobs(work, [{"defaults": {"frames": 5}}, *JOBS[1:3]])
    tiny("batch", "jobs.jsonl", "--resume").check_refusal(4, "output '0.mp4': exists")
    assert (work / "0.mp4").read_bytes() == b"mine"


def test_kill_9(command: str, model_folder: Path, work: Path, tiny: Run) -> None:
    write_jobs(work, LONG)
    process = start(command, work, model_folder)
    wait_for(process, lambda: len(results_of(work)) >= 2)
    process.kill()
    process.communicate()
    assert len(results_of(work)) < 12
    done = tiny("batch", "jobs.jsonl", "--resume", "--json")
    assert done.status == 0, done
    result = json.loads(done.stdout)
    assert result["skipped"] >= 2
    assert result["skipped"] + result["done"] == 12
    made = media_of(work)
    assert sorted(made) == [f"{job:04d}.mp4" for job in range(12)]  # no temporary file either

    fresh = work / "fresh"
    fresh.mkdir()
    write_jobs(fresh, LONG)
    os.chdir(fresh)
    assert tiny("batch", "jobs.jsonl", "-q").status == 0
    assert media_of(fresh) == made


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
)
def test_signals(
    command: str, model_folder: Path, work: Path, tiny: Run, number: signal.Signals, status: int
) -> None:
    """The status of the signal, no traceback, a list that is whole."""
    write_jobs(work, LONG)
    process = start(command, work, model_folder)
    wait_for(process, lambda: bool(results_of(work)))
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (status, b"")
    assert (work / "jobs.results.jsonl").read_bytes().endswith(b"\n")
    done = [out["path"] for line in results_of(work, "done") for out in line["outputs"]]
    assert set(done) <= set(media_of(work))
    assert not list(work.glob(".*"))
    assert tiny("batch", "jobs.jsonl", "--resume", "--dry-run", "-q").status == 0


def test_lines(tmp_path: Path) -> None:
    """Append, read back, cut what is torn, refuse what is foreign, one writer at a time."""
    path = tmp_path / "list.jsonl"
    with open_lines(path, SCHEMA):
        pass
    assert not path.exists()
    with open_lines(path, SCHEMA) as lines:
        lines.append([{"n": 1}, {"n": "高\udcff"}])
        another = open_lines(path, SCHEMA, resume=True)
        with pytest.raises(EnvironmentFault, match="another batch is writing"), another:
            pass
    with pytest.raises(OutputError, match="exists"), open_lines(path, SCHEMA):
        pass
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with open_lines(path, SCHEMA, resume=True) as lines:
            assert [line["n"] for line in lines.earlier] == [1, "高\udcff"][
                : whole[:cut].count(b"\n")
            ]
            assert path.read_bytes() == whole[:cut]  # untouched until something is appended
            lines.append([{"n": 3}])
        assert path.read_bytes() == whole[: whole.rfind(b"\n", 0, cut) + 1] + (
            b'{"schema": "nuwa.batch/1", "n": 3}\n'
        )
    for foreign in (b"x", b'{"schema": "nuwa.batch/2"}\n', whole + b"\xff\xd8", b"[]\n", b"\n"):
        path.write_bytes(foreign)
        with pytest.raises(InputError, match="is none of"), open_lines(path, SCHEMA, resume=True):
            pass
        assert path.read_bytes() == foreign
    path.unlink()
    path.symlink_to("elsewhere")
    with pytest.raises(OutputError), open_lines(path, SCHEMA, force=True):
        pass
