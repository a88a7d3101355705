"""What a step of the model stage trains on: a task drawn by weight, and scenes rendered for it.

Batches are pure functions of (recipe, step) and are made on workers, so a resumed run sees the same
data. Which conditions a sample has is decided here; the stage only computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.presets import get_preset
from nuwa_cli.storybook.captions import caption
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.motion import MOTIONS
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.storybook.world import TIMES
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.tokenizer.vqgan_seg import resize
from nuwa_cli.training.holes import cover_subjects, draw_crops, draw_holes
from nuwa_cli.training.recipe import Phase, TrainRecipe
from nuwa_cli.training.scenes import SceneBatch, SceneSource
from nuwa_cli.training.sketches import simplify
from nuwa_cli.training.stage import step_generator

_PICTURES = ("t2i", "s2i", "i2i")
_SKETCHES = ("s2i", "s2v")
_COMPLETIONS = ("i2i", "tv2v")
_NEARLY_ALL = 0.85  # of a picture: a hole that leaves little known
_KNOWN_FRAMES = 0.5  # of clips with holes: how many begin with frames that are known whole


@dataclass(frozen=True)
class ModelOptions:
    """`[options]` of a model recipe."""

    condition_dropout: float = 0.12  # texts left out, as the other half of guidance needs
    subject_weight: float = 3.0
    changed_weight: float = 1.0  # extra weight of cells that differ from the frame before
    attribute_weight: float = 0.1
    token_noise: float = 0.03
    layout_dropout: float = 0.12  # texts that come without a layout
    bare_layout_dropout: float = 0.5  # clips without text, and sketches, that come without a layout
    layout_weight: float = 0.05  # of the planner's loss
    sketch_text_dropout: float = 0.35  # sketches that come without text
    simplified_share: float = 0.4  # sketches drawn as a hand would
    hole_text_dropout: float = 0.35  # completions that come without text
    hole_layout_dropout: float = 0.35  # completions that come without a layout
    joint_weight: float = (
        3.0  # extra weight of hole cells that meet something known on their right or below
    )
    crop_share: float = 0.2  # completions with a text that show an enlarged part of a scene
    subject_hole_share: float = 0.2  # holes that lie over a subject
    bare_crop_share: float = 0.6  # completions without one: what an extension's windows look like
    trained: tuple[str, ...] = ()  # how names of parameters begin that alone learn; all by default
    sample_guidance: float = 2.0
    sample_prompts: tuple[str, ...] = ()


@dataclass(frozen=True)
class TaskBatch:
    """What one step trains on, before its pictures are tokenized."""

    task: str
    text: Tensor  # (b, L)
    labels: dict[str, Tensor]  # attribute → (b,) int64
    scenes: SceneBatch | None = None  # None: text alone
    sketch: Tensor | None = None  # (b, t, S, S) uint8 classes, S of the sketch tokenizer
    noise: Tensor | None = None  # (b, t, h, w) a token to show instead of the true one, or -1
    has_layout: Tensor | None = None  # bool (b,)
    holes: Tensor | None = None  # bool (b, t, S, S): what a completion does not see

    @property
    def is_picture(self) -> bool:
        """Whether the target is a lone picture."""
        return self.task in _PICTURES

    @property
    def is_completion(self) -> bool:
        """Whether the target is given but for a hole."""
        return self.task in _COMPLETIONS

    @property
    def time_offset(self) -> int:
        """Number of the first frame; a lone picture is always a first frame."""
        return self.scenes.first_frame if self.scenes and not self.is_picture else 0


class TaskBatches:
    """Makes the batch of any step."""

    def __init__(
        self,
        recipe: TrainRecipe,
        options: ModelOptions,
        source: SceneSource,
        text: TextTokenizer,
    ) -> None:
        self.recipe = recipe
        self.options = options
        self.source = source
        self.text = text

    def make(self, step: int) -> TaskBatch:
        """Draw the task of a step and render its scenes."""
        phase = self.recipe.phase_at(step)
        generator = step_generator(self.recipe.seed, step, "batch")
        task = _draw_task(phase, generator)
        if task == "text":
            specs = self.source.specs(step, 64) + self.source.specs(step + (1 << 22), 64)
            captions = [caption(spec, spec.seed + 1, kind="video") for spec in specs]
            return TaskBatch(task, self.encode_text(captions), _labels(specs))
        count, frames = (phase.images, 1) if task in _PICTURES else (phase.clips, phase.num_frames)
        scenes = self.source.batch(step, count, frames)
        captions = self._captions(task, scenes, generator)
        noise = self._noise((count, frames), generator)
        has_layout = self._has_layout(task, captions, generator)
        holes = None
        if task in _COMPLETIONS:
            holes = self._drawn_holes(count, generator)
            crops = draw_crops(self._crop_shares(captions, holes), generator)
            scenes = scenes.cropped(crops)
            captions = [
                now if told else "" for told, now in zip(captions, scenes.captions, strict=True)
            ]
            holes = self._holes(holes, scenes, generator)
        return TaskBatch(
            task,
            self.encode_text(captions),
            _labels(scenes.specs),
            scenes,
            self._sketch(task, scenes, generator),
            noise,
            has_layout,
            holes,
        )

    def encode_text(self, captions: list[str]) -> Tensor:
        """Text tokens (b, L)."""
        return self.text.encode_batch(
            captions, get_preset(self.recipe.preset).transformer.max_text_len
        )

    def _captions(self, task: str, scenes: SceneBatch, generator: torch.Generator) -> list[str]:
        """The captions that the model may read; an empty one is the word "None"."""
        options = self.options
        share = options.condition_dropout
        if task in _SKETCHES:
            share = options.sketch_text_dropout
        elif task in _COMPLETIONS:
            share = options.hole_text_dropout
        dropped = torch.rand(len(scenes.captions), generator=generator) < share
        return [
            "" if drop or task == "v2v" else text
            for text, drop in zip(scenes.captions, dropped.tolist(), strict=True)
        ]

    def _has_layout(self, task: str, captions: list[str], generator: torch.Generator) -> Tensor:
        chance = torch.rand(len(captions), generator=generator)
        if task in ("t2i", "t2v"):
            told = torch.tensor([bool(text) for text in captions])
            return (chance >= self.options.layout_dropout) & told
        if task in _COMPLETIONS:
            return chance >= self.options.hole_layout_dropout
        return chance >= self.options.bare_layout_dropout

    def _crop_shares(self, captions: list[str], holes: Tensor) -> Tensor:
        """How likely each sample shows a part of its scene, (b,). One of which little is known does not:
        a window of an extension knows a quarter, and what else is drawn nearly from nothing is a scene."""
        options = self.options
        shares = torch.tensor(
            [options.crop_share if text else options.bare_crop_share for text in captions]
        )
        return shares * (holes.flatten(1).float().mean(dim=1) < _NEARLY_ALL)

    def _sketch(self, task: str, scenes: SceneBatch, generator: torch.Generator) -> Tensor | None:
        if task not in _SKETCHES:
            return None
        size = get_preset(self.recipe.preset).sketch_tokenizer.image_size
        return simplify(resize(scenes.classes, size), self.options.simplified_share, generator)

    def _drawn_holes(self, count: int, generator: torch.Generator) -> Tensor:
        size = get_preset(self.recipe.preset).tokenizer
        return draw_holes(count, size.image_size, size.downsample_factor, generator)

    def _holes(self, holes: Tensor, scenes: SceneBatch, generator: torch.Generator) -> Tensor:
        """One hole of (b, S, S) all along a clip, some of them over its subject; some clips begin with a
        few frames that are known whole."""
        count, frames = scenes.subject_mask.shape[:2]
        subjects = scenes.subject_mask.amax(dim=1) > 0
        holes = cover_subjects(holes, subjects, self.options.subject_hole_share, generator)
        holes = holes[:, None].repeat(1, frames, 1, 1)
        for index in range(count if frames > 1 and scenes.first_frame == 0 else 0):
            chance, share = torch.rand(2, generator=generator).tolist()
            if chance < _KNOWN_FRAMES:
                holes[index, : 1 + int(share * (frames - 1))] = False
        return holes

    def _noise(self, counts: tuple[int, int], generator: torch.Generator) -> Tensor:
        size = get_preset(self.recipe.preset).transformer
        shape = (*counts, size.grid_height, size.grid_width)
        is_noise = torch.rand(shape, generator=generator) < self.options.token_noise
        return torch.randint(0, size.visual_vocab, shape, generator=generator).where(
            is_noise, torch.tensor(-1)
        )


def _draw_task(phase: Phase, generator: torch.Generator) -> str:
    names = sorted(phase.mix)
    weights = torch.tensor([float(phase.mix[name]) for name in names])
    return names[int(torch.multinomial(weights, 1, generator=generator))]


def _labels(specs: tuple[SceneSpec, ...] | list[SceneSpec]) -> dict[str, Tensor]:
    return {name: torch.tensor([spec.labels[name] for spec in specs]) for name in label_sizes()}


def label_sizes() -> dict[str, int]:
    """Attributes that the pooled text predicts while training, and how many values each has."""
    catalog = load_catalog()
    return {
        "place": len(catalog.places),
        "subject": len(catalog.subjects),
        "time": len(TIMES),
        "motion": len(MOTIONS),
    }
