"""The layers of a frame as tensor code: sprites, shadows, balls, water in front, weather, the
camera's zoom.

Every layer works only inside the region that it covers and blends with premultiplied alpha in
float32; the canvas stays uint8. A layer that is a subject sets the class of the pixels that it
covers by more than a half.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa_cli.storybook.spec import SceneSpec

FRAME_SIZE = 256

Region = tuple[int, int, int, int]


@dataclass
class Canvas:
    """One frame in the making."""

    pixels: Tensor
    classes: Tensor
    mask: Tensor


@dataclass(frozen=True)
class Box:
    """Where a sprite's square lies in the frame, in pixels; `feet` is the bottom of its visible
    part.
    """

    center_x: float
    center_y: float
    side: float
    feet: float
    width: float
    height: float


def region_of(cx: float, cy: float, half_x: float, half_y: float) -> Region | None:
    """(top, bottom, left, right) of a box clipped to the frame, None outside of it."""
    top, bottom = max(0, math.floor(cy - half_y)), min(FRAME_SIZE, math.ceil(cy + half_y))
    left, right = max(0, math.floor(cx - half_x)), min(FRAME_SIZE, math.ceil(cx + half_x))
    return (top, bottom, left, right) if top < bottom and left < right else None


def offsets(region: Region, cx: float, cy: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixel centres of a region relative to a point: dx (1, w), dy (h, 1)."""
    top, bottom, left, right = region
    dy = torch.arange(top, bottom, dtype=torch.float32, device=device)[:, None] + (0.5 - cy)
    dx = torch.arange(left, right, dtype=torch.float32, device=device)[None, :] + (0.5 - cx)
    return dx, dy


def blend(
    canvas: Canvas, region: Region, color: Tensor, alpha: Tensor, class_id: int | None
) -> None:
    """Lay a premultiplied colour (3, h, w) in [0, 255] with alpha (h, w) over a region; a class
    marks a subject.
    """
    top, bottom, left, right = region
    part = canvas.pixels[:, top:bottom, left:right]
    mixed = torch.addcmul(color, part.to(torch.float32), 1.0 - alpha)
    part.copy_(mixed.add_(0.5).clamp_(0, 255))
    if class_id is not None:
        solid = alpha > 0.5
        canvas.classes[top:bottom, left:right].masked_fill_(solid, class_id)
        canvas.mask[top:bottom, left:right].masked_fill_(solid, 1)


def paste(
    canvas: Canvas,
    sprite: Tensor,
    box: Box,
    rotation: float,
    mirrored: bool,
    class_id: int,
    tint: Tensor,
) -> None:
    angle = math.radians(rotation)
    reach = box.side / 2 * (abs(math.cos(angle)) + abs(math.sin(angle)))
    region = region_of(box.center_x, box.center_y, reach, reach)
    if region is None:
        return
    dx, dy = offsets(region, box.center_x, box.center_y, sprite.device)
    scale = 2.0 / box.side
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    grid = torch.stack([-u if mirrored else u, v], dim=-1)
    drawn = F.grid_sample(
        sprite[None].to(torch.float32), grid[None], mode="bilinear", align_corners=False
    )[0]
    blend(canvas, region, drawn[:3] * tint, drawn[3] / 255.0, class_id)


def shadow(canvas: Canvas, box: Box, line: float, lift: float) -> None:
    """A soft ellipse on the ground, fainter and smaller the higher the subject is."""
    fade = max(0.0, 1.0 - 2.5 * lift)
    if fade == 0.0:
        return
    half_x = box.width * 0.5 * (0.75 + 0.25 * fade)
    half_y = max(4.0, half_x * 0.17)
    y = line * FRAME_SIZE - half_y * 0.25
    region = region_of(box.center_x, y, half_x, half_y)
    if region is None:
        return
    dx, dy = offsets(region, box.center_x, y, canvas.pixels.device)
    inside = (1.0 - (dx / half_x) ** 2 - (dy / half_y) ** 2).clamp_(0, 1)
    alpha = inside.sqrt_() * (0.34 * fade)
    blend(canvas, region, torch.zeros((3, 1, 1), device=alpha.device), alpha, None)


def disc(canvas: Canvas, x: float, y: float, radius: float, class_id: int) -> None:
    """A white ball with a little shade."""
    region = region_of(x, y, radius + 1, radius + 1)
    if region is None:
        return
    dx, dy = offsets(region, x, y, canvas.pixels.device)
    alpha = (radius + 0.5 - (dx * dx + dy * dy).sqrt()).clamp_(0, 1)
    shade = 252.0 - 60.0 * ((dx + dy) / (2 * radius)).clamp(0, 1)
    blend(canvas, region, (shade * alpha).expand(3, -1, -1), alpha, class_id)


def cover(canvas: Canvas, front: Tensor, classes: Tensor, rows: tuple[int, int]) -> None:
    """Lay `front` (4, H, W) uint8, the hiding part of the landscape, over the subjects in `rows`.

    Where it is at least half opaque, the pixel is the landscape's again (`classes` (H, W)).
    """
    top, bottom = rows
    opacity = front[3, top:bottom]
    part = canvas.pixels[:, top:bottom]
    water = front[:3, top:bottom].to(torch.float32)
    mixed = torch.lerp(part.to(torch.float32), water, opacity.to(torch.float32) / 255.0)
    part.copy_(mixed.add_(0.5))
    hidden = opacity >= 128
    here = canvas.classes[top:bottom]
    here.copy_(torch.where(hidden, classes[top:bottom], here))
    canvas.mask[top:bottom].masked_fill_(hidden, 0)


def ripple(canvas: Canvas, box: Box, line: float) -> None:
    """A pale ring on the water around what floats in it."""
    half_x = 0.56 * box.width
    half_y = max(5.0, 0.15 * half_x)
    y = line * FRAME_SIZE + 0.4 * half_y
    region = region_of(box.center_x, y, half_x, half_y)
    if region is None:
        return
    dx, dy = offsets(region, box.center_x, y, canvas.pixels.device)
    distance = (dx / half_x) ** 2 + (dy / half_y) ** 2
    alpha = (1.0 - ((distance - 0.72) / 0.28).abs()).clamp_(0, 1) * 0.42
    blend(canvas, region, (alpha * 246.0).expand(3, -1, -1), alpha, None)


def weather(canvas: Canvas, spec: SceneSpec, index: int) -> None:
    """A few large soft drops or flakes, falling by the frame; their places come from the seed."""
    device = canvas.pixels.device
    is_rain = spec.weather == "rain"
    count, fall = (26, 0.36) if is_rain else (30, 0.09)
    state = spec.seed * 2654435761 + 97
    for _ in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) & (2**64 - 1)
        x, y = (state >> 16 & 0xFFFF) / 65536, (state >> 32 & 0xFFFF) / 65536
        size = 0.6 + (state >> 48) / 65536
        y = (y + index * fall * size) % 1.0 * FRAME_SIZE
        x = (x + (0.0 if is_rain else 0.02 * math.sin(index * 0.9 + size * 9))) % 1.0 * FRAME_SIZE
        half_x, half_y = (1.0, 9.0 * size) if is_rain else (2.6 * size, 2.6 * size)
        region = region_of(x, y, half_x + 1, half_y + 1)
        if region is None:
            continue
        dx, dy = offsets(region, x, y, device)
        inside = (1.0 - (dx / (half_x + 0.6)) ** 2 - (dy / (half_y + 0.6)) ** 2).clamp_(0, 1)
        alpha = inside * (0.5 if is_rain else 0.95)
        color = torch.tensor(
            (215.0, 228.0, 245.0) if is_rain else (255.0, 255.0, 255.0), device=device
        )
        blend(canvas, region, color.view(3, 1, 1) * alpha, alpha, None)


def zoomed(canvas: Canvas, zoom: float) -> Canvas:
    """The middle of the frame, enlarged `zoom` times (the lower middle: subjects stand there)."""
    span = 1.0 / zoom
    theta = torch.tensor(
        [[[span, 0.0, 0.0], [0.0, span, (1.0 - span) * 0.4]]], device=canvas.mask.device
    )
    grid = F.affine_grid(theta, [1, 1, FRAME_SIZE, FRAME_SIZE], align_corners=False)
    pixels = F.grid_sample(
        canvas.pixels[None].to(torch.float32), grid, align_corners=False, padding_mode="border"
    )
    labels = torch.stack([canvas.classes, canvas.mask])[None].to(torch.float32)
    labels = F.grid_sample(labels, grid, mode="nearest", align_corners=False, padding_mode="border")
    kinds = labels[0].to(torch.uint8)
    return Canvas((pixels[0] + 0.5).clamp(0, 255).to(torch.uint8), kinds[0], kinds[1])
