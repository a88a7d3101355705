"""Numbers that must never change unnoticed: a change here changes what every recorded seed draws."""

from __future__ import annotations

import zlib

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
    46,
    18,
    15,
    48,
    38,
    43,
    35,
    44,
    13,
    48,
    55,
    44,
    22,
    44,
    43,
    15,
    19,
    39,
    10,
    52,
    39,
    18,
    13,
    48,
    39,
    42,
    9,
    10,
    39,
    52,
    14,
    48,
]


def _fill(module: nn.Module) -> None:
    """Weights that depend on nothing but their names, so that a new layer does not change others."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            start = zlib.crc32(name.encode()) % 1000
            wave = torch.arange(parameter.numel(), dtype=torch.float64) * (0.7 + 0.001 * start)
            parameter.copy_(0.4 * torch.sin(wave + start).view_as(parameter))


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
