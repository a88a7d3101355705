"""Train the segmenter of `nuwa eval` on renders: the class of every pixel.

It will judge generated pictures, so it sees renders, renders that went through the VQ-GAN, and
mixtures of both, spoiled further in colour and sharpness. As with the evaluator, held-out pairs are
shown to the judge, and what the model made never is. Pictures and class maps move together: a
shift that only the picture made would teach blurred borders.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.model.segmenter import LOGITS_FACTOR, SegmenterConfig, SegmentNet
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.sketches.palette import SKETCH_CLASSES
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import SceneSpec, sample_scene
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.training.fit import fit
from nuwa_cli.training.scenes import TRAIN_SEEDS
from nuwa_cli.training.segment_bank import SegmentBank, segment_bank
from nuwa_cli.training.sketches import class_weights

Report = Callable[[str], None]
_JUDGE_SEEDS = TRAIN_SEEDS + (3 << 50)  # far from every seed that a model run uses
_UNSEEN_SEEDS = 1 << 30  # below TRAIN_SEEDS: never trained on
_HELD_OUT_EVERY = 5  # one scene in five shows a held-out pair
_EMPTY_PROBABILITY = 0.05
_GROUPS = 4  # a batch is spoiled in this many ways at once
_SHIFT = 8  # pixels, at most


@dataclass(frozen=True, kw_only=True)
class SegmenterRecipe:
    """How long and on how much; as given about thirteen minutes of one CPU core."""

    train_scenes: int = 3600
    test_scenes: int = 400
    steps: int = 1700
    batch_size: int = 32
    learning_rate: float = 3e-3
    rarity_power: float = 0.25  # 0 = every pixel counts the same, 1 = every class
    seed: int = 0


def train_segmenter(
    renderer: Renderer,
    world: WorldConfig,
    vqgan: VQGAN,
    run_dir: Path,
    recipe: SegmenterRecipe | None = None,
    report: Report = lambda _: None,
) -> tuple[SegmentNet, dict[str, float]]:
    """Train the net on what `vqgan` (in eval mode) leaves of renders; returns it in eval mode,
    rounded to bfloat16 as it will be stored, with its pixel accuracy (0 … 1) on unseen renders.
    Rendered scenes are kept in `run_dir`."""
    recipe = recipe or SegmenterRecipe()
    torch.manual_seed(recipe.seed)
    config = SegmenterConfig(classes=tuple(entry.name for entry in SKETCH_CLASSES))
    net = SegmentNet(config)

    def bank(name: str, first_seed: int, count: int) -> SegmentBank:
        specs = segment_scenes(world, first_seed, count)
        return segment_bank(renderer, vqgan, specs, config.image_size, run_dir / name, report)

    train = bank("train", _JUDGE_SEEDS, recipe.train_scenes)
    weights = class_weights(train.classes, recipe.rarity_power)

    def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
        pixels, classes = views(train, rows, generator)
        logits = net(pixels).float()
        return F.cross_entropy(logits, _one_of_each_cell(classes, generator), weight=weights)

    report("training the segmenter")
    fit(
        net,
        loss_of,
        len(train),
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
        report=report,
    )
    net.to(torch.bfloat16).float()
    return net, measure(net, bank("test", _UNSEEN_SEEDS, recipe.test_scenes))


def segment_scenes(world: WorldConfig, first_seed: int, count: int) -> list[SceneSpec]:
    """Scenes of every kind, some of them empty, some with a held-out pair."""
    mixed = dataclasses.replace(world, empty_probability=_EMPTY_PROBABILITY)
    return [
        sample_scene(
            first_seed + index,
            mixed,
            split="held_out" if index % _HELD_OUT_EVERY == 0 else "train",
        )
        for index in range(count)
    ]


def measure(net: SegmentNet, bank: SegmentBank) -> dict[str, float]:
    """Pixel accuracy on renders and on what the VQ-GAN leaves of them, and the share of all class
    appearances (a class in a frame) of which more than half the pixels are found."""
    figures: dict[str, float] = {}
    num_classes = len(net.config.classes)
    for suffix, frames in (("", bank.clean), ("_restored", bank.restored)):
        hits = net.segment(frames) == bank.classes
        found, appearances = 0, 0
        for frame_hits, frame in zip(hits, bank.classes, strict=True):
            sizes = torch.bincount(frame.flatten(), minlength=num_classes)
            recalled = torch.bincount(frame[frame_hits], minlength=num_classes)
            found += int((2 * recalled > sizes).sum())
            appearances += int((sizes > 0).sum())
        figures[f"pixels{suffix}"] = round(float(hits.float().mean()), 4)
        figures[f"things{suffix}"] = round(found / appearances, 4)
    return figures


def views(bank: SegmentBank, rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Spoiled pictures (b, 3, S, S) in [-1, 1] of some frames, and their class maps (b, S, S)."""
    clean, restored = (to_pixels(x[rows]) for x in (bank.clean, bank.restored))
    # A quarter clean, half restored, the rest between.
    mix = torch.rand(len(rows), 1, 1, 1, generator=generator).mul(2.0).sub(0.5).mul(2.0)
    pixels = torch.lerp(clean, restored, mix.clamp(0.0, 1.0))
    classes = bank.classes[rows]
    count = min(_GROUPS, len(rows))
    parts = [
        _view(*part, generator)
        for part in zip(pixels.chunk(count), classes.chunk(count), strict=True)
    ]
    pictures, maps = zip(*parts, strict=True)
    return torch.cat(pictures).clamp(-1.0, 1.0), torch.cat(maps)


def _view(pixels: Tensor, classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """One group of a batch, all mirrored, shifted and spoiled alike."""

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    planes = torch.cat([pixels, classes[:, None].float()], dim=1)
    if draw(0, 1) < 0.5:
        planes = planes.flip(-1)
    size = planes.shape[-1]
    top, left = round(draw(0, 2 * _SHIFT)), round(draw(0, 2 * _SHIFT))
    padded = F.pad(planes, (_SHIFT,) * 4, mode="replicate")
    planes = padded[..., top : top + size, left : left + size]
    pixels, classes = planes[:, :-1], planes[:, -1].to(torch.uint8)
    gray = pixels.mean(1, keepdim=True)
    pixels = (gray + (pixels - gray) * draw(0.6, 1.3)) * draw(0.75, 1.25) + draw(-0.1, 0.1)
    if draw(0, 1) < 0.4:
        small = (round(size * draw(0.35, 0.9)),) * 2
        shrunk = F.interpolate(pixels, small, mode="bilinear", antialias=True)
        pixels = F.interpolate(shrunk, (size, size), mode="bilinear")
    if draw(0, 1) < 0.4:
        pixels = pixels + torch.randn(pixels.shape, generator=generator) * draw(0.0, 0.12)
    return pixels, classes


def _one_of_each_cell(classes: Tensor, generator: torch.Generator) -> Tensor:
    """Class maps (b, S, S) → (b, S/2, S/2) int64: of each cell of the logits one pixel, another one
    every time, so that on average a logit stands for the middle of its cell."""
    row, column = torch.randint(LOGITS_FACTOR, (2,), generator=generator).tolist()
    return classes[:, row::LOGITS_FACTOR, column::LOGITS_FACTOR].long()
