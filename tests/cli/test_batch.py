"""`nuwa batch` on the tiny model: the files of single calls, chains, checks before the start, failures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_tools import media_of, results_of, write_jobs

Run = Callable[..., Any]

CHAIN = [
    {"defaults": {"seed": 3, "top-k": 9}},
    {"command": "t2i", "prompt": "a dog", "output": "dog.png"},
    {"command": "edit", "image": "dog.png", "prompt": "golf", "box": "0,0,50%,50%",
     "output": "edit-{guidance}.png", "guidance": [1, 2]},
    {"command": "predict", "media": "dog.png", "frames": 3, "output": "run.mp4"},
    {"command": "vedit", "video": "run.mp4", "prompt": "golf", "frames": 3, "output": "f/%04d.png"},
    {"command": "predict", "media": "f", "prompt": "a dog", "frames": 5, "output": "more.gif"},
    {"command": "extend", "media": "dog.png", "right": 8, "output": "wide.webp"},
    {"command": "t2i", "prompt": ["a dog runs", "a {red|blue} dog"], "num": 2,
     "output": "n/{job}-{seed}-{slug}.jpg"},
]  # fmt: skip

SINGLE = [
    ("t2i", "a dog", "-o", "dog.png"),
    ("edit", "dog.png", "golf", "--box", "0,0,50%,50%", "-o", "edit-1.png", "--guidance", "1"),
    ("edit", "dog.png", "golf", "--box", "0,0,50%,50%", "-o", "edit-2.png", "--guidance", "2"),
    ("predict", "dog.png", "--frames", "3", "-o", "run.mp4"),
    ("vedit", "run.mp4", "golf", "--frames", "3", "-o", "f/%04d.png"),
    ("predict", "f", "a dog", "--frames", "5", "-o", "more.gif"),
    ("extend", "dog.png", "--right", "8", "-o", "wide.webp"),
    ("t2i", "a dog runs", "-n", "2", "-o", "n/0007-{seed}-{slug}.jpg"),
    ("t2i", "a red dog", "a blue dog", "-n", "2", "-o", "n/0007-{seed}-{slug}.jpg"),
]


def t2i(number: int, **more: Any) -> dict[str, Any]:
    return {"command": "t2i", "prompt": "a dog", "output": f"{number}.png", "seed": number, **more}


def test_a_chain_is_what_single_calls_make(
    tiny: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any mix, each job reading what earlier ones made, in a folder of all; byte for byte."""
    write_jobs(work, CHAIN)
    done = tiny("batch", "jobs.jsonl", "-o", "out", "-q")
    assert (done.status, done.stderr) == (
        4,
        "nuwa: jobs 'jobs.jsonl' line 8: output "
        "'out/n/0007-3-a-dog-runs.jpg': its folder does not exist; create it with: mkdir -p 'out/n'\n",
    )
    assert sorted(path.name for path in work.iterdir()) == ["jobs.jsonl"]
    (work / "out" / "n").mkdir(parents=True)
    done = tiny("batch", "jobs.jsonl", "-o", "out", "-q")
    assert (done.status, done.stderr) == (0, "")
    made = media_of(work / "out")

    single = work / "single"
    (single / "n").mkdir(parents=True)
    monkeypatch.chdir(single)
    for words in SINGLE:
        assert tiny(*words, "--seed", "3", "--top-k", "9").status == 0
    assert made == media_of(single)

    lines = results_of(work)
    assert sorted(line["job"] for line in lines) == list(range(8))
    assert sorted(done.paths) == sorted(out["path"] for line in lines for out in line["outputs"])
    for line in lines:
        assert (line["status"], line["exit"], line["error"]) == ("done", 0, None)
        for output in line["outputs"]:
            if "%" not in output["path"]:
                content = (work / output["path"]).read_bytes()
                assert hashlib.sha256(content).hexdigest() == output["sha256"]
    vedit = next(line for line in lines if line["line"] == 5)
    assert [source["path"] for source in vedit["inputs"]] == ["out/run.mp4"]


def test_json_and_progress(tiny: Run, work: Path) -> None:
    write_jobs(work, [t2i(0), t2i(1)])
    done = tiny("batch", "jobs.jsonl", "--json", "--manifest", "list.jsonl")
    result = json.loads(done.stdout)
    assert (result["schema"], result["command"]) == ("nuwa.result/1", "batch")
    assert (result["jobs"], result["done"], result["failed"], result["skipped"]) == (2, 2, 0, 0)
    assert [(out["path"], out["job"], out["status"]) for out in result["outputs"]] == [
        ("0.png", 0, "done"),
        ("1.png", 1, "done"),
    ]
    assert (result["manifest"], result["failures"]) == ("list.jsonl", [])
    assert len(results_of(work, name="list.jsonl")) == 2


@pytest.mark.parametrize(
    ("job", "status", "why"),
    [
        (t2i(0, prompt="?!"), 2, "says nothing"),
        (t2i(0, seed="x"), 2, "seed 'x'"),
        (t2i(0, output="0.mp4"), 2, "is no picture format"),
        (t2i(0, output="there.png"), 4, "exists; give --force"),
        (t2i(0, output="1.png"), 2, "output '1.png' is that of line 1 too; put {job}"),
        (t2i(0, output="./x/../1.png"), 2, "output 'x/../1.png' is that of line 1 too"),
        (t2i(0, output="{job}-{nope}.png"), 2, "there is no field {nope}"),
        ({"command": "predict", "media": "no.png", "output": "a.mp4"}, 3, "'no.png'"),
        ({"command": "edit", "image": "1.png", "prompt": "x", "output": "a.png"}, 2, "region"),
        (
            {"command": "edit", "image": "1.png", "prompt": "x", "box": "a", "output": "a.png"},
            2,
            "box 'a'",
        ),
        ({"command": "extend", "media": "there.png", "output": "a.png"}, 3, "'there.png'"),
    ],
)
def test_all_is_checked_before_anything_is_drawn(
    tiny: Run, work: Path, job: dict[str, Any], status: int, why: str
) -> None:
    """The last of three is wrong: its own status and message, its line, and no file."""
    (work / "there.png").write_bytes(b"mine")
    write_jobs(work, [t2i(1), t2i(2), job])
    done = tiny("batch", "jobs.jsonl")
    done.check_refusal(status, why)
    assert "line 3: " in done.stderr
    assert sorted(path.name for path in work.iterdir()) == ["jobs.jsonl", "there.png"]


def test_a_dry_run_names_all_files(tiny: Run, work: Path) -> None:
    write_jobs(work, CHAIN[:-1])
    done = tiny("batch", "jobs.jsonl", "-o", "out", "--dry-run")
    assert (done.status, done.stderr) == (0, "")
    assert done.paths == [
        f"out/{name}"
        for name in ("dog.png", "edit-1.png", "edit-2.png", "run.mp4", "f/%04d.png", "more.gif")
    ] + ["out/wide.webp"]
    assert [path.name for path in work.iterdir()] == ["jobs.jsonl"]


def test_keep_going(tiny: Run, work: Path) -> None:
    """What fails, and what needs it, does not stop the rest; then --resume does what is left."""
    (work / "bad.png").write_bytes(b"no picture")
    jobs = [
        t2i(0),
        {"command": "predict", "media": "bad.png", "output": "bad.mp4", "frames": 3},
        {"command": "predict", "media": "bad.mp4", "output": "worse.mp4", "frames": 4},
        t2i(3, prompt="golf"),
    ]
    write_jobs(work, jobs)
    tiny("batch", "jobs.jsonl").check_refusal(3, "line 2: ")
    done = tiny("batch", "jobs.jsonl", "-k")
    assert (done.status, done.paths) == (6, ["0.png", "3.png"])
    notes = done.stderr.splitlines()
    assert notes[-1] == "nuwa: batch: 2 of 4 jobs failed; see 'jobs.results.jsonl'"
    assert notes[0].startswith("nuwa: jobs 'jobs.jsonl' line 2: ")
    assert "'bad.png'" in notes[0]
    assert notes[1].startswith("nuwa: jobs 'jobs.jsonl' line 3: line 2 failed, whose file it reads")
    lines = {line["job"]: line for line in results_of(work)}
    assert [lines[job]["status"] for job in range(4)] == ["done", "failed", "failed", "done"]
    assert [lines[job]["exit"] for job in range(4)] == [0, 3, 3, 0]

    (work / "bad.png").write_bytes((work / "0.png").read_bytes())
    done = tiny("batch", "jobs.jsonl", "-k", "--resume", "--json")
    assert done.status == 0
    result = json.loads(done.stdout)
    assert (result["done"], result["skipped"], result["failed"]) == (2, 2, 0)
    assert {out["path"]: out["status"] for out in result["outputs"]} == {
        "0.png": "skipped",
        "3.png": "skipped",
        "bad.mp4": "done",
        "worse.mp4": "done",
    }


def test_the_first_failure_stops(tiny: Run, work: Path) -> None:
    """A job whose input an earlier one makes can only fail at its turn: with its own status."""
    jobs = [
        t2i(0),
        {"command": "predict", "media": "0.png", "output": "a.mp4", "frames": 1},
        {"command": "predict", "media": "0.png", "output": "b.mp4", "frames": 3},
    ]
    write_jobs(work, jobs)
    done = tiny("batch", "jobs.jsonl", "-q")
    assert (done.status, done.paths) == (2, ["0.png"])
    assert done.stderr.startswith("nuwa: jobs 'jobs.jsonl' line 2: ")
    statuses = [line["status"] for line in results_of(work)]
    assert statuses == ["done", "failed"]
    assert not (work / "b.mp4").exists()


def test_force_and_results_in_the_way(tiny: Run, work: Path) -> None:
    write_jobs(work, [t2i(0)])
    assert tiny("batch", "jobs.jsonl").status == 0
    first = media_of(work)
    tiny("batch", "jobs.jsonl").check_refusal(4, "results 'jobs.results.jsonl': exists; give")
    words = ("batch", "jobs.jsonl", "--manifest", "other.jsonl")
    tiny(*words).check_refusal(4, "line 1: output '0.png': exists")
    assert media_of(work) == first
    assert tiny("batch", "jobs.jsonl", "--force").status == 0
    assert (work / "0.png").read_bytes() == first["0.png"]
    (work / "other.jsonl").write_text('{"mine": 1}\n')
    tiny(*words, "--resume").check_refusal(3, "line 1: is none of nuwa.batch/1")
    assert (work / "other.jsonl").read_text() == '{"mine": 1}\n'
    tiny("batch", "jobs.jsonl", "--resume", "--force").check_refusal(2, "leave one of them out")
    tiny("batch", "jobs.jsonl", "--workers", "0").check_refusal(2, "workers '0'")


def test_many_prompts_in_one_call(tiny: Run, work: Path) -> None:
    """Fields, folders and variants without a job file."""
    words = ("t2i", "a {red|blue} dog", "golf")
    done = tiny(*words, "-n", "2", "-o", "{seed}-{slug}.png", "-q")
    assert done.paths == [f"{seed}-{name}.png" for name in ("a-red-dog", "a-blue-dog", "golf")
                          for seed in (0, 1)]  # fmt: skip
    done = tiny(*words, "-o", "new/", "-q")
    assert done.paths == ["new/0000-a-red-dog.png", "new/0001-a-blue-dog.png", "new/0002-golf.png"]
    assert (work / "new/0002-golf.png").read_bytes() == (work / "0-golf.png").read_bytes()
    tiny(*words, "-o", "{slug}.png", "-n", "2").check_refusal(2, "several results would be")
    tiny("t2i", "x", "-o", "{sed}.png").check_refusal(2, "there is no field {sed}")


def test_reading_before_replacing(tiny: Run, work: Path) -> None:
    """With force a later job may replace what an earlier one reads; the earlier one is first."""
    write_jobs(work, [t2i(0), t2i(1)])
    assert tiny("batch", "jobs.jsonl").status == 0
    old, new = (work / "0.png").read_bytes(), (work / "1.png").read_bytes()
    jobs = [
        {"command": "predict", "media": "0.png", "frames": 3, "output": "a.gif"},
        t2i(1, output="0.png", force=True),
        {"command": "predict", "media": "0.png", "frames": 3, "output": "b.gif"},
    ]
    write_jobs(work, jobs, "more.jsonl")
    assert tiny("batch", "more.jsonl").status == 0
    assert (work / "0.png").read_bytes() == new
    lines = {line["job"]: line for line in results_of(work, name="more.results.jsonl")}
    read = [lines[job]["inputs"][0]["sha256"] for job in (0, 2)]
    assert read == [hashlib.sha256(content).hexdigest() for content in (old, new)]
