"""Train the dual encoder: texts and pictures of the same scene close, all others apart.

Symmetric InfoNCE over a batch of scenes; two scenes with the same subject in the same place are no
negatives of each other. Captions are those of the model's own training, in both languages, so the
dual encoder knows exactly the words that the model knows.

Besides it learns to tell places from small parts of them: crops of scenes without anybody, each against
the plain caption of every place at every hour. That is how an extension finds out what it extends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.model.convnet import shrink
from nuwa_cli.model.dual_encoder import DualEncoder, DualEncoderConfig, contrastive_loss
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.storybook.captions import view_caption
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import sample_scene
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.training.augment import augment
from nuwa_cli.training.fit import fit
from nuwa_cli.training.holes import crop, draw_crops
from nuwa_cli.training.scene_bank import CAPTION_KINDS, SceneBank, scene_bank
from nuwa_cli.training.scenes import TRAIN_SEEDS

Report = Callable[[str], None]
_RANKER_SEEDS = TRAIN_SEEDS + (1 << 51)
_VIEW_SEEDS = TRAIN_SEEDS + (1 << 52)
_UNSEEN_SEEDS = 1 << 31
_POOL = 16  # pictures among which `measure` looks for the right one
_LANDSCAPES = 1 << 9  # of each place, to cut crops from
_UNSEEN_LANDSCAPES = 1 << 16  # one in 128 of them was seen
_CROPPED = 0.9  # of the views: the others are whole


@dataclass(frozen=True, kw_only=True)
class DualEncoderRecipe:
    """How long and on how much; as given about half an hour of one CPU core."""

    train_scenes: int = 7000
    test_scenes: int = 512
    num_frames: int = 2  # frames kept of a scene, first and middle of the clip
    views: int = 4000
    test_views: int = 400
    view_size: int = 192  # pixels of a scene that crops are cut from
    steps: int = 1100
    batch_size: int = 96
    learning_rate: float = 2e-3
    seed: int = 0


def train_dual_encoder(
    renderer: Renderer,
    world: WorldConfig,
    text: TextTokenizer,
    run_dir: Path,
    recipe: DualEncoderRecipe | None = None,
    report: Report = lambda _: None,
) -> tuple[DualEncoder, dict[str, float]]:
    """Train the dual encoder; returns it in eval mode, rounded to bfloat16 as it will be stored,
    with its figures on unseen renders. Training sees the training split only, as the model does.
    Rendered scenes are kept in `run_dir`."""
    recipe = recipe or DualEncoderRecipe()
    torch.manual_seed(recipe.seed)
    config = DualEncoderConfig(text_vocab=text.vocab_size)
    model = DualEncoder(config)
    frames = [index * world.num_frames // recipe.num_frames for index in range(recipe.num_frames)]

    def bank(name: str, first_seed: int, count: int, split: str) -> SceneBank:
        specs = [sample_scene(first_seed + index, world, split=split) for index in range(count)]
        return scene_bank(renderer, specs, frames, config.image_size, run_dir / name, report)

    def views(name: str, first_seed: int, count: int, landscapes: int) -> _Views:
        wide = replace(world, landscape_pool=landscapes)
        specs = [sample_scene(first_seed + index, wide) for index in range(count)]
        empty = [replace(spec, subjects=()) for spec in specs]
        size = recipe.view_size
        return _Views(
            scene_bank(renderer, empty, frames[:1], size, run_dir / name, report),
            text.encode_batch(captions),
            torch.tensor(
                [captions.index(view_caption(places[spec.place], spec.time)) for spec in empty]
            ),
            config.image_size,
        )

    places = load_catalog().places
    captions = [
        view_caption(places[name], time) for name in world.places for time in places[name].times
    ]
    train = bank("train", _RANKER_SEEDS, recipe.train_scenes, "train")
    parts = views("views", _VIEW_SEEDS, recipe.views, _LANDSCAPES)
    report("training the dual encoder")
    _fit(model, train, parts, text, recipe, report)
    model.to(torch.bfloat16).float()
    figures = {}
    for split in ("train", "held_out"):
        unseen = bank(f"test-{split}", _UNSEEN_SEEDS, recipe.test_scenes, split)
        figures[f"right_of_{_POOL}_{split}"] = measure(model, unseen, text)
    unknown = views("test-views", _UNSEEN_SEEDS, recipe.test_views, _UNSEEN_LANDSCAPES)
    figures["views_right"] = unknown.measure(model)
    return model, figures


@dataclass(frozen=True)
class _Views:
    """Scenes without anybody, the caption of each, and among which captions it stands."""

    bank: SceneBank
    captions: Tensor  # int64 (k, L)
    right: Tensor  # int64 (n,): the caption of each scene
    image_size: int

    def crops(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Parts of some scenes, (b, 3, S, S) in [-1, 1]."""
        parts = draw_crops(torch.full((len(rows),), _CROPPED), generator)
        cut = crop(self.bank.frames[rows, 0], parts, smooth=True)
        return to_pixels(shrink(cut.float(), self.image_size))

    def loss(self, model: DualEncoder, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Cross entropy of the right caption among all, in nats."""
        pixels = augment(self.crops(rows, generator)[:, None], generator)[:, 0]
        return F.cross_entropy(model(self.captions, pixels).T, self.right[rows])

    @torch.inference_mode()
    def measure(self, model: DualEncoder) -> float:
        """How often the right caption is found for one crop of each scene."""
        generator = torch.Generator().manual_seed(0)
        rows = torch.arange(len(self.bank))
        found = model(self.captions, self.crops(rows, generator)).argmax(dim=0)
        return round(float((found == self.right).float().mean()), 4)


@torch.inference_mode()
def measure(model: DualEncoder, bank: SceneBank, text: TextTokenizer) -> float:
    """How often a caption finds its picture among `_POOL` pictures of other pairs (chance 0.06)."""
    pairs = _pairs(bank)
    right = total = 0
    for start in range(0, len(bank) - _POOL + 1, _POOL):
        rows = torch.arange(start, start + _POOL)
        tokens = text.encode_batch([bank.captions[row][0] for row in rows.tolist()])
        logits = model(tokens, bank.pixels(rows)[:, 0])
        best = pairs[rows][logits.argmax(1)]
        right += int((best == pairs[rows]).sum())
        total += _POOL
    return round(right / max(total, 1), 4)


def _fit(
    model: DualEncoder,
    bank: SceneBank,
    views: _Views,
    text: TextTokenizer,
    recipe: DualEncoderRecipe,
    report: Report,
) -> None:
    tokens = _encode_all(bank.captions, text)
    pairs = _pairs(bank)

    def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
        frame = torch.randint(bank.frames.shape[1], (len(rows),), generator=generator)
        which = torch.randint(len(CAPTION_KINDS), (len(rows),), generator=generator)
        pixels = augment(bank.pixels(rows, frame), generator)[:, 0]
        seen = torch.randint(len(views.bank), (len(rows),), generator=generator)
        loss = contrastive_loss(model(tokens[rows, which], pixels), pairs[rows])
        return loss + views.loss(model, seen, generator)

    fit(
        model,
        loss_of,
        len(bank),
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
        report=report,
    )


def _pairs(bank: SceneBank) -> Tensor:
    """One number (n,) for each pair of subject and place."""
    return (bank.labels["subject"] + 1) * 1000 + bank.labels["place"]


def _encode_all(captions: Sequence[Sequence[str]], text: TextTokenizer) -> Tensor:
    """Tokens (n, captions, L)."""
    return torch.stack([text.encode_batch(list(row)) for row in captions])
