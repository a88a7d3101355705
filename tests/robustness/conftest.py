"""Running the installed command as a stranger would, and measuring what it costs to be refused."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fault_tools import TIER, Finished, Run, alarm, contents, wait


@pytest.fixture
def nuwa(work: Path, command: str) -> Run:
    """Run the installed command; `env` adds to the environment (None removes), `limits` are those of
    the system, `close` are streams to be closed."""

    def run(
        *words: str | bytes | Path,
        env: dict[str, str | None] | None = None,
        limits: dict[int, int] | None = None,
        stdin: bytes = b"",
        cwd: Path | None = None,
        timeout: float = 120,
        before: Callable[[], None] | None = None,
    ) -> Finished:
        merged = {**os.environ, **(env or {})}

        def prepare() -> None:
            for kind, value in (limits or {}).items():
                resource.setrlimit(kind, (value, value))
            if before is not None:
                before()

        with tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            process = subprocess.Popen(
                [command, *words],
                cwd=cwd or work,
                env={key: value for key, value in merged.items() if value is not None},
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                preexec_fn=prepare if limits or before else None,  # threads may call this
            )
        with ThreadPoolExecutor(2) as readers, process.stdout, process.stderr:
            reading = [readers.submit(stream.read) for stream in (process.stdout, process.stderr)]
            seconds, rss = wait(process, timeout)
            texts = [future.result().decode("utf-8", "surrogateescape") for future in reading]
        return Finished(process.returncode, *texts, seconds, rss)

    return run


@pytest.fixture
def refuses(nuwa: Run, work: Path) -> Callable[..., Finished]:
    """Run the installed command and check the whole contract of a refusal: status, one line, nothing
    changed, nothing left, little time and memory."""

    def run(status: int, why: str, *words: str | bytes | Path, **options: object) -> Finished:
        before = contents(work)
        done = nuwa(*words, **options)
        done.check_refusal(status, why)
        done.check_cheap()
        assert contents(work) == before
        return done

    return run


@pytest.fixture
def inside(
    work: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """The same without a process of its own, for long tables of arguments."""
    from nuwa_cli.cli.app import run

    monkeypatch.chdir(work)

    def call(*words: str | bytes | Path) -> Finished:
        started = time.process_time()
        status = run([os.fsdecode(word) for word in words])
        shown = capfdbinary.readouterr()
        return Finished(
            status,
            shown.out.decode("utf-8", "surrogateescape"),
            shown.err.decode("utf-8", "surrogateescape"),
            time.process_time() - started,
        )

    return call


@pytest.fixture
def model(model_folder: Path, work: Path) -> Path:
    """A copy of the tiny model that may be damaged, outside of the working folder."""
    return Path(shutil.copytree(model_folder, work.parent / "model"))


@pytest.fixture
def refuses_too(
    refuses: Callable[..., Finished], inside: Run, work: Path
) -> Callable[..., Finished]:
    """`refuses` for the rest of a table whose first lines went through the installed command: in a
    quick run without a process for each."""

    def run(status: int, why: str, *words: str | bytes | Path) -> Finished:
        before = contents(work)
        with alarm(30):
            done = inside(*words)
        done.check_refusal(status, why)
        assert contents(work) == before
        return done

    return run if TIER == "quick" else refuses
