"""Tiny tokenizers, sources and canvases: 4 cells of 8 pixels along a square."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nuwa_cli.infinity.geometry import Margins, plan_canvas
from nuwa_cli.infinity.source import SourceCells
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.vqgan import VQGAN

Make = Callable[..., SourceCells]
Paint = Callable[..., Any]


@pytest.fixture(scope="session")
def picture() -> Paint:
    """A function that paints pictures."""
    return _picture


def _picture(height: int, width: int, seed: int = 0) -> Any:
    """Smooth colours with a little noise: uint8 (H, W, 3)."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width] / 9.0
    waves = np.stack([np.sin(rows * a + columns * b) for a, b in rng.uniform(0.2, 1, (3, 2))], -1)
    return np.clip(128 + 90 * waves + rng.normal(0, 9, waves.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session", params=[False, True], ids=["plain", "skips"])
def vqgan(request: pytest.FixtureRequest) -> VQGAN:
    """A tokenizer with random weights, without and with connections for intact cells."""
    config = replace(get_preset("test").tokenizer, intact_skips=request.param)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = VQGAN(config).eval().requires_grad_(False)
        for name, parameter in net.named_parameters():
            if "scale" in name:
                parameter.fill_(1.0)  # far cells count as much as they can
            if "skips" in name:
                parameter.normal_(std=0.3)
    return net


@pytest.fixture
def make_source(vqgan: VQGAN) -> Make:
    def make(height: int, width: int, margins: Margins, seed: int = 0) -> SourceCells:
        canvas = plan_canvas(height, width, margins, side=4, cell=8)
        return SourceCells(_picture(height, width, seed), canvas, vqgan)

    return make
