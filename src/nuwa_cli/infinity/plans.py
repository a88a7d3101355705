"""The plan of one step, and its seed: how a canvas that grows asks the completion engine for a patch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.infinity.controller import Step
from nuwa_cli.infinity.pool import UNKNOWN, Cells
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.sampling.randomness import uniforms
from nuwa_cli.tasks.plan import Box, Plan

Draw = Callable[[Plan, int], Tensor]
"""(plan, seed) → tokens (1, h, w) of the window."""

DrawAll = Callable[[Sequence[tuple[Plan, int]]], Sequence[Tensor]]
"""The same of several plans, each as it would be drawn alone."""

_SKY_NATS = 3.0
"""How strongly a patch above a picture is expected to go on with what lies below it. A sky tells little of how far
up it is: without it, each band began the gradient of a whole sky anew, or mountains."""
_SEED_BITS = 48  # of a step's seed: all that `uniforms` gives
_FIRST_SEED = 1 << 40  # positions that no token and no layout ever has


@dataclass(frozen=True)
class Words:
    """What a step is told."""

    text: Tensor  # int64 (1, L), all zeros = nothing
    has_subject: bool  # what the text speaks of stands in this step's patch; elsewhere nobody does


Tell = Callable[[Step], Words]


def plan_step(step: Step, window: Cells, words: Words) -> Plan:
    """The plan of one step, from the cells of its window: those of the patch are unknown."""
    height, width = window.tokens.shape
    canvas = torch.from_numpy(window.tokens.copy())[None, None]
    is_sky = step.direction == "up" and not words.has_subject
    return Plan(
        task="extend",
        kind="image",
        grid=GridShape(1, height, width),
        text=words.text,
        canvas=canvas,
        pixels=_low_level(window),
        layout_frames=1,
        nobody=not words.has_subject,
        focus=_focus(step) if words.has_subject else None,
        known_tokens=canvas,
        expected=_sky(canvas, step) if is_sky else None,
        expected_nats=_SKY_NATS if is_sky else 0.0,
    )


def _sky(canvas: Tensor, step: Step) -> Tensor:
    """What a patch above a picture is expected to show, int64 (1, 1, h, w): in each column the token that
    lies right below the patch."""
    patch = step.patch.seen_from(step.window)
    expected = torch.full_like(canvas, UNKNOWN)
    below = canvas[..., patch.bottom, patch.left : patch.right]
    expected[..., patch.top : patch.bottom, patch.left : patch.right] = below[..., None, :]
    return expected


def step_seed(seed: int, step: int) -> int:
    """The seed of one step, mixed from both."""
    number = uniforms(seed, torch.tensor([-_FIRST_SEED - step]))
    return int(number[0] * (1 << _SEED_BITS))


def _low_level(window: Cells) -> Tensor:
    """Low-level pixels (1, 4, 4h, 4w) of a window: RGB in [-1, 1] of known cells, and their share."""
    samples = torch.from_numpy(window.samples).permute(4, 0, 2, 1, 3)  # 3, h, 4, w, 4
    known = torch.from_numpy(window.tokens != UNKNOWN).float()[None, :, None, :, None]
    colours = (samples.float() / 127.5 - 1) * known
    both = torch.cat((colours, known.expand_as(colours[:1])))
    return both.flatten(3, 4).flatten(1, 2)[None]


def _focus(step: Step) -> Box:
    """Where a subject may stand: the patch, as shares of the window."""
    inside, window = step.patch.seen_from(step.window), step.window
    return (
        (inside.left + inside.right) / 2 / window.width,
        (inside.top + inside.bottom) / 2 / window.height,
        inside.width / window.width,
        inside.height / window.height,
    )
