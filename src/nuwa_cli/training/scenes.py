"""Endless training data: scenes of the storybook world as tensors, addressed by (seed, step)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.storybook.captions import caption
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import SceneSpec, sample_scene
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.tokenizer.vqgan_seg import resize
from nuwa_cli.training.holes import crop

TRAIN_SEEDS = 1 << 40
"""Training scenes have seeds from here on; smaller seeds are never trained on (evaluation's own)."""


def make_world(name: str, changes: dict[str, Any]) -> WorldConfig:
    """The world of a recipe: `core` or `full`, with some of its probabilities changed.

    Raises UsageError for another name or an unknown field.
    """
    worlds = {"core": WorldConfig.core, "full": WorldConfig.full}
    if name not in worlds:
        raise UsageError(f"world '{name}': unknown; choose one of {', '.join(worlds)}")
    try:
        return dataclasses.replace(worlds[name](), **changes)
    except TypeError as error:
        raise UsageError(f"world '{name}': {error}; see WorldConfig for its fields") from error


@dataclass(frozen=True)
class SceneBatch:
    """Rendered scenes of one step, as they come from a worker: small and on the CPU."""

    frames: Tensor  # (b, T, 3, H, W) uint8
    subject_mask: Tensor  # (b, T, H, W) uint8, 1 where the subject is
    key_masks: Tensor  # (b, 3, H, W) uint8, the same at first, middle and last frame of the clip
    classes: Tensor  # (b, T, H, W) uint8 sketch classes
    specs: tuple[SceneSpec, ...]
    captions: tuple[str, ...]
    first_frame: int

    def pixels(self, device: torch.device | str = "cpu") -> Tensor:
        """Frames (b, T, 3, H, W) float32 in [-1, 1]."""
        return to_pixels(self.frames.to(device))

    def subject(self, device: torch.device | str = "cpu") -> Tensor:
        """Subject mask (b, T, 1, H, W) float32."""
        return self.subject_mask.to(device).float()[:, :, None]

    def cropped(self, crops: Tensor) -> SceneBatch:
        """The same scenes, each cut to a part of its frames (b, 3) (`holes.draw_crops`). A part in which
        the subject never appears is a scene of its place alone, and its caption says no more: what the
        windows of an extension are told."""
        subject_mask = crop(self.subject_mask, crops, smooth=False)
        is_bare = (crops[:, 2] < 1) & ~subject_mask.flatten(1).any(dim=1)
        kind = "image" if subject_mask.shape[1] == 1 else "video"
        specs, captions = list(self.specs), list(self.captions)
        for index in is_bare.nonzero()[:, 0].tolist():
            specs[index] = dataclasses.replace(specs[index], subjects=())
            captions[index] = caption(specs[index], specs[index].seed + 1, kind=kind)
        return dataclasses.replace(
            self,
            frames=crop(self.frames, crops, smooth=True),
            subject_mask=subject_mask,
            classes=crop(self.classes, crops, smooth=False),
            specs=tuple(specs),
            captions=tuple(captions),
        )


class SceneSource:
    """Scenes at a model's picture size; a batch is a pure function of (seed, step)."""

    def __init__(
        self, renderer: Renderer, world: WorldConfig, image_size: int, seed: int, num_frames: int
    ) -> None:
        self.renderer = renderer
        self.world = world
        self.image_size = image_size
        self.seed = seed
        self.num_frames = num_frames

    def specs(self, step: int, count: int) -> list[SceneSpec]:
        """The scenes of a step."""
        first = TRAIN_SEEDS + (self.seed << 36) + step * 64
        return [sample_scene(first + index, self.world, split="train") for index in range(count)]

    def batch(self, step: int, count: int, frames: int = 1) -> SceneBatch:
        """`count` scenes, `frames` consecutive frames of each, starting anywhere in the clip."""
        specs = self.specs(step, count)
        kind = "image" if frames == 1 else "video"
        first = (step * 7919 + self.seed) % (self.num_frames - frames + 1)
        window = list(range(first, first + frames))
        last = self.num_frames - 1
        keys = [0, last // 2, last] if frames > 1 else []
        rendered = self.renderer.render(specs, window + keys)
        captions = [caption(spec, spec.seed + 1, kind=kind) for spec in specs]
        return SceneBatch(
            frames=self._fit(rendered.pixels[:, :frames]),
            subject_mask=resize(rendered.subject_mask[:, :frames], self.image_size),
            key_masks=resize(rendered.subject_mask[:, frames:], self.image_size),
            classes=resize(rendered.classes[:, :frames], self.image_size),
            specs=tuple(specs),
            captions=tuple(captions),
            first_frame=first,
        )

    def _fit(self, frames: Tensor) -> Tensor:
        """(b, T, 3, 256, 256) uint8 → the same at the model's size."""
        if frames.shape[-1] == self.image_size:
            return frames
        size = (self.image_size, self.image_size)
        flat = F.interpolate(frames.flatten(0, 1).float(), size=size, mode="area")
        return flat.round().to(torch.uint8).view(*frames.shape[:2], *flat.shape[1:])
