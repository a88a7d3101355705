"""`nuwa storybook` with sprites made up on the spot."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]


@pytest.fixture
def red_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every subject is a red square."""
    import torch

    from nuwa_cli.storybook.sprites import Sprite, SpritePack

    pixels = torch.tensor([200, 20, 20, 255], dtype=torch.uint8).view(1, 4, 1, 1)
    square = Sprite(pixels.expand(1, 4, 16, 16).contiguous(), (0.0, 0.0, 1.0, 1.0), 1.0)

    def load(_folder: Path, *, subjects: list[str]) -> SpritePack:
        return SpritePack(dict.fromkeys(subjects, square))

    monkeypatch.setattr(SpritePack, "load", load)


@pytest.mark.usefixtures("red_squares")
def test_scene_and_sketch(inside: Run, work: Path) -> None:
    words = ("storybook", "--seed", "7", "-o", "a.png", "--sketch", "a-sketch.png")
    done = inside(*words)
    assert done.status == 0, done
    assert done.paths == ["a.png", "a-sketch.png"]
    assert done.stderr.startswith("nuwa: scene: ")
    first = (work / "a.png").read_bytes()
    inside(*words).check_refusal(4, "exists")
    assert inside(*words, "--force", "--quiet").stderr == ""
    assert (work / "a.png").read_bytes() == first
    (facts,) = json.loads(inside("info", "a.png", "--json").stdout)["files"]
    assert (facts["width"], facts["height"]) == (256, 256)
    assert facts["recipe"]["digital_source_type"].endswith("/algorithmicMedia")
    assert set(facts["recipe"]["captions"]) == {"en", "zh"}

    from nuwa_cli.sketches.palette import SKETCH_CLASSES

    with Image.open(work / "a-sketch.png") as sketch:
        colours = np.unique(np.asarray(sketch).reshape(-1, 3), axis=0)
    assert {tuple(c) for c in colours.tolist()} <= {entry.rgb for entry in SKETCH_CLASSES}
    assert len(colours) > 2


@pytest.mark.usefixtures("red_squares")
def test_clip_and_json(inside: Run, work: Path) -> None:
    words = ("--world", "core", "--held-out", "--seed", "3", "-o", "a.mp4", "--json", "-q")
    done = inside("storybook", *words)
    assert done.status == 0, done
    (output,) = json.loads(done.stdout)["outputs"]
    assert output["path"] == "a.mp4"
    assert output["labels"]["place"] >= 0
    (facts,) = json.loads(inside("info", "a.mp4", "--json").stdout)["files"]
    assert facts["frames"] == 10
    assert facts["recipe"]["options"] == {"world": "core", "split": "held_out"}
    assert sorted(p.name for p in work.iterdir()) == ["a.mp4"]
