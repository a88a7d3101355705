"""Run any plan, or several at once: with `layouts.py` the only task module that knows the model and the sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from nuwa_cli.config import SamplingConfig
from nuwa_cli.model.condition import Condition, cat_conditions
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.sampling.decode import FinishedFrame, generate, generate_tokens
from nuwa_cli.sampling.events import Progress
from nuwa_cli.sampling.persistence import Expectation
from nuwa_cli.tasks.layouts import plan_layout
from nuwa_cli.tasks.plan import Plan

OnProgress = Callable[[int, int], None]
"""Called with (steps done, steps in all) of the current output."""

OnTokens = Callable[[int, int, Tensor], None]
"""Called with (number of the sample, number of the frame, its tokens (h, w)) when a frame is complete."""

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
    on_progress: OnProgress | None = None,
) -> Tensor:
    """Tokens int64 (t, h, w) of one sample of a plan, on the CPU.

    `on_progress` is called with (steps done, steps in all).
    """
    return torch.stack(list(plan_frames(model, plan, sampling, on_progress=on_progress)))


def plan_frames(
    model: Nuwa,
    plan: Plan,
    sampling: SamplingConfig,
    *,
    on_progress: OnProgress | None = None,
) -> Iterator[Tensor]:
    """The same frame by frame, in order: tokens int64 (h, w) of each as soon as it is complete."""

    def report(event: Progress) -> None:
        if on_progress is not None:
            on_progress(event.step, event.num_steps)

    for frame in generate(
        model,
        _condition(model, plan, sampling.seed),
        plan.grid,
        sampling,
        known_tokens=plan.known_tokens,
        expected=[_expectation(plan)],
        on_event=report,
    ):
        yield frame.tokens


def run_plans(
    model: Nuwa,
    samples: Sequence[tuple[Plan, SamplingConfig]],
    *,
    together: int = 1,
    on_progress: OnProgress | None = None,
    on_frame: OnTokens | None = None,
) -> list[Tensor]:
    """Tokens int64 (t, h, w) of several samples, on the CPU; like ones are decoded `together`, and each is
    what it would be alone."""
    alike: dict[object, list[int]] = {}
    prepared = []
    for index, (plan, sampling) in enumerate(samples):
        condition = _condition(model, plan, sampling.seed)
        prepared.append(condition)
        alike.setdefault(_likeness(plan, sampling, condition), []).append(index)
    results: dict[int, Tensor] = {}
    for group in alike.values():
        done = len(results)

        def report(event: Progress, done: int = done, group: list[int] = group) -> None:
            if on_progress is not None:
                steps = event.num_steps // len(group)  # of one
                on_progress(done * steps + event.step, len(samples) * steps)

        def show(frame: FinishedFrame, group: list[int] = group) -> None:
            if on_frame is not None:
                on_frame(group[frame.sample], frame.index, frame.tokens)

        first, sampling = samples[group[0]]
        known = [samples[index][0].known_tokens for index in group]
        tokens = generate_tokens(
            model,
            cat_conditions([prepared[index] for index in group]),
            first.grid,
            sampling,
            seeds=[samples[index][1].seed for index in group],
            known_tokens=None if known[0] is None else torch.cat([_some(one) for one in known]),
            expected=[_expectation(samples[index][0]) for index in group],
            together=together,
            on_event=report,
            on_frame=show,
        )
        results.update(zip(group, tokens, strict=True))
    return [results[index] for index in range(len(samples))]


def _condition(model: Nuwa, plan: Plan, seed: int) -> Condition:
    layout = plan_layout(model, plan, seed) if plan.has_layout else None
    return Condition(
        text=plan.text,
        sketch=plan.sketch,
        canvas=plan.canvas,
        layout=layout,
        pixels=None if plan.pixels is None else plan.pixels.to(model.head.weight.dtype),
    )


def _likeness(plan: Plan, sampling: SamplingConfig, condition: Condition) -> object:
    """What samples that share a batch have in common."""
    parts = (condition.sketch, condition.canvas, condition.layout, condition.pixels)
    shapes = tuple(None if part is None else part.shape for part in (*parts, plan.known_tokens))
    return plan.grid, replace(sampling, seed=0), condition.text.shape, shapes


def _expectation(plan: Plan) -> Expectation | None:
    return None if plan.expected is None else Expectation(plan.expected[0], plan.expected_nats)


def _some(tokens: Tensor | None) -> Tensor:
    assert tokens is not None  # of like samples all have known tokens, or none
    return tokens


def _mix(seed: int, index: int) -> int:
    """Splitmix64 of (seed, index), in the 63 bits that a seed has."""
    value = (seed + index * _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return (value ^ (value >> 31)) >> 1
