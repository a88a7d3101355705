"""Writers that are killed, starved and interrupted; the harness is crash/harness.py.

Each test prints its counts (`pytest -rP` shows them), so that "0 torn" cannot mean "0 tried".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fault_tools import times

CRASH = Path(__file__).parent / "crash"
KINDS = (
    *("png", "jpg", "webp", "gif", "mp4", "safetensors", "json", "depfile", "recipe document"),
    "checkpoint",
)
SEED = os.environ.get("NUWA_SEED", "1")


def run(mode: str, kind: str, count: int) -> dict[str, Any]:
    """The counts of one campaign."""
    words = [sys.executable, str(CRASH / "harness.py"), mode, kind, str(count), SEED]
    done = subprocess.run(words, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, (words, done.stderr[-2000:])
    print(done.stdout.strip())  # noqa: T201
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.row("E9")
@pytest.mark.parametrize("kind", KINDS)
def test_killed_at_random_moments(kind: str) -> None:
    """Nothing torn under a final name, no old output lost; the next run removes what was left."""
    count = times(1000, 10_000)
    found = run("kill", kind, count)
    assert found["cases"] == count
    assert found["torn"] == 0, found
    assert found["orphans"] > 0, "the kills must hit the middle of writes"
    assert found["after"] == 0, found


@pytest.mark.row("E4")
@pytest.mark.parametrize("kind", KINDS)
def test_disk_full_at_any_byte(kind: str) -> None:
    """Status 4, the old output as it was, nothing left."""
    count = times(40, 200)
    found = run("full", kind, count)
    assert found["cases"] == count
    assert (found["wrong status"], found["torn"], found["left"]) == (0, 0, 0), found


@pytest.mark.row("E9")
@pytest.mark.parametrize("kind", KINDS)
def test_every_system_call(kind: str) -> None:
    found = run("boundary", kind, 0)
    assert found["cases"] >= 9, found
    assert (found["wrong status"], found["torn"], found["left"]) == (0, 0, 0), found
    assert found["after"] == 0, found


@pytest.mark.row("E9")
@pytest.mark.parametrize("kind", KINDS)
def test_power_loss(kind: str) -> None:
    found = run("lossy", kind, times(3, 1000))
    assert found["cases"] >= 3, found
    assert (found["torn"], found["folder never flushed"]) == (0, 0), found
