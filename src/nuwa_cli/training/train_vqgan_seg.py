"""Stage one for sketches: the VQ-GAN-Seg (paper §3.1, S2I and S2V).

The same network and codebook as for pictures, over one-hot class maps; loss = cross-entropy of the
class of each pixel, rare classes weighted up, + codebook + commitment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg, resize
from nuwa_cli.training.codebook_care import tend_codebook
from nuwa_cli.training.recipe import TrainRecipe, check_options
from nuwa_cli.training.scenes import SceneSource
from nuwa_cli.training.sheets import class_colors, save_sheet
from nuwa_cli.training.sketches import class_weights, simplify
from nuwa_cli.training.stage import channels_last, make_optimizer, step_generator, update


@dataclass(frozen=True)
class SketchOptions:
    """`[options]` of a sketch recipe."""

    rarity_power: float = 0.35  # 0 = every pixel counts the same, 1 = every class
    simplified_share: float = 0.3
    codebook_weight: float = 1.0
    continuous_steps: int = 0
    revive_every: int = 25
    revive_below: float = 0.03


class SketchStage:
    """Trains `VQGANSeg` on the class maps of single frames."""

    averaged: tuple[str, ...] = ("vqgan_seg",)

    def __init__(self, recipe: TrainRecipe, source: SceneSource, device: torch.device) -> None:
        self.recipe = recipe
        self.options = check_options(recipe.options, SketchOptions())
        self.source = source
        self.device = device
        torch.manual_seed(recipe.seed)
        self.vqgan = channels_last(VQGANSeg(get_preset(recipe.preset).sketch_tokenizer).to(device))
        self.modules: dict[str, nn.Module] = {"vqgan_seg": self.vqgan}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "vqgan_seg": make_optimizer([self.vqgan], recipe)
        }

    def batch(self, step: int) -> Tensor:
        """Class maps (b, S, S) uint8 of this step."""
        classes = self.source.batch(step, self.recipe.batch_size).classes
        generator = step_generator(self.recipe.seed, step, "simplify")
        resized = resize(classes, self.vqgan.config.image_size)
        return simplify(resized, self.options.simplified_share, generator)[:, 0]

    def step(self, batch: Tensor, step: int) -> dict[str, float]:
        """One update."""
        options = self.options
        classes = batch.to(self.device)
        is_continuous = step < options.continuous_steps
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            planes = self.vqgan.one_hot(classes).contiguous(memory_format=torch.channels_last)
            logits, latents, quantized = self.vqgan(planes, is_continuous=is_continuous)
        logits = logits.float()
        weight = class_weights(classes, options.rarity_power)
        entropy = F.cross_entropy(logits, classes.long(), reduction="none")
        class_loss = (entropy * weight[classes.long()]).mean()
        code_weight = 0.0 if is_continuous else options.codebook_weight
        beta = self.vqgan.config.commitment_beta
        code_loss = quantized.codebook_loss + beta * quantized.commitment_loss
        loss = class_loss + code_weight * code_loss
        loss.backward()
        norm = update(self.optimizers["vqgan_seg"], self.recipe.grad_clip)
        tend_codebook(
            self.vqgan.codebook,
            quantized.tokens,
            latents.detach(),
            options,
            self.recipe.seed,
            step,
        )
        return {
            "loss": float(loss.detach()),
            "class_loss": float(class_loss.detach()),
            "pixel_accuracy": float((logits.argmax(1) == classes).float().mean()),
            "codebook_usage": float((self.vqgan.codebook.usage > 0.05).float().mean()),
            "grad_norm": norm,
        }

    def sample(self, average: dict[str, nn.Module], path: Path, step: int) -> None:  # noqa: ARG002
        """Sketches above, reconstructions below, always of the same scenes."""
        vqgan = average["vqgan_seg"]
        assert isinstance(vqgan, VQGANSeg)
        classes = self.source.batch(-1, 12).classes[:, 0].to(self.device)
        classes = resize(classes, vqgan.config.image_size)
        restored = vqgan.decode_classes(vqgan.encode_classes(classes))
        save_sheet([class_colors(classes), class_colors(restored)], path)
