"""What keeps every code of a VQ-GAN in use while it trains, whatever it encodes."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from nuwa_cli.tokenizer.codebook import Codebook
from nuwa_cli.training.stage import step_generator


class CareOptions(Protocol):
    """The options of a stage that this reads."""

    @property
    def continuous_steps(self) -> int: ...

    @property
    def revive_every(self) -> int: ...

    @property
    def revive_below(self) -> float: ...


def tend_codebook(
    codebook: Codebook, tokens: Tensor, latents: Tensor, options: CareOptions, seed: int, step: int
) -> None:
    """After an update: place the codes when the autoencoder has warmed up, later count their use and
    revive the dead. Tokens (b, h, w), latents (b, c, h, w) of this step."""
    if step < options.continuous_steps:
        if step + 1 == options.continuous_steps:
            codebook.spread_over(latents, step_generator(seed, step, "spread"))
        return
    codebook.track(tokens)
    if step and step % options.revive_every == 0:
        codebook.revive(latents, options.revive_below, step_generator(seed, step, "revive"))
