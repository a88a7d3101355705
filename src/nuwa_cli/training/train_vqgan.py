"""Stage one: the VQ-GAN (paper §3.1).

Loss = reconstruction (absolute error at full and quarter resolution, and of its gradients, subjects
weighted up) + codebook + commitment, joined after `adversarial_start` by a patch discriminator's hinge
term and its feature-matching term. No network that we did not train is involved.

With `train = "joins"` a finished tokenizer gets its symmetrical connections (`joins`): all else stays
as it is, and the loss is that of pictures whose hole was decoded.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.errors import InputError
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.discriminator import PatchDiscriminator, discriminator_loss, feature_loss
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.training.codebook_care import tend_codebook
from nuwa_cli.training.export import load_trained_tokenizer
from nuwa_cli.training.joins import codes_around, draw_joins, load_adversary, train_only_skips
from nuwa_cli.training.recipe import TrainRecipe, check_options
from nuwa_cli.training.scenes import SceneBatch, SceneSource
from nuwa_cli.training.sheets import save_sheet
from nuwa_cli.training.stage import channels_last, make_optimizer, update

_TRAINABLE = ("all", "joins")


@dataclass(frozen=True)
class TokenizerOptions:
    """`[options]` of a tokenizer recipe."""

    subject_weight: float = 2.0  # extra weight of subject pixels
    gradient_weight: float = 0.5
    coarse_weight: float = 0.5
    codebook_weight: float = 1.0
    adversarial_start: int = 1_000_000
    adversarial_weight: float = 0.05
    feature_weight: float = 0.2
    start_from: str = ""  # tokenizer run or model folder whose weights to begin with
    train: str = "all"  # or "joins": only the symmetrical connections of the decoder
    continuous_steps: int = 0  # first an autoencoder: codes chosen from a latent space in use
    revive_every: int = 25
    revive_below: float = 0.03  # of an even share of choices


@dataclass(frozen=True)
class _Restored:
    """A batch encoded and decoded again."""

    pixels: Tensor  # (b, c, H, W) float32
    code_figures: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    codes: tuple[Tensor, Tensor] | None = None  # tokens and latents, where codes are trained


class TokenizerStage:
    """Trains `VQGAN` on single frames of scenes."""

    averaged: tuple[str, ...] = ("vqgan",)

    def __init__(self, recipe: TrainRecipe, source: SceneSource, device: torch.device) -> None:
        self.recipe = recipe
        self.options = check_options(recipe.options, TokenizerOptions())
        self.source = source
        self.device = device
        torch.manual_seed(recipe.seed)
        self.is_joining = self.options.train == "joins"
        vqgan, discriminator = self._nets()
        self.vqgan = channels_last(vqgan.to(device))
        self.discriminator = channels_last(discriminator.to(device))
        self.modules: dict[str, nn.Module] = {
            "vqgan": self.vqgan,
            "discriminator": self.discriminator,
        }
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "vqgan": make_optimizer([self.vqgan], recipe),
            "discriminator": make_optimizer([self.discriminator], recipe),
        }

    def _nets(self) -> tuple[VQGAN, PatchDiscriminator]:
        options, config = self.options, get_preset(self.recipe.preset).tokenizer
        if options.train not in _TRAINABLE:
            choices = ", ".join(_TRAINABLE)
            raise InputError(f"option train '{options.train}': unknown; choose one of {choices}")
        if self.is_joining:
            config = dataclasses.replace(config, intact_skips=True)
        start = Path(options.start_from) if options.start_from else None
        vqgan = load_trained_tokenizer(start, config) if start else VQGAN(config)
        discriminator = PatchDiscriminator(config.in_channels)
        if start:
            load_adversary(start, discriminator)
        if self.is_joining:
            train_only_skips(vqgan)
        return vqgan, discriminator

    def batch(self, step: int) -> SceneBatch:
        """Scenes of this step, one frame each."""
        return self.source.batch(step, self.recipe.batch_size)

    def step(self, batch: SceneBatch, step: int) -> dict[str, float]:
        """One update of the VQ-GAN, and of its adversary once that has joined."""
        options, adversarial = self.options, step >= self.options.adversarial_start
        pixels = batch.pixels(self.device)[:, 0].contiguous(memory_format=torch.channels_last)
        weight = 1.0 + options.subject_weight * batch.subject(self.device)[:, 0]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            result = (
                self._restore_holes(pixels, step)
                if self.is_joining
                else self._restore(pixels, step)
            )
        restored = result.pixels
        error = restored - pixels
        weighted = error * weight
        figures = {
            "reconstruction_loss": weighted.abs().mean(),
            "gradient_loss": _gradient_error(weighted),
            "coarse_loss": F.avg_pool2d(error, 4).abs().mean(),
            **result.code_figures,
        }
        loss = (
            figures["reconstruction_loss"]
            + options.gradient_weight * figures["gradient_loss"]
            + options.coarse_weight * figures["coarse_loss"]
        )
        if result.code_figures and step >= options.continuous_steps:
            beta = self.vqgan.config.commitment_beta
            loss = loss + options.codebook_weight * figures["codebook_loss"]
            loss = loss + options.codebook_weight * beta * figures["commitment_loss"]
        if adversarial:
            for parameter in self.discriminator.parameters():
                parameter.requires_grad_(False)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
                fake_logits, fake_features = self.discriminator(restored)
                with torch.no_grad():
                    _, real_features = self.discriminator(pixels)
            for parameter in self.discriminator.parameters():
                parameter.requires_grad_(True)
            figures["adversarial_loss"] = -fake_logits.float().mean()
            figures["perceptual_loss"] = feature_loss(real_features, fake_features)
            loss = (
                loss
                + options.adversarial_weight * figures["adversarial_loss"]
                + options.feature_weight * figures["perceptual_loss"]
            )
        loss.backward()
        norm = update(self.optimizers["vqgan"], self.recipe.grad_clip)
        if adversarial:
            figures["discriminator_loss"] = self._train_discriminator(pixels, restored.detach())
        if result.codes:
            tend_codebook(self.vqgan.codebook, *result.codes, options, self.recipe.seed, step)
        squared = error.detach().square().mean()
        values = {name: float(torch.as_tensor(value).detach()) for name, value in figures.items()}
        return {
            "loss": float(loss.detach()),
            **values,
            "psnr": float(10 * torch.log10(4.0 / squared)),
            "codebook_usage": float((self.vqgan.codebook.usage > 0.05).float().mean()),
            "grad_norm": norm,
        }

    def sample(self, average: dict[str, nn.Module], path: Path, step: int) -> None:  # noqa: ARG002
        """Always the same scenes: pictures and reconstructions; where joins are trained, holes, and what
        is drawn there by a decoder that sees nothing around them, and by one that does."""
        vqgan = average["vqgan"]
        assert isinstance(vqgan, VQGAN)
        pixels = self.source.batch(-1, 12).pixels(self.device)[:, 0]
        if self.is_joining:
            holes = self._holes(pixels, -1)
            codes, intact = codes_around(vqgan, pixels, holes)
            with torch.no_grad():
                drawn = [vqgan.decoder(codes), vqgan.decoder(codes, intact)]
            rows = [pixels.masked_fill(holes, 0.0)]
            rows += [torch.where(holes, picture, pixels) for picture in drawn]
        else:
            rows = [vqgan.decode(vqgan.encode(pixels))]
        save_sheet([pixels, *rows], path)

    def _restore(self, pixels: Tensor, step: int) -> _Restored:
        """Pictures through codes that are trained, too."""
        is_continuous = step < self.options.continuous_steps
        raw, latents, quantized = self.vqgan(pixels, is_continuous=is_continuous)
        figures = {
            "codebook_loss": quantized.codebook_loss,
            "commitment_loss": quantized.commitment_loss,
        }
        return _Restored(raw.float(), figures, (quantized.tokens, latents.detach()))

    def _restore_holes(self, pixels: Tensor, step: int) -> _Restored:
        """Pictures with what is decoded in a hole of theirs."""
        holes = self._holes(pixels, step)
        raw = self.vqgan.decoder(*codes_around(self.vqgan, pixels, holes))
        return _Restored(torch.where(holes, raw.float(), pixels))

    def _holes(self, pixels: Tensor, step: int) -> Tensor:
        return draw_joins(self.vqgan, len(pixels), self.recipe.seed, step).to(self.device)

    def _train_discriminator(self, real: Tensor, fake: Tensor) -> float:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            loss = discriminator_loss(self.discriminator(real)[0], self.discriminator(fake)[0])
        loss.backward()  # type: ignore[no-untyped-call]
        update(self.optimizers["discriminator"], self.recipe.grad_clip)
        return float(loss.detach())


def _gradient_error(error: Tensor) -> Tensor:
    """Mean absolute difference of neighboring errors, across and down."""
    return error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
