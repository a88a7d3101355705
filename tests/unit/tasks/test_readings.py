"""Wordless completions of one picture read it once, whatever their seeds."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nuwa_cli.config import SamplingConfig
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.presets import get_preset
from nuwa_cli.tasks import run
from nuwa_cli.tasks.plan import Plan


def test_a_picture_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = Nuwa(get_preset("test").transformer).eval()
    config = model.config
    known = torch.randint(0, config.visual_vocab, (1, 1, config.grid_height, config.grid_width))
    known[..., -1] = -1
    plan = Plan(
        task="inpaint",
        kind="image",
        grid=GridShape(1, *known.shape[2:]),
        text=torch.zeros(1, 2, dtype=torch.int64),
        canvas=known,
        layout_frames=1,
        nobody=True,
        known_tokens=known,
        views=torch.tensor([[2, 0], [3, 0]]),
    )
    other = replace(plan, known_tokens=known.clamp(max=5))
    read: list[Plan] = []
    seen_view = run.seen_view

    def counted(model: Nuwa, plan: Plan) -> torch.Tensor:
        read.append(plan)
        return seen_view(model, plan)

    monkeypatch.setattr(run, "seen_view", counted)
    samples = [(one, SamplingConfig(seed=seed)) for seed in (1, 2) for one in (plan, other)]
    drawn = run.run_plans(model, samples, together=4)
    assert len(read) == 2
    for sample, tokens in zip(samples, drawn, strict=True):
        assert torch.equal(run.run_plan(model, *sample), tokens)
