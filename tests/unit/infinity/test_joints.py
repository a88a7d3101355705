"""Patches that do not join are found out, and drawn again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.infinity import joints
from nuwa_cli.infinity.controller import Controller
from nuwa_cli.infinity.geometry import Margins, Rect
from nuwa_cli.infinity.joints import joint_step
from nuwa_cli.infinity.plans import Words, step_seed
from nuwa_cli.infinity.source import SourceCells
from nuwa_cli.infinity.walk import Lane, Nearby, walk
from nuwa_cli.tasks.plan import Plan

CELL = 8
PATCHES = {"right": Rect(0, 2, 4, 2), "up": Rect(0, 0, 2, 4), "corner": Rect(2, 2, 2, 2)}


@pytest.mark.parametrize("name", PATCHES)
@pytest.mark.parametrize("step", [0, 2, 30])
def test_a_step_of_light_is_measured(name: str, step: int) -> None:
    """A sky that fades, and a patch that is lighter by some levels."""
    levels = np.repeat(np.linspace(100, 140, 32, dtype=np.float32)[:, None, None], 32, axis=1)
    levels = np.repeat(levels, 3, axis=2)
    patch = PATCHES[name]
    levels[patch.scaled(CELL).slices] += step
    # In the corner, half of one border is all that is seen of it from beside.
    assert joint_step(levels, patch, CELL) == pytest.approx(step, abs=0.2 * step + 1e-3)


def test_what_ends_at_the_border_is_no_step() -> None:
    rng = np.random.default_rng(0)
    levels = 100 + rng.normal(0, 20, (32, 32, 3)).astype(np.float32)
    levels[:, 16:] += np.where(np.arange(32) % 2, 25, -25)[:, None, None]
    assert joint_step(levels, PATCHES["right"], CELL) < 5
    assert joint_step(levels[:, :16], Rect(0, 0, 4, 2), CELL) == 0  # nothing to join


@pytest.mark.parametrize("vqgan", [False], ids=["plain"], indirect=True)
@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [((9.0, 2.0, 1.0), 1), ((9.0, 8.0, 7.0), 2), ((7.0, 9.0, 8.0), 0), ((0.0, 9.0, 9.0), 0)],
)
def test_the_attempt_that_joins_best_counts(
    make_source: Callable[..., SourceCells],
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[float, ...],
    chosen: int,
) -> None:
    remaining: Iterator[float] = iter(sizes)
    monkeypatch.setattr(joints, "joint_step", lambda *_: next(remaining))
    source = make_source(32, 32, Margins(right=16))
    first = step_seed(5, 0)
    seeds: list[int] = []

    def draw(_: Plan, seed: int) -> Tensor:
        seeds.append(seed)
        return torch.full((1, 4, 4), len(seeds))

    words: Any = Words(torch.zeros(1, 3, dtype=torch.int64), has_subject=False)
    nearby = Nearby(source, Controller(source.canvas))
    (done,) = walk(
        Lane(nearby).alone(),
        draw=draw,
        tell=lambda _: words,
        shows=lambda *_: None,
        seed=5,
        known={},
    )
    assert (done.tokens == chosen + 1).all()
    assert seeds == [first, step_seed(first, 1), step_seed(first, 2)][: len(seeds)]
    assert len(seeds) == next((n + 1 for n, size in enumerate(sizes) if size <= 2), 3)
