"""Writers that are killed, starved and interrupted; the harness is crash/harness.py.

Each test prints its counts (`pytest -rP` shows them), so that "0 torn" cannot mean "0 tried". One process
does all four campaigns of a writer, because loading its libraries takes longer than any of them.
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

HARNESS = Path(__file__).parent / "crash" / "harness.py"
KINDS = (
    *("png", "jpg", "webp", "gif", "mp4", "safetensors", "json", "depfile", "recipe document"),
    "checkpoint",
)
SEED = os.environ.get("NUWA_SEED", "1")
COUNTS = {
    "kill": times(100, 1000, 10_000),
    "full": times(20, 40, 200),
    "boundary": 0,  # all that there are
    "lossy": times(3, 3, 1000),
}


@pytest.mark.row("E4", "E9")
@pytest.mark.parametrize("kind", KINDS)
def test_writers(kind: str) -> None:
    words = [sys.executable, str(HARNESS), kind, SEED]
    words += [f"{mode}={count}" for mode, count in COUNTS.items()]
    done = subprocess.run(words, capture_output=True, text=True, timeout=3000)
    print(done.stdout.strip())  # noqa: T201
    assert done.returncode == 0, (words, done.stderr[-2000:])
    found = {line["mode"]: line for line in map(json.loads, done.stdout.splitlines())}
    assert found.keys() == COUNTS.keys()
    check_killed_at_random_moments(found["kill"])
    check_disk_full_at_any_byte(found["full"])
    check_every_system_call(found["boundary"])
    check_power_loss(found["lossy"])


def check_killed_at_random_moments(found: dict[str, Any]) -> None:
    """Nothing torn under a final name, no old output lost; the next run removes what was left."""
    assert found["cases"] == COUNTS["kill"]
    assert found["torn"] == 0, found
    assert found["orphans"] > 0, "the kills must hit the middle of writes"
    assert found["after"] == 0, found


def check_disk_full_at_any_byte(found: dict[str, Any]) -> None:
    """Status 4, the old output as it was, nothing left."""
    assert found["cases"] == COUNTS["full"]
    assert (found["wrong status"], found["torn"], found["left"]) == (0, 0, 0), found


def check_every_system_call(found: dict[str, Any]) -> None:
    """It fails, is never made, or is the last: the same, and what a dead writer left goes."""
    assert found["cases"] >= 9, found
    assert (found["wrong status"], found["torn"], found["left"]) == (0, 0, 0), found
    assert found["after"] == 0, found


def check_power_loss(found: dict[str, Any]) -> None:
    """What is published was flushed before, and its folder after."""
    assert found["cases"] >= COUNTS["lossy"], found
    assert (found["torn"], found["folder never flushed"]) == (0, 0), found
