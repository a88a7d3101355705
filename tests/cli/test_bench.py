"""`nuwa bench`: what it measures, not how fast anything is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_every_contest_is_told(tiny: Run, work: Path) -> None:
    done = tiny("bench", "--repeat", "1", "--json", "--dtype", "float32")
    assert (done.status, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert (document["schema"], document["device"]) == ("nuwa.bench/1", "cpu")
    assert document["dtype"] == "float32"
    start, *runs = document["runs"]
    assert start["what"] == "libraries and model"
    assert [run["what"].split()[0] for run in runs] == ["picture", "clip", "decoder,", "decoder,"]
    assert all(run["seconds"] > 0 and run["tokens_per_second"] > 0 for run in runs)
    raster = runs[-1]
    assert raster["steps"] == raster["tokens"]  # one after another
    assert all(run["steps"] < run["tokens"] for run in runs[:-1])
    assert document["wavefront_over_raster"] > 0
    assert not list(work.iterdir())


def test_a_table_for_people(tiny: Run) -> None:
    said = tiny("bench", "--repeat", "1").stdout.splitlines()
    assert said[0] == "tiny on cpu, bfloat16" or said[0] == "tiny on cpu, float32"
    assert [len(line) for line in said[1:3]] == [68, 43]
    assert said[-1].startswith("wavefront decoding: ")
    tiny("bench", "--repeat", "0").check_refusal(2, "repeat")
