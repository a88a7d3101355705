"""Fault table E, second half: signals, memory, environments."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from clips import write
from fault_tools import Finished, Run, contents, times
from PIL import Image

Refuses = Callable[..., Finished]
SIGNALS = Path(__file__).parent / "crash" / "signals.py"
SEED = os.environ.get("NUWA_SEED", "1")
MIB = 1 << 20


def draw(model: Path, name: str = "out.png") -> tuple[Any, ...]:
    return ("t2i", "a dog", "-o", name, "--model", model)


@pytest.mark.row("E7", "E8")
def test_signals_at_any_moment(tmp_path: Path, model_folder: Path) -> None:
    counts = {
        "SIGINT": times(12, 60, 2000),
        "SIGTERM": times(8, 40, 2000),
        "SIGHUP": times(8, 20, 2000),
    }
    words = [sys.executable, SIGNALS, SEED, model_folder, tmp_path]
    words += [f"{name}={count}" for name, count in counts.items()]
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=6000)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()[-len(counts) :]  # the runs before them name their files
    for (name, count), found in zip(counts.items(), map(json.loads, lines), strict=True):
        print(found)  # noqa: T201
        assert (found.pop("signal"), found.pop("cases")) == (name, count)
        assert found.pop("stopped") > count // 4 - 1, found
        assert not any(found.values()), found


def interrupt(
    command: str, work: Path, model: Path, number: int, after: float
) -> tuple[int, str, float]:
    """Start the installed command, signal it after some seconds; how it ended, what it said, and how
    long it took to end."""
    with subprocess.Popen(
        [command, *map(str, draw(model)), "-q"],
        cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        time.sleep(after)
        process.send_signal(number)
        sent = time.monotonic()
        _, said = process.communicate(timeout=60)
    return process.returncode, said.decode(), time.monotonic() - sent


@pytest.mark.row("E7", "E8")
def test_signals_while_libraries_are_loaded(command: str, work: Path, model_folder: Path) -> None:
    """From a moment after the start of the interpreter on, which answers signals in its own way."""
    started = time.monotonic()
    assert subprocess.run([command, *map(str, draw(model_folder))], cwd=work).returncode == 0
    usual = time.monotonic() - started
    (work / "out.png").unlink()
    luck = random.Random(SEED)
    numbers = [signal.SIGINT] * times(1, 5, 200)
    numbers += [signal.SIGTERM] * times(1, 2, 200) + [signal.SIGHUP] * times(1, 1, 200)
    for number in numbers:
        after = luck.uniform(0.25 * usual, 0.8 * usual)
        status, said, _ = interrupt(command, work, model_folder, number, after)
        assert status in (128 + number, -number, 0), (number, after, status, said)
        assert said == "", said
        assert {path.name for path in work.iterdir()} <= {"out.png"}
        (work / "out.png").unlink(missing_ok=True)


@pytest.mark.row("E7")
def test_the_second_signal_ends_at_once(tmp_path: Path) -> None:
    """While a clean-up hangs; temporary files go all the same."""
    code = (
        "import os, sys, time\nfrom pathlib import Path\n"
        "from nuwa_cli.cli.main_errors import termination_signals\n"
        "from nuwa_cli.media.atomic import atomic_write\n"
        "with termination_signals(), atomic_write(Path(sys.argv[1])) as pending:\n"
        "    pending.file.write(b'half')\n"
        "    try:\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "    finally:\n        print('cleaning', flush=True)\n        time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "out"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"cleaning\n"
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130
    assert not list(tmp_path.glob("*out*"))


@pytest.mark.row("E10")
def test_too_little_address_space(nuwa: Run, work: Path, model_folder: Path) -> None:
    """Never an internal error, never an abort of a library: 5 and one line, or the picture."""
    count = times(3, 6, 40)
    levels = [64 + (1100 - 64) * index // (count - 1) for index in range(count)]
    statuses = []
    for level in levels:
        done = nuwa(*draw(model_folder), "-q", limits={resource.RLIMIT_AS: level * MIB})
        assert done.status in (0, 5), (level, done)
        if done.status == 5:
            done.check_refusal(5, "memory")
        statuses.append(done.status)
        assert {path.name for path in work.iterdir()} <= {"out.png"}
        (work / "out.png").unlink(missing_ok=True)
    assert statuses[0] == 5 and statuses[-1] == 0, statuses


@pytest.mark.row("E10")
def test_memory_that_runs_out_in_the_middle(
    inside: Run, work: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nuwa_cli.model.nuwa import Nuwa

    hidden = ImportError("libx.so: failed to map segment from shared object")
    for error in (
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        ),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("can't start new thread"),
        hidden,
    ):

        def fail(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(Nuwa, "decode_step", fail)
        inside(*draw(model_folder), "-q").check_refusal(5, "memory")
        assert not list(work.iterdir())


@pytest.mark.row("E10")
def test_the_decoder_runs_out_of_memory(nuwa: Run, work: Path) -> None:
    """A clip is read by a child; its want of memory is the machine's fault, not the file's."""
    write(work / "a.mp4")
    for level in (90, 160, 280, 400)[:: times(2, 1, 1)]:
        done = nuwa("info", "a.mp4", limits={resource.RLIMIT_AS: level * MIB})
        assert done.status in (0, 5), (level, done)


@pytest.mark.row("E11")
def test_too_little_memory_of_a_gpu(inside: Run, work: Path, model_folder: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        done = inside(*draw(model_folder), "--device", "cuda", "-q")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    done.check_refusal(5, "memory")
    assert not list(work.iterdir())


@pytest.mark.row("E13")
def test_poor_environments(nuwa: Run, work: Path, tmp_path: Path, model_folder: Path) -> None:
    gone = {"HOME": None, "LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "TERM": None}
    gone |= dict.fromkeys(("XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"))
    environments: dict[str, dict[str, Any]] = {
        "no home, no locale, no temporary folder": {
            "env": {**gone, "TMPDIR": str(tmp_path / "none")}
        },
        "no home to write to, 64 open files, no input": {
            "env": {"HOME": "/proc/none", "XDG_STATE_HOME": "/proc/none", "HF_HOME": "/proc/none"},
            "limits": {resource.RLIMIT_NOFILE: 64},
            "before": lambda: os.close(0),
        },
    }
    for what, options in environments.items():
        done = nuwa(*draw(model_folder), "-q", **options)
        assert done.status == 0, (what, done)
        assert done.lines == ["out.png"]
        with Image.open(work / "out.png") as picture:
            picture.load()
        (work / "out.png").unlink()


@pytest.mark.row("E13")
def test_clips_in_poor_environments(nuwa: Run, work: Path) -> None:
    write(work / "a.mp4")
    before = contents(work)
    for options in (
        {"limits": {resource.RLIMIT_NOFILE: 64}},
        {"env": {"HOME": None, "LANG": "C", "TMPDIR": "/proc/none"}},
        {"before": lambda: [os.close(number) for number in (0,)] and None},
    ):
        done = nuwa("info", "a.mp4", **options)
        assert done.status == 0, done
    assert contents(work) == before


@pytest.mark.row("E13")
def test_the_working_folder_is_gone(command: str, work: Path, model_folder: Path) -> None:
    script = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"'
    for words, status in (
        (draw(model_folder), 5),
        (draw(model_folder, str(work / "out.png")), 5),
        (("--version",), 0),
    ):
        shutil.rmtree(work / "gone", ignore_errors=True)
        done = subprocess.run(
            ["sh", "-c", script, command, *map(str, words)], cwd=work, capture_output=True
        )
        assert done.returncode == status, (words, done)
        assert done.stderr.count(b"\n") == (status > 0)
    assert not list(work.iterdir())


@pytest.mark.row("E13")
def test_a_clock_that_jumps(
    inside: Run, work: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = iter([1e9, 2e9, 0.0, -5.0, 1e12] * 1000)
    monkeypatch.setattr("time.time", lambda: next(moments))
    assert inside(*draw(model_folder), "-q").status == 0
    assert [path.name for path in work.iterdir()] == ["out.png"]
