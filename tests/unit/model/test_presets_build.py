"""The paper's configuration: its size on paper, and its blocks at true width."""

from __future__ import annotations

import dataclasses
from itertools import islice

import torch
import torch.nn.functional as F

from nuwa_cli.config import SamplingConfig
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.presets import get_preset
from nuwa_cli.sampling.decode import decode_waves

# Tables with one row per word, class or code. The paper's 870 M fits the blocks alone: encoder and
# decoder of plain 4x feed-forward layers with own cross-attention projections are 528 · 1280² =
# 865.1 M, so a text table of 49,408 rows (63 M) cannot have been counted.
VOCABULARY = (
    "encoder.text.weight",
    "encoder.grid_embedding.sketch.weight",
    "encoder.grid_embedding.canvas.weight",
    "decoder.content.weight",
    "head.weight",
    "head.bias",
)
# What a canvas adds (NÜWA-LIP, a later paper): 23 M at this width.
COMPLETION = ("encoder.pixels.", "decoder.neighbors.", "decoder.nearest.")
CONFIG = get_preset("nuwa-870m").transformer


def test_nuwa_870m_has_the_papers_size() -> None:
    with torch.device("meta"):
        model = Nuwa(CONFIG)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    counted = [name for name in sizes if not name.startswith((*VOCABULARY, *COMPLETION))]
    without_vocabulary = sum(sizes[name] for name in counted)
    assert set(VOCABULARY) <= set(sizes)
    assert abs(without_vocabulary - 870e6) < 0.02 * 870e6
    blocks = sum(sizes[name] for name in sizes if ".blocks." in name and name.endswith("weight"))
    assert abs(blocks - 528 * 1280**2) < 0.002 * 528 * 1280**2


def test_nuwa_870m_blocks_at_true_width() -> None:
    torch.manual_seed(0)
    one_layer = dataclasses.replace(
        CONFIG, encoder_layers=1, decoder_layers=1, visual_vocab=512, text_vocab=512
    )
    model = Nuwa(one_layer).bfloat16()
    target = torch.randint(0, 512, (1, 1, 21, 21))
    condition = Condition(torch.randint(1, 512, (1, 9)))
    logits = model(target, condition)
    loss = F.cross_entropy(logits.float().flatten(0, 3), target.flatten())
    loss.backward()
    assert abs(float(loss.detach()) - 6.24) < 0.5  # ln 512
    gradient = model.decoder.layers[0].attention.qkv.weight.grad
    assert gradient is not None and bool(gradient.isfinite().all()) and bool(gradient.any())
    waves = decode_waves(model, condition, GridShape(10, 21, 21), SamplingConfig(), seed=3)
    drawn = torch.cat([wave.tokens for wave in islice(waves, 5)])
    assert len(drawn) == 10  # waves of 1, 1, 2, 2 and, as the second frame begins, 4
    assert bool(((drawn >= 0) & (drawn < 512)).all())
