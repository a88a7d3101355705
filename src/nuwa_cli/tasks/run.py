"""Run any plan: with `layouts.py` the only task module that knows the model and the sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from nuwa_cli.config import SamplingConfig
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.sampling.decode import generate_tokens
from nuwa_cli.sampling.events import Progress
from nuwa_cli.sampling.persistence import Expectation
from nuwa_cli.tasks.layouts import plan_layout, seen_view
from nuwa_cli.tasks.plan import Plan

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def candidate_seeds(seed: int, count: int) -> list[int]:
    """Seeds of the candidates of one output: the seed itself, then numbers mixed out of it.

    They are spread over the whole range, because the next output has the next seed: counting on
    would let neighbours draw, and then choose, the same candidates.
    """
    return [seed, *(_mix(seed, index) for index in range(1, count))]


def run_plan(
    model: Nuwa,
    plan: Plan,
    sampling: SamplingConfig,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Tokens int64 (t, h, w) of one sample of a plan, on the CPU.

    `on_progress` is called with (steps done, steps in all).
    """

    def report(event: Progress) -> None:
        if on_progress is not None:
            on_progress(event.step, event.num_steps)

    plan = replace(plan, text=seen_text(model, plan))
    layout = plan_layout(model, plan, sampling.seed) if plan.has_layout else None
    condition = Condition(
        text=plan.text,
        sketch=plan.sketch,
        canvas=plan.canvas,
        layout=layout,
        pixels=None if plan.pixels is None else plan.pixels.to(model.head.weight.dtype),
    )
    expected = None
    if plan.expected is not None:
        expected = Expectation(plan.expected[0], plan.expected_nats)
    return generate_tokens(
        model,
        condition,
        plan.grid,
        sampling,
        known_tokens=plan.known_tokens,
        expected=expected,
        on_event=report,
    )[0]


def seen_text(model: Nuwa, plan: Plan) -> Tensor:
    """The text of a plan, int64 (1, L), or without one that of its views that fits what is known."""
    if plan.views is None or bool(plan.text.any()):
        return plan.text
    return seen_view(model, plan)


def _mix(seed: int, index: int) -> int:
    """Splitmix64 of (seed, index), in the 63 bits that a seed has."""
    value = (seed + index * _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return (value ^ (value >> 31)) >> 1
