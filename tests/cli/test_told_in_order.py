"""All outputs of a run are told in the order of its jobs, whichever of them `--update` left alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.media.image import write_image

Run = Callable[..., Any]


def test_what_is_up_to_date_is_told_in_its_place(tiny: Run, work: Path) -> None:
    words = ("t2i", "a dog", "-n", "4", "-o", "a.png", "--update", "-q")
    paths = [f"a-000{index}.png" for index in range(4)]
    assert tiny(*words).paths == paths
    for index in (0, 2):
        (work / paths[index]).unlink()
    done = tiny(*words, "--json")
    outputs = json.loads(done.stdout)["outputs"]
    assert [output["path"] for output in outputs] == paths
    assert [output.get("up_to_date", False) for output in outputs] == [False, True, False, True]


def test_pictures_and_clips_that_grow_do_the_same(tiny: Run, work: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    write_image(work / "a.png", pixels)
    words = ("extend", "a.png", "--right", "8", "-n", "3", "-o", "b.png", "--update", "-q")
    paths = [f"b-000{index}.png" for index in range(3)]
    assert tiny(*words).paths == paths
    (work / paths[1]).unlink()
    assert tiny(*words).paths == paths


def test_a_clip_that_leaves_at_once_waits_for_those_before_it(tiny: Run) -> None:
    """A long clip is written while it is drawn, a short one when its turn comes."""
    done = tiny("t2v", "a dog", "--sweep", "frames=1,66", "-o", "a.mp4", "-q")
    assert (done.status, done.paths) == (0, ["a-0000.mp4", "a-0001.mp4"])
