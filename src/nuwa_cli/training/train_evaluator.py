"""Train the judges of `nuwa eval` on renders: subject, place, direction of travel.

They learn from every pair, held out or not: a judge that had never seen a golfer in a pool would
hide the model's success there. What they must not learn from is anything the model made. Accuracy
is measured on scenes of seeds that no training, of judges or of models, ever uses.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.model.evaluator import (
    DIRECTIONS,
    Evaluator,
    EvaluatorConfig,
    direction_of,
    pick_frames,
)
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.motion import MOTIONS
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import SceneSpec, sample_scene
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.training.augment import augment
from nuwa_cli.training.fit import fit
from nuwa_cli.training.scene_bank import SceneBank, scene_bank
from nuwa_cli.training.scenes import TRAIN_SEEDS

Report = Callable[[str], None]
_JUDGE_SEEDS = TRAIN_SEEDS + (1 << 50)  # far from every seed that a model run uses
_UNSEEN_SEEDS = 1 << 30  # below TRAIN_SEEDS: never trained on
_HELD_OUT_EVERY = 5  # one scene in five shows a held-out pair


@dataclass(frozen=True, kw_only=True)
class EvaluatorRecipe:
    """How long and on how much; as given about seventeen minutes of one CPU core."""

    train_scenes: int = 7000
    test_scenes: int = 1000
    frame_steps: int = 2600
    motion_steps: int = 900
    batch_size: int = 64
    learning_rate: float = 3e-3
    seed: int = 0


def train_evaluator(
    renderer: Renderer,
    world: WorldConfig,
    run_dir: Path,
    recipe: EvaluatorRecipe | None = None,
    report: Report = lambda _: None,
) -> tuple[Evaluator, dict[str, float]]:
    """Train both nets; returns them in eval mode, rounded to bfloat16 as they will be stored, with
    their accuracy (0 … 1) on unseen renders. Rendered scenes are kept in `run_dir`."""
    recipe = recipe or EvaluatorRecipe()
    torch.manual_seed(recipe.seed)
    catalog = load_catalog()
    config = EvaluatorConfig(subjects=world.subjects, places=world.places, directions=DIRECTIONS)
    evaluator = Evaluator(config)
    frames = pick_frames(world.num_frames, config.num_frames)

    def bank(name: str, first_seed: int, count: int) -> SceneBank:
        specs = single_subject_scenes(world, first_seed, count)
        rendered = scene_bank(renderer, specs, frames, config.image_size, run_dir / name, report)
        return dataclasses.replace(rendered, labels=_labels(rendered, config, catalog_order))

    catalog_order = (tuple(catalog.subjects), tuple(catalog.places))
    train = bank("train", _JUDGE_SEEDS, recipe.train_scenes)
    _fit_frames(evaluator, train, recipe, report)
    _fit_motion(evaluator, train, recipe, report)
    evaluator.to(torch.bfloat16).float()
    accuracy = measure(evaluator, bank("test", _UNSEEN_SEEDS, recipe.test_scenes))
    return evaluator, accuracy


def single_subject_scenes(world: WorldConfig, first_seed: int, count: int) -> list[SceneSpec]:
    """Scenes with exactly one subject, so that their label is not a matter of opinion, and with
    more of the rare motions than a model is trained on."""
    alone = dataclasses.replace(
        world, pair_probability=0.0, empty_probability=0.0, travel_probability=0.45
    )
    return [
        sample_scene(
            first_seed + index,
            alone,
            split="held_out" if index % _HELD_OUT_EVERY == 0 else "train",
        )
        for index in range(count)
    ]


@torch.inference_mode()
def measure(evaluator: Evaluator, bank: SceneBank) -> dict[str, float]:
    """Accuracy on a bank: subject and place of single frames and of clips, direction of clips, and
    the same after the damage that generated pictures have."""
    evaluator.eval()
    sums: dict[str, float] = {}
    generator = torch.Generator().manual_seed(0)
    for start in range(0, len(bank), 64):
        rows = torch.arange(start, min(start + 64, len(bank)))
        clean = bank.pixels(rows)
        for suffix, clips in (("", clean), ("_softened", augment(clean, generator))):
            judged = evaluator.judge_pixels(clips)
            first = evaluator.frame_net(clips[:, 0])
            verdicts = {
                "subject": first.subject.argmax(1) == bank.labels["subject"][rows],
                "place": first.place.argmax(1) == bank.labels["place"][rows],
                "subject_of_clip": judged.subject == bank.labels["subject"][rows],
                "place_of_clip": judged.place == bank.labels["place"][rows],
                "direction": judged.direction == bank.labels["direction"][rows],
            }
            for name, right in verdicts.items():
                sums[name + suffix] = sums.get(name + suffix, 0.0) + float(right.sum())
    return {name: round(total / len(bank), 4) for name, total in sums.items()}


def _labels(
    bank: SceneBank, config: EvaluatorConfig, catalog_order: tuple[tuple[str, ...], ...]
) -> dict[str, Tensor]:
    """Labels as rows of the evaluator's heads; the catalog numbers its entries differently."""

    def remap(values: Tensor, names: tuple[str, ...], heads: tuple[str, ...]) -> Tensor:
        return torch.tensor([heads.index(names[value]) for value in values.tolist()])

    subjects, places = catalog_order
    directions = tuple(direction_of(motion) for motion in MOTIONS)
    return {
        "subject": remap(bank.labels["subject"], subjects, config.subjects),
        "place": remap(bank.labels["place"], places, config.places),
        "direction": remap(bank.labels["motion"], directions, config.directions),
    }


def _fit_frames(
    evaluator: Evaluator, bank: SceneBank, recipe: EvaluatorRecipe, report: Report
) -> None:
    net = evaluator.frame_net

    def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
        frame = torch.randint(bank.frames.shape[1], (len(rows),), generator=generator)
        pixels = bank.pixels(rows, frame)
        if torch.rand((), generator=generator) < 0.5:
            pixels = pixels.flip(-1)
        output = net(augment(pixels, generator)[:, 0])
        return F.cross_entropy(
            output.subject, bank.labels["subject"][rows], label_smoothing=0.05
        ) + 0.5 * F.cross_entropy(output.place, bank.labels["place"][rows], label_smoothing=0.05)

    report("training the frame net")
    _run(net, loss_of, bank, recipe, recipe.frame_steps, report)


def _fit_motion(
    evaluator: Evaluator, bank: SceneBank, recipe: EvaluatorRecipe, report: Report
) -> None:
    net, names = evaluator.motion_net, evaluator.config.directions
    mirror = {"left": "right", "right": "left"}
    mirrored = torch.tensor([names.index(mirror.get(name, name)) for name in names])

    def loss_of(rows: Tensor, generator: torch.Generator) -> Tensor:
        clips, direction = bank.pixels(rows), bank.labels["direction"][rows]
        if torch.rand((), generator=generator) < 0.5:
            clips, direction = clips.flip(-1), mirrored[direction]
        logits, _ = net(augment(clips, generator))
        return F.cross_entropy(logits, direction, label_smoothing=0.05)

    report("training the motion net")
    _run(net, loss_of, bank, recipe, recipe.motion_steps, report)


def _run(
    net: torch.nn.Module,
    loss_of: Callable[[Tensor, torch.Generator], Tensor],
    bank: SceneBank,
    recipe: EvaluatorRecipe,
    steps: int,
    report: Report,
) -> None:
    fit(
        net,
        loss_of,
        len(bank),
        steps=steps,
        batch_size=recipe.batch_size,
        learning_rate=recipe.learning_rate,
        seed=recipe.seed,
        report=report,
    )
