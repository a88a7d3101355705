"""Numbers that must never change unnoticed: a change here changes what every recorded seed draws."""

from __future__ import annotations

import torch
from torch import nn

from nuwa_cli.config import SamplingConfig
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.presets import get_preset
from nuwa_cli.sampling.decode import generate_tokens
from nuwa_cli.sampling.randomness import uniforms
from nuwa_cli.storybook.captions import caption
from nuwa_cli.storybook.scene import sample_scene
from nuwa_cli.storybook.world import WorldConfig

TOKENS = [
    53,
    24,
    24,
    53,
    34,
    43,
    32,
    48,
    9,
    58,
    58,
    48,
    19,
    42,
    38,
    18,
    25,
    35,
    9,
    63,
    29,
    19,
    8,
    48,
    34,
    37,
    5,
    8,
    29,
    63,
    8,
    58,
]


def _fill(module: nn.Module) -> None:
    """Weights that depend on nothing but their place in the model."""
    with torch.no_grad():
        for index, (_, parameter) in enumerate(sorted(module.named_parameters())):
            wave = torch.arange(parameter.numel(), dtype=torch.float64) * (0.7 + 0.01 * index)
            parameter.copy_(0.4 * torch.sin(wave + index).view_as(parameter))


def test_random_numbers_of_a_seed() -> None:
    assert uniforms(7, torch.arange(3)).tolist() == [
        0.5243459416779288,
        0.30213903321683944,
        0.9409962312900007,
    ]


def test_tokens_of_a_seed() -> None:
    model = Nuwa(get_preset("test").transformer).double()
    _fill(model)
    tokens = generate_tokens(
        model,
        Condition(text=torch.tensor([[5, 9, 1]])),
        GridShape(2, 4, 4),
        SamplingConfig(seed=3, top_k=20, guidance_scale=2.0),
    )
    assert tokens.flatten().tolist() == TOKENS


def test_scene_of_a_seed() -> None:
    scene = sample_scene(7, WorldConfig.core())
    subject = scene.subjects[0]
    assert (scene.place, scene.time, subject.id, subject.motion) == ("snow", "night", "bee", "up")
    assert caption(scene, 0, kind="video", language="en") == "a bee flies on snow at night"
    assert caption(scene, 0, kind="video", language="zh") == "一只蜜蜂在雪中向上飞"
