"""The walk with a made-up generator: what a step is asked, what stays in memory, and going on."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.errors import InputError
from nuwa_cli.infinity import joints
from nuwa_cli.infinity.controller import Controller
from nuwa_cli.infinity.geometry import Margins, Rect
from nuwa_cli.infinity.plans import Words, step_seed
from nuwa_cli.infinity.pool import UNKNOWN
from nuwa_cli.infinity.source import SourceCells
from nuwa_cli.infinity.walk import Filled, Lane, Nearby, walk
from nuwa_cli.tasks.plan import Plan

pytestmark = pytest.mark.parametrize("vqgan", [False], ids=["plain"], indirect=True)

Make = Callable[..., SourceCells]
AROUND = Margins(30, 20, 60, 40)
NOTHING = Words(torch.zeros(1, 3, dtype=torch.int64), has_subject=False)


@pytest.fixture(autouse=True)
def no_second_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random tokens join badly; `test_joints` is about that."""
    monkeypatch.setattr(joints, "joint_step", lambda *_: 0.0)


def draw(plan: Plan, seed: int) -> Tensor:
    """Tokens that depend on all that a step is given; known cells come back changed, too."""
    assert plan.canvas is not None and plan.pixels is not None
    rng = np.random.default_rng([seed, int(plan.canvas.sum()), int(plan.pixels.abs().sum() * 10)])
    return torch.from_numpy(rng.integers(0, 64, (1, *plan.grid.sides[1:])))


def run(source: SourceCells, known: Any = (), **changes: Any) -> list[Filled]:
    nearby = Nearby(source, Controller(source.canvas))
    given: dict[str, Any] = {
        "draw": draw,
        "tell": lambda _: NOTHING,
        "shows": lambda *_: None,
        "seed": 5,
        "known": dict(known),
    }
    return list(walk(Lane(nearby).alone(), **(given | changes)))


def pixels_of(source: SourceCells, steps: list[Filled]) -> Any:
    result = np.zeros((source.canvas.height, source.canvas.width, 3), dtype=np.uint8)
    seen = np.zeros(result.shape[:2], dtype=int)
    for place, pixels in itertools.chain.from_iterable(step.strips for step in steps):
        result[place.slices] = pixels
        seen[place.slices] += 1
    seen[source.canvas.source_pixels.slices] += 1
    assert (seen == 1).all()
    return result


@pytest.mark.parametrize(
    ("size", "margins"), [((40, 60), AROUND), ((100, 32), AROUND), ((32, 32), Margins(right=70))]
)
def test_every_pixel_leaves_once(
    make_source: Make, size: tuple[int, int], margins: Margins
) -> None:
    source = make_source(*size, margins)
    steps = run(source)
    assert [step.step.index for step in steps] == list(range(len(Controller(source.canvas))))
    assert pixels_of(source, steps).any()
    assert all(
        step.tokens.shape == (step.step.patch.height, step.step.patch.width) for step in steps
    )


def test_what_a_step_is_asked(make_source: Make) -> None:
    """The patch is the hole; everything else of the window is told, as tokens and as pixels."""
    source = make_source(40, 60, AROUND)
    canvas = np.full((source.canvas.rows, source.canvas.columns), UNKNOWN)
    window = source.canvas.source
    nearby = Nearby(source, Controller(source.canvas))
    canvas[window.slices] = nearby.select(window).tokens
    plans: list[tuple[Plan, int]] = []

    def remember(plan: Plan, seed: int) -> Tensor:
        plans.append((plan, seed))
        return draw(plan, seed)

    subject = Words(torch.ones(1, 3, dtype=torch.int64), has_subject=True)
    steps = run(source, draw=remember, tell=lambda step: subject if step.index else NOTHING)
    for done, (plan, seed) in zip(steps, plans, strict=True):
        step = done.step
        inside = step.patch.seen_from(step.window)
        expected = canvas[step.window.slices].copy()
        assert plan.canvas is not None and plan.known_tokens is not None and plan.pixels is not None
        assert (plan.canvas[0, 0].numpy() == expected).all()
        assert (plan.known_tokens == plan.canvas).all()
        assert (expected == UNKNOWN).sum() == step.patch.area
        share = plan.pixels[0, 3].view(4, 4, 4, 4).numpy()
        assert (share == (expected != UNKNOWN)[:, None, :, None]).all()
        assert plan.pixels[0, :3].abs().max() <= 1
        assert plan.pixels[0, :3, share.reshape(16, 16) == 0].abs().max() == 0
        assert (plan.layout_frames, plan.nobody) == (1, step.index == 0)
        assert seed == step_seed(5, step.index)
        if step.index:
            assert plan.text.all() and plan.focus is not None
            x, y, width, height = (side * 4 for side in plan.focus)
            assert (
                Rect(round(y - height / 2), round(x - width / 2), round(height), round(width))
                == inside
            )
        canvas[step.patch.slices] = done.tokens
    assert (canvas != UNKNOWN).all()


def test_above_a_picture_goes_on_what_lies_below(make_source: Make) -> None:
    """Each column of a patch that grows upwards is expected to repeat the token under it, unless somebody
    is to stand there; no other direction expects anything."""
    source = make_source(32, 32, Margins(top=70, right=40))
    plans: list[Plan] = []

    def remember(plan: Plan, seed: int) -> Tensor:
        plans.append(plan)
        return draw(plan, seed)

    for done, plan in zip(run(source, draw=remember), plans, strict=True):
        step = done.step
        assert (plan.expected is not None) == (plan.expected_nats > 0) == (step.direction == "up")
        if plan.expected is not None and plan.canvas is not None:
            patch = step.patch.seen_from(step.window)
            inside = plan.expected[0, 0, patch.top : patch.bottom, patch.left : patch.right]
            below = plan.canvas[0, 0, patch.bottom, patch.left : patch.right]
            assert (inside == below).all() and (below != UNKNOWN).all()
            assert (plan.expected != UNKNOWN).sum() == step.patch.area
    subject = Words(torch.ones(1, 3, dtype=torch.int64), has_subject=True)
    plans.clear()
    run(source, draw=remember, tell=lambda _: subject)
    assert all(plan.expected is None for plan in plans)


def test_low_level_pixels_show_what_is_there(make_source: Make) -> None:
    source = make_source(32, 32, Margins(right=16))
    plans: list[Plan] = []
    run(source, draw=lambda plan, seed: plans.append(plan) or draw(plan, seed))
    (plan,) = plans
    assert plan.pixels is not None
    seen = source.pixels(source.canvas.source)[:, 16:]  # the window's known half
    mean = seen.reshape(16, 2, 8, 2, 3).mean(axis=(1, 3)) / 127.5 - 1
    told = plan.pixels[0, :3, :, :8].permute(1, 2, 0).numpy()
    assert np.abs(told - mean).max() < 0.02


@pytest.mark.usefixtures("vqgan")
def test_seeds_of_steps() -> None:
    seeds = {step_seed(seed, step) for seed in range(30) for step in range(100)}
    assert len(seeds) == 3000
    assert all(0 <= seed < 2**48 for seed in seeds)


def test_a_journal_gives_the_same_picture(make_source: Make) -> None:
    """All of it, some of it, none of it: byte for byte; and nothing known is drawn again, but for a draft that
    the next band shares."""
    source = make_source(40, 60, AROUND)
    steps = run(source)
    pixels = pixels_of(source, steps)
    tokens = {step.step.index: step.tokens for step in steps}
    count, alone = len(tokens), [s.step.index for s in steps if s.step.direction != "down"]
    for known in (range(0), range(count // 2), range(3, count, 2), range(count)):
        drawn: list[int] = []
        again = run(
            source,
            {index: tokens[index] for index in known},
            draw=lambda plan, seed, drawn=drawn: drawn.append(seed) or draw(plan, seed),
        )
        assert (pixels_of(source, again) == pixels).all()
        expected = [step_seed(5, n) for n in alone if n not in known]
        assert [seed for seed in drawn if seed in {step_seed(5, n) for n in alone}] == expected
        assert len(drawn) <= count - len(known)
    assert 0 < len(alone) < count


@pytest.mark.parametrize(
    "tokens", [np.zeros((1, 2), int), np.full((4, 2), 64), np.full((4, 2), -1)]
)
def test_tokens_that_are_not_of_this_picture(make_source: Make, tokens: Any) -> None:
    with pytest.raises(InputError, match="step '0': its stored tokens"):
        run(make_source(32, 32, Margins(right=40)), {0: tokens})


@pytest.mark.parametrize("side", ["left", "top", "right", "bottom"])
def test_memory_does_not_grow_with_the_canvas(make_source: Make, side: str) -> None:
    """What the pool keeps at most, and how many patches wait for their pixels: at 8x as at 128x."""
    most = {}
    for factor in (8, 32, 128) if side == "right" else (8, 16):
        source = make_source(32, 32, Margins(**{side: 32 * factor}))
        nearby = Nearby(source, Controller(source.canvas))
        steps = walk(
            Lane(nearby).alone(),
            draw=draw,
            tell=lambda _: NOTHING,
            shows=lambda *_: None,
            seed=0,
            known={},
        )
        kept = [
            (nearby.pool.num_cells, len(nearby._complete), len(nearby._needless)) for _ in steps
        ]
        assert len(kept) == 2 * factor
        assert kept[-1] == (0, 0, 0)
        most[factor] = max(kept)
    assert len(set(most.values())) == 1, most
