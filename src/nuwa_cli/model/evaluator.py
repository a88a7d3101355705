"""The evaluator: what is in a picture, where it is, and which way it travels in a clip.

Two small classifiers, trained on rendered scenes only (`training/train_evaluator.py`) and never
used to choose among samples. `FrameNet` names subject and place of one frame; `MotionNet` sees a
few frames stacked as channels and names the direction of travel. The vectors in front of their
last layers are the features of the Fréchet distances.

Invariant: labels are stored by name and in order in the config, so an evaluator can be used with a
world that has grown since.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nuwa_cli.config import _Config, _require
from nuwa_cli.model.convnet import ConvTrunk, shrink
from nuwa_cli.ops.pixels import to_pixels

DIRECTIONS = ("still", "left", "right", "up", "down", "toward", "away", "hop")
"""Directions of travel that MotionNet tells apart."""

_SAME = {"jump": "hop", "bounce": "hop"}
_CHUNK = 64  # pictures judged at once


def direction_of(motion: str) -> str:
    """Direction of travel of a motion of the storybook world: jumping and bouncing both go up and
    down in place, and differ by their rhythm only."""
    return _SAME.get(motion, motion)


@dataclass(frozen=True, kw_only=True)
class EvaluatorConfig(_Config):
    """Label names in the order of the heads, and sizes; about 1.1 M parameters as given."""

    subjects: tuple[str, ...]
    places: tuple[str, ...]
    directions: tuple[str, ...]
    image_size: int = 96  # frames are shrunk to this square
    num_frames: int = 5  # frames that MotionNet sees, spread evenly over a clip
    frame_widths: tuple[int, ...] = (40, 80, 112)
    frame_depths: tuple[int, ...] = (2, 2, 2)
    motion_widths: tuple[int, ...] = (32, 48, 64)
    motion_depths: tuple[int, ...] = (1, 2, 1)

    def __post_init__(self) -> None:
        for name in ("subjects", "places", "directions"):
            labels = getattr(self, name)
            _require(len(set(labels)) == len(labels) > 0, f"{name}: empty, or a name comes twice")
        for kind in ("frame", "motion"):
            widths, depths = getattr(self, f"{kind}_widths"), getattr(self, f"{kind}_depths")
            _require(len(widths) == len(depths), f"{kind}_widths and _depths differ in length")
        _require(self.num_frames >= 2, f"num_frames {self.num_frames}: motion needs two or more")


class FrameOutput(NamedTuple):
    """What FrameNet says of frames: logits (b, subjects), (b, places), features (b, c)."""

    subject: Tensor
    place: Tensor
    features: Tensor


class Judgement(NamedTuple):
    """Verdicts on n samples: label indices (n,) int64; features (n, c) float32.

    `direction` is None for pictures. For clips, subject and place are decided by the mean of the
    logits over the frames, and `features` joins the mean frame features with those of MotionNet.
    """

    subject: Tensor
    place: Tensor
    direction: Tensor | None
    features: Tensor


class FrameNet(nn.Module):
    """Frames (b, 3, S, S) in [-1, 1] → subject and place."""

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        self.trunk = ConvTrunk(3, config.frame_widths, config.frame_depths)
        self.subject = nn.Linear(self.trunk.out_channels, len(config.subjects))
        self.place = nn.Linear(self.trunk.out_channels, len(config.places))

    def forward(self, frames: Tensor) -> FrameOutput:
        features = self.trunk(frames).mean((2, 3))
        return FrameOutput(self.subject(features), self.place(features), features)


class MotionNet(nn.Module):
    """Clips (b, T, 3, S, S) in [-1, 1] → logits (b, directions), features (b, c)."""

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        channels = 3 * (2 * config.num_frames - 1)
        self.trunk = ConvTrunk(channels, config.motion_widths, config.motion_depths)
        self.direction = nn.Linear(self.trunk.out_channels, len(config.directions))

    def forward(self, clips: Tensor) -> tuple[Tensor, Tensor]:
        # Differences of neighbouring frames are what moves; given outright, they need no learning.
        stacked = torch.cat([clips, clips[:, 1:] - clips[:, :-1]], dim=1).flatten(1, 2)
        features = self.trunk(stacked).mean((2, 3))
        return self.direction(features), features


class Evaluator(nn.Module):
    """Both nets, and verdicts on uint8 frames of any size."""

    def __init__(self, config: EvaluatorConfig) -> None:
        super().__init__()
        self.config = config
        self.frame_net = FrameNet(config)
        self.motion_net = MotionNet(config)

    @torch.inference_mode()
    def judge_images(self, images: Tensor) -> Judgement:
        """Verdicts on pictures (n, 3, H, W) uint8. The model must be in eval mode."""
        outputs = [self.frame_net(chunk) for chunk in self._prepared(images)]
        subject, place, features = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        return Judgement(subject.argmax(1), place.argmax(1), None, features.float())

    @torch.inference_mode()
    def judge_videos(self, videos: Tensor) -> Judgement:
        """Verdicts on clips (n, T, 3, H, W) uint8 of any T. The model must be in eval mode."""
        picked = videos[:, pick_frames(videos.shape[1], self.config.num_frames)]
        clips = [torch.cat(list(self._prepared(video))) for video in picked]
        return self.judge_pixels(torch.stack(clips))

    @torch.inference_mode()
    def judge_pixels(self, clips: Tensor) -> Judgement:
        """Verdicts on clips (n, num_frames, 3, S, S) that already have the nets' own size."""
        count, num_frames = clips.shape[:2]
        output = self.frame_net(clips.flatten(0, 1))
        subject, place, features = (x.unflatten(0, (count, num_frames)).mean(1) for x in output)
        direction, motion_features = self.motion_net(clips)
        joined = torch.cat([features, motion_features], dim=1).float()
        return Judgement(subject.argmax(1), place.argmax(1), direction.argmax(1), joined)

    def _prepared(self, images: Tensor) -> Iterator[Tensor]:
        weight = self.frame_net.subject.weight
        for start in range(0, len(images), _CHUNK):
            pixels = to_pixels(images[start : start + _CHUNK].to(weight.device))
            yield shrink(pixels, self.config.image_size).to(weight.dtype)


def pick_frames(num_frames: int, count: int) -> list[int]:
    """`count` frame indices spread evenly from the first to the last of `num_frames`; frames
    repeat when there are fewer than asked for."""
    last = num_frames - 1
    return [round(index * last / (count - 1)) for index in range(count)]
