"""Wider clips: the first frame as a picture, then chunks that begin with what is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.infinity.clip_sides import num_side_steps, widen
from nuwa_cli.infinity.geometry import Margins, plan_canvas
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tokenizer.vqgan import VQGAN

SIZE, CLIP = 32, 3
CANVAS = plan_canvas(SIZE, SIZE, Margins(right=32), side=4, cell=8)
NEW = (slice(None), slice(2, 4))  # cells of a window that a step fills


class _Drawer:
    """Draws its call's number into every cell that is not known, and keeps all plans."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    def __call__(self, plan: Plan, seed: int) -> Tensor:
        assert plan.known_tokens is not None and seed >= 0
        self.plans.append(plan)
        known = plan.known_tokens[0]
        return torch.where(known >= 0, known, len(self.plans))


def _widened(vqgan: VQGAN, frames: Any) -> tuple[Any, list[Plan]]:
    draw = _Drawer()
    text = torch.zeros(1, 8, dtype=torch.int64)
    wide = widen(
        vqgan,
        CANVAS,
        iter(frames),
        text,
        clip_frames=CLIP,
        draw=draw,
        shows=lambda *_: None,
        seed=1,
    )
    return np.stack(list(wide)), draw.plans


def test_the_first_frame_is_a_picture_and_chunks_follow_on_it(
    vqgan: VQGAN, picture: Callable[..., Any]
) -> None:
    frames = np.stack([picture(SIZE, SIZE, seed) for seed in range(5)])
    wide, plans = _widened(vqgan, frames)
    assert wide.shape == (5, SIZE, 2 * SIZE, 3)
    assert (wide[:, :, :SIZE] == frames).all()
    # Two bands each: the first frame, then 2 more, then 1 and 1 after 2 that are known.
    assert [plan.grid.frames for plan in plans] == [1, 1, 3, 3, 3, 3, 3, 3]
    assert len(plans) == num_side_steps(5, CANVAS, CLIP)
    assert [plan.kind for plan in plans] == ["image"] * 2 + ["video"] * 6
    for number, plan in enumerate(plans):
        assert plan.nobody and plan.pixels is not None
        assert plan.canvas is not None and plan.known_tokens is not None
        assert torch.equal(plan.canvas, plan.known_tokens)
        new = plan.canvas[0][(slice(None), *NEW)]
        known = 0 if number < 2 else min(number // 2, CLIP - 1)
        assert (new[:known] >= 0).all() and (new[known:] == -1).all()
        assert (plan.canvas[0, :, :, :2] >= 0).all()
        if number >= 2:
            # What the first frame shows there, in every frame.
            band = number % 2
            assert plan.expected is not None and plan.expected_nats > 0
            assert (plan.expected[0][(slice(None), *NEW)] == band + 1).all()
            assert (plan.pixels[0, 3] == 1).all()  # the first frame of a chunk is wholly known


def _source_tokens(vqgan: VQGAN, frames: Any) -> Tensor:
    """Tokens (t, 4, 2) of the source that the first band of the first chunk sees."""
    canvas = _widened(vqgan, frames)[1][2].canvas
    assert canvas is not None
    return canvas[0, :, :, :2]


def test_a_still_source_keeps_its_tokens_and_a_fading_one_does_not(
    vqgan: VQGAN, picture: Callable[..., Any]
) -> None:
    """It is the pixels that must change, not what the tokenizer makes of their noise."""
    is_kept, would_change = True, False
    for seed in range(8):
        still = picture(SIZE, SIZE, seed)
        noise = np.random.default_rng(seed).integers(-2, 3, still.shape)
        noisy = np.clip(still.astype(int) + noise, 0, 255).astype(np.uint8)
        tokens = _source_tokens(vqgan, [still, noisy, noisy])
        is_kept &= bool((tokens == tokens[0]).all())
        alone = _source_tokens(vqgan, [noisy, noisy, noisy])
        would_change |= bool((alone[0] != tokens[0]).any())
    assert is_kept and would_change
    bright = picture(SIZE, SIZE).astype(int)
    faded = [np.clip(bright - 1.5 * step, 0, 255).astype(np.uint8) for step in range(3)]
    assert (_source_tokens(vqgan, faded)[2] == _source_tokens(vqgan, faded[2:] * 3)[0]).all()


def test_a_change_of_later_chunks_changes_nothing_before(
    vqgan: VQGAN, picture: Callable[..., Any]
) -> None:
    frames = np.stack([picture(SIZE, SIZE, seed) for seed in range(5)])
    other = frames.copy()
    other[4] = 255 - other[4]
    first, _ = _widened(vqgan, frames)
    second, _ = _widened(vqgan, other)
    assert (first[:4] == second[:4]).all()
    assert (first[4] != second[4]).any()
