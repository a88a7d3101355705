"""Jobs on other hosts: what travels, and a real Ray cluster of two actors on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from batch_tools import media_of, results_of, start, wait_for, write_jobs

from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.parcels import Delivery, Packer, Parcel, do_parcel
from nuwa_cli.cli.batch.running import Errand
from nuwa_cli.errors import InputError

Run = Callable[..., Any]

JOBS = [
    {"command": "t2i", "prompt": "a dog", "output": "{seed}.png", "seed": [0, 1, 2, 3]},
    {"command": "predict", "media": "2.png", "output": "sub/a.mp4", "frames": 4, "seed": [5, 6]},
    {"command": "vedit", "video": "sub/a-0001.mp4", "prompt": "golf", "output": "f/%02d.png",
     "frames": 3},
    {"command": "predict", "media": "f", "output": "b.gif", "frames": 5},
    {"command": "t2v", "prompt": "golf", "output": "{job}.webm", "frames": 30,
     "seed": [1, 2, 3, 4, 5, 6]},
]  # fmt: skip


def test_names_there(tmp_path: Path) -> None:
    packer = Packer()
    names = ["a.png", "sub/a.png", "../b.png", str(tmp_path / "c.png"), str(tmp_path / "d.png")]
    there = [packer.there(name) for name in names]
    assert there[:2] == names[:2]
    assert all(not name.startswith(("/", "..")) for name in there)
    assert len(set(there)) == 5
    assert [packer.here(name) for name in there] == names
    for name in ("../x.png", "/x.png", "nuwa-elsewhere/9/x.png", "a/../../x", ""):
        with pytest.raises(InputError):
            packer.here(name)


def test_a_parcel_and_back(tiny: Run, work: Path, model_folder: Path, tmp_path: Path) -> None:
    """The same files as here, from an empty folder: inputs elsewhere, settings and all."""
    (work / "nuwa.toml").write_text("[predict]\nframes = 3\n")
    assert tiny("t2i", "a dog", "-o", "dog.png").status == 0
    far = tmp_path / "far"
    (far / "f").mkdir(parents=True)
    (work / "dog.png").rename(far / "dog.png")
    (work / "words.txt").write_text("a dog runs\n")
    model = f"--model={model_folder}"
    paths = ("out.mp4", str(far / "f/%02d.png"))
    jobs = [
        ("predict", "--output=out.mp4", model, "--", str(far / "dog.png"), "@words.txt"),
        ("predict", f"--output={paths[1]}", model, "--seed=4", "--", str(far / "dog.png")),
    ]
    inputs = (str(far / "dog.png"), "words.txt")
    errands = [Errand(job, jobs[job], inputs, (paths[job],)) for job in (0, 1)]
    packer = Packer()
    parcel = packer.pack(errands)
    assert set(parcel.files) == {"words.txt", packer.there(inputs[0])}
    delivery = do_parcel(parcel)
    assert Path.cwd() == work
    told = packer.unpack(parcel, delivery)
    assert [(number, outcome.exit) for number, outcome in told] == [(0, 0), (1, 0)]
    assert [outcome.outputs[0]["path"] for _, outcome in told] == list(paths)
    assert told[0][1].outputs[0]["frames"] == 3
    made = {**media_of(work), **media_of(far)}
    assert tiny("predict", str(far / "dog.png"), "@words.txt", "-o", "out.mp4", "-f").status == 0
    assert tiny("predict", str(far / "dog.png"), "--seed", "4", "-o", paths[1], "-f").status == 0
    assert {**media_of(work), **media_of(far)} == made
    # What is there already is not replaced: the job has failed.
    again = packer.unpack(parcel, delivery)
    assert [(outcome.exit, "exists" in str(outcome.error)) for _, outcome in again] == [
        (4, True)
    ] * 2


def test_a_host_writes_only_what_it_was_asked_for(work: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(work)
    errand = Errand(0, ("t2i", "--output=a.png", "--", "x"), (), ("a.png",))
    packer = Packer()
    parcel = packer.pack([errand])
    files = {"a.png": b"1", "b.png": b"2", ".bashrc": b"3", "../c.png": b"4"}
    packer.unpack(parcel, Delivery(((0, Outcome()),), files))
    assert media_of(work.parent) == {"work/a.png": b"1"}
    evil = Outcome(outputs=[{"path": "../c.png"}])
    with pytest.raises(InputError, match="outside of its folder"):
        packer.unpack(parcel, Delivery(((0, evil),), files))
    assert isinstance(parcel, Parcel)


def test_without_ray(inside: Run, work: Path, model_folder: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    write_jobs(work, JOBS[:1])
    done = inside("batch", "jobs.jsonl", "--ray", "local", "--model", model_folder)
    done.check_refusal(5, "pip install 'nuwa-cli[cluster]'")
    assert not media_of(work)


def test_a_cluster_that_is_not_there(inside: Run, work: Path, model_folder: Path) -> None:
    pytest.importorskip("ray", reason="the extra nuwa-cli[cluster] is not installed")
    write_jobs(work, JOBS[:1])
    words = ("batch", "jobs.jsonl", "--model", model_folder, "--ray")
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999"):
        inside(*words, address).check_refusal(5, f"ray '{address}': ")
    assert not media_of(work)


@pytest.mark.slow
def test_two_actors_one_of_which_dies(
    command: str, model_folder: Path, work: Path, tiny: Run
) -> None:
    """The files of one process, byte for byte; a killed actor loses nothing."""
    pytest.importorskip("ray", reason="the extra nuwa-cli[cluster] is not installed")
    (work / "sub").mkdir()
    write_jobs(work, JOBS)
    process = start(command, work, model_folder, "--ray", "local", "--workers", "2")
    wait_for(process, lambda: bool(results_of(work)))
    actors = hosts_of(process)
    assert len(actors) == 2
    os.kill(actors[0], signal.SIGKILL)
    stdout, stderr = process.communicate(timeout=600)
    assert (process.returncode, stderr) == (0, b"")
    assert len(stdout.splitlines()) == 14
    assert {line["job"] for line in results_of(work, "done")} == set(range(14))

    alone = work / "alone"
    (alone / "sub").mkdir(parents=True)
    write_jobs(alone, JOBS)
    made = media_of(work)
    os.chdir(alone)
    assert json.loads(tiny("batch", "jobs.jsonl", "--json").stdout)["done"] == 14
    assert media_of(alone) == made


def hosts_of(process: subprocess.Popen[bytes]) -> list[int]:
    """The processes of our actors, anywhere below a process."""
    found, below = [], [process.pid]
    while below:
        parent = below.pop()
        for path in Path(f"/proc/{parent}/task").glob("*/children"):
            below += [int(word) for word in path.read_text().split()]
        name = Path(f"/proc/{parent}/cmdline").read_bytes()
        if name.startswith(b"ray::Host"):
            found.append(parent)
    return found
