"""Damaged files by the ten thousand: read, or refused as InputError; no traceback, no hang, no memory.

Each test prints its counts (`pytest -rP` shows them). A failure names the seed and the case; the file
belongs into corpus/, which is read again in every run. NUWA_SEED in the environment changes the seed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fault_tools import alarm, times

from nuwa_cli.errors import InputError
from nuwa_cli.media.reading import read_clip

WORKER = Path(__file__).parent / "fuzz" / "worker.py"
CORPUS = sorted((Path(__file__).parent / "corpus").glob("*"))
SEED = os.environ.get("NUWA_SEED", "1")

CAMPAIGNS = [
    *(pytest.param(form, times(1_500, 20_000, 1_000_000), marks=pytest.mark.row("B6"))
      for form in ("png", "jpg", "webp", "gif", "bmp")),
    *(pytest.param(form, times(300, 5_000, 200_000), marks=pytest.mark.row("C8"))
      for form in ("mp4", "webm", "mov")),
    pytest.param("safetensors", times(2_000, 20_000, 1_000_000), marks=pytest.mark.row("A1", "A2", "A3")),
]  # fmt: skip


@pytest.mark.parametrize(("form", "count"), CAMPAIGNS)
def test_mutations(tmp_path: Path, form: str, count: int) -> None:
    words = [sys.executable, str(WORKER), form, str(count), SEED, str(tmp_path)]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=600 * times(1, 1, 20),
        env={**os.environ, "MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1"},
    )
    kept = [str(path) for path in tmp_path.glob("*.bin")]
    assert done.returncode == 0, (done.returncode, kept, done.stderr[-3000:])
    facts = json.loads(done.stdout)
    print(facts)  # noqa: T201
    assert "failed" not in facts, (facts, done.stderr[-3000:])
    assert facts.get("read", 0) + facts["refused"] + facts.get("crashed", 0) == count
    assert facts.get("crashed", 0) == len(kept) <= max(3, count // 500), facts
    for path in kept:  # a decoder that crashes for want of memory: a child's end, and a refusal
        with pytest.raises(InputError):
            read_clip(Path(path))
    assert facts["refused"] > count // 10 and facts.get("read", 0) > count // 200, facts
    assert facts["growth_mib"] <= 300, facts
    assert facts["slowest_ms"] <= 2000, facts
    assert done.stderr == "", "a library wrote to the terminal"


@pytest.mark.row("B6", "C8")
@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_files_that_failed_once(path: Path) -> None:
    from nuwa_cli.hub.header import check_header
    from nuwa_cli.media.probe import probe
    from nuwa_cli.media.reading import kind_of, read_picture

    assert path.stat().st_size <= 20 << 10
    with alarm(30), contextlib.suppress(InputError):
        if path.suffix == ".safetensors":
            check_header(path.read_bytes(), path)
        else:
            probe(path)
            read_clip(path) if kind_of(path) == "clip" else read_picture(path)
