"""The installed command, run as a user runs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def paths(self) -> list[str]:
        return self.stdout.splitlines()

    def check_refusal(self, status: int, why: str) -> None:
        """Nothing on stdout, one bounded line without control characters on stderr."""
        assert self.status == status, self
        assert self.stdout == ""
        assert self.stderr.startswith("nuwa: ")
        assert self.stderr.count("\n") == 1
        assert self.stderr.endswith("\n")
        assert why.lower() in self.stderr.lower()
        assert len(self.stderr) <= 250
        assert all(character >= " " for character in self.stderr[:-1])


Run = Callable[..., Finished]


@pytest.fixture
def nuwa(work: Path, command: str) -> Run:
    """Run `nuwa` with words as arguments."""

    def run(*words: str | bytes | Path, timeout: float = 120) -> Finished:
        done = subprocess.run(
            [command, *words],
            cwd=work,
            env=os.environ,
            capture_output=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        return Finished(
            done.returncode,
            done.stdout.decode("utf-8", "surrogateescape"),
            done.stderr.decode("utf-8", "surrogateescape"),
        )

    return run


@pytest.fixture
def inside(
    work: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """The same without a process of its own, for long tables of arguments."""
    from nuwa_cli.cli.app import run

    monkeypatch.chdir(work)

    def call(*words: str | bytes | Path) -> Finished:
        status = run([os.fsdecode(word) for word in words])
        shown = capfdbinary.readouterr()
        return Finished(status, shown.out.decode(), shown.err.decode())

    return call


@pytest.fixture(params=["inside", pytest.param("nuwa", marks=pytest.mark.slow)])
def both(request: pytest.FixtureRequest) -> Run:
    """Run a command inside this process, and (slow, as torch is) as the installed program."""
    run: Run = request.getfixturevalue(request.param)
    return run


@pytest.fixture
def tiny(inside: Run, model_folder: Path) -> Run:
    """Run a command on the tiny model, inside this process."""

    def run(*words: str | bytes | Path) -> Finished:
        return inside(*words, "--model", model_folder)

    return run
