"""Damage that teaches the judging nets to look at shape and colour, not at crisp renders.

Generated pictures are softer than renders: edges blur, codes leave faint blocks, colours drift. The
nets of evaluation and re-ranking are trained on renders that were spoiled in the same ways, so that
a picture is marked down for what it shows and not for how sharp it is.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_GROUPS = 4  # a batch is damaged in this many ways at once
_CODE_CELL = 6  # pixels that one code covers in a picture of 96


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Spoil frames (b, T, 3, S, S) in [-1, 1]; every frame of a clip suffers the same.

    Each quarter of the batch draws its own: shift, colour, blur or lost resolution, faint blocks,
    noise; one quarter in five on average stays clean but for the shift.
    """
    groups = pixels.chunk(min(_GROUPS, len(pixels)))
    return torch.cat([_damage(group, generator) for group in groups]).clamp(-1.0, 1.0)


def _damage(pixels: Tensor, generator: torch.Generator) -> Tensor:
    def draw() -> float:
        return float(torch.rand((), generator=generator))

    shape = pixels.shape
    frames = _shift(pixels.flatten(0, 1), round(8 * draw() - 4), round(8 * draw() - 4))
    if draw() < 0.2:
        return frames.view(shape)
    frames = _recolor(frames, 0.24 * draw() - 0.12, 0.7 + 0.6 * draw(), 0.6 + 0.7 * draw())
    softening = draw()
    if softening < 0.35:
        frames = _resample(frames, 0.3 + 0.6 * draw())
    elif softening < 0.7:
        frames = _blur(frames, 0.3 + 1.6 * draw())
    if draw() < 0.4:
        frames = torch.lerp(frames, _blocks(frames), 0.5 * draw())
    if draw() < 0.5:
        noise = torch.randn(frames.shape, generator=generator)
        frames = frames + noise * (0.12 * draw())
    return frames.view(shape)


def _shift(frames: Tensor, dy: int, dx: int) -> Tensor:
    reach = max(abs(dy), abs(dx))
    if reach == 0:
        return frames
    size = frames.shape[-1]
    padded = F.pad(frames, (reach,) * 4, mode="replicate")
    return padded[..., reach + dy : reach + dy + size, reach + dx : reach + dx + size]


def _recolor(frames: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    gray = frames.mean(1, keepdim=True)
    return (gray + (frames - gray) * saturation) * contrast + brightness


def _resample(frames: Tensor, factor: float) -> Tensor:
    size = frames.shape[-1]
    small = F.interpolate(frames, (round(size * factor),) * 2, mode="bilinear", antialias=True)
    return F.interpolate(small, (size, size), mode="bilinear")


def _blur(frames: Tensor, sigma: float) -> Tensor:
    reach = max(1, round(2 * sigma))
    offsets = torch.arange(-reach, reach + 1, dtype=frames.dtype)
    kernel = torch.exp(-offsets.square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    planes = frames.flatten(0, 1)[:, None]
    planes = F.conv2d(F.pad(planes, (reach, reach, 0, 0), mode="replicate"), kernel)
    planes = F.conv2d(F.pad(planes, (0, 0, reach, reach), mode="replicate"), kernel.transpose(2, 3))
    return planes[:, 0].view_as(frames)


def _blocks(frames: Tensor) -> Tensor:
    size = frames.shape[-1]
    cells = max(1, size // _CODE_CELL)
    return F.interpolate(F.adaptive_avg_pool2d(frames, cells), (size, size), mode="nearest")
