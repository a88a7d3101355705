"""The one table of named models, each row stating what differs from its parent.

| name       | transformer | what it is for                                              |
|------------|-------------|-------------------------------------------------------------|
| test       | < 0.1 M     | milliseconds: tests and examples of the training recipe     |
| storybook  | 16 M        | the embedded default: 256 x 256, f16, CPU                   |
| nuwa-870m  | 870 M       | the paper's configuration: 336 x 336, f16, 21 x 21, 24 layers |
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from nuwa_cli.config import NuwaConfig, VQGANConfig
from nuwa_cli.errors import UsageError


@dataclass(frozen=True)
class Preset:
    """Nets that belong together, and the length of a clip."""

    tokenizer: VQGANConfig
    sketch_tokenizer: VQGANConfig
    transformer: NuwaConfig
    num_frames: int
    fps: int


_STORYBOOK = Preset(
    tokenizer=VQGANConfig(image_size=256, intact_skips=True),
    # Class maps are simple: half the resolution and a quarter of the width say all of them.
    sketch_tokenizer=VQGANConfig(
        in_channels=32,  # classes of sketches.palette
        image_size=128,
        stem_factor=4,
        widths=(64, 128),
        depths=(1, 2),
        codebook_size=512,
    ),
    transformer=NuwaConfig(
        dim=288,
        num_heads=9,
        encoder_layers=2,
        decoder_layers=8,
        visual_vocab=2048,
        sketch_vocab=512,
        text_vocab=2048,
        grid_height=16,
        grid_width=16,
        extent=(3, 5, 5),
    ),
    num_frames=10,
    fps=6,
)

_TEST = Preset(
    tokenizer=dataclasses.replace(
        _STORYBOOK.tokenizer,
        image_size=32,
        stem_factor=4,
        widths=(16, 24),
        depths=(1, 1),
        codebook_size=64,
        code_dim=4,
    ),
    sketch_tokenizer=dataclasses.replace(
        _STORYBOOK.sketch_tokenizer,
        image_size=16,
        stem_factor=2,
        widths=(16, 24),
        depths=(1, 1),
        codebook_size=16,
        code_dim=4,
    ),
    transformer=dataclasses.replace(
        _STORYBOOK.transformer,
        dim=32,
        num_heads=2,
        decoder_layers=2,
        visual_vocab=64,
        sketch_vocab=16,
        text_vocab=300,
        clip_frames=3,
        grid_height=4,
        grid_width=4,
        extent=(3, 3, 3),
    ),
    num_frames=3,
    fps=6,
)

_NUWA_870M = Preset(
    tokenizer=dataclasses.replace(
        _STORYBOOK.tokenizer,
        image_size=336,
        codebook_size=12288,
        code_dim=256,
    ),
    sketch_tokenizer=dataclasses.replace(
        _STORYBOOK.sketch_tokenizer,
        image_size=336,
        stem_factor=8,
        codebook_size=1024,
        code_dim=256,
    ),
    transformer=dataclasses.replace(
        _STORYBOOK.transformer,
        dim=1280,
        num_heads=20,
        encoder_layers=12,
        decoder_layers=24,
        visual_vocab=12288,
        sketch_vocab=1024,
        text_vocab=8192,
        grid_height=21,
        grid_width=21,
        extent=(3, 3, 3),
    ),
    num_frames=10,
    fps=3,
)

PRESETS: dict[str, Preset] = {
    "test": _TEST,
    "storybook": _STORYBOOK,
    "nuwa-870m": _NUWA_870M,
}


def get_preset(name: str) -> Preset:
    """Look a preset up by name. Raises UsageError listing the known names."""
    if name not in PRESETS:
        raise UsageError(f"preset '{name}': unknown; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
