"""What a decoder learns its symmetrical connections from: scenes with holes (NÜWA-LIP, DF-VQGAN).

Inside the hole the decoder is given codes of the undamaged picture, outside it those that the damaged
one gives, with the features of intact cells. It is judged by the picture as it will be used: what it
draws in the hole, set into the original, so that a seam is an error and the rest of its drawing counts
for nothing.

Invariant: only the connections are trained. Tokens keep the meaning that a transformer has learned, and
what is decoded from tokens alone stays as it was, bit for bit. (The paper trains the whole net, and
decodes 80 % of its pictures without connections so that this does not suffer.)
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nuwa_cli.tokenizer.continuation import continue_into
from nuwa_cli.tokenizer.vqgan import VQGAN, IntactFeatures
from nuwa_cli.training.checkpoint import latest_checkpoint
from nuwa_cli.training.holes import draw_holes
from nuwa_cli.training.stage import step_generator

_ADVERSARY = "weights.discriminator."


def load_adversary(run_dir: Path, discriminator: nn.Module) -> None:
    """Take over the discriminator of a tokenizer run; a model folder has none, which is no fault."""
    found, _ = latest_checkpoint(run_dir)
    if found is not None:
        tensors = found[0].items()
        weights = {k.removeprefix(_ADVERSARY): v for k, v in tensors if k.startswith(_ADVERSARY)}
        discriminator.load_state_dict(weights, strict=True)


def train_only_skips(vqgan: VQGAN) -> None:
    """Freeze everything else."""
    vqgan.requires_grad_(False)
    vqgan.decoder.skips.requires_grad_(True)


def draw_joins(vqgan: VQGAN, count: int, seed: int, step: int) -> Tensor:
    """Holes (count, 1, S, S) bool of a step."""
    config = vqgan.config
    generator = step_generator(seed, step, "joins")
    return draw_holes(count, config.image_size, config.downsample_factor, generator)[:, None]


@torch.no_grad()
def codes_around(vqgan: VQGAN, pixels: Tensor, holes: Tensor) -> tuple[Tensor, IntactFeatures]:
    """Codes (b, e, h, w) of pictures (b, c, S, S) with holes (b, 1, S, S), and what is seen around them."""
    tokens = vqgan.encode(pixels)
    seen = continue_into(pixels, holes).contiguous(memory_format=torch.channels_last)
    stages = vqgan.encoder.stages(seen)
    intact = vqgan.around(seen, holes, stages)
    around = vqgan.codebook.tokens(vqgan.encoder.latents(stages[-1]))
    return vqgan.codebook.lookup(torch.where(intact.intact[-1][:, 0], around, tokens)), intact
