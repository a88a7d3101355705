"""From scene specs to pixels, class maps and subject masks: compositing as tensor code.

A frame is built back to front: the frame's window of the painted landscape, a soft contact shadow,
the subjects (premultiplied sprites through an affine grid, only inside the region that they
cover), the part of the landscape that hides them (water), weather. What is more than half opaque
gives a pixel its class, so the class map is exact; shadows and weather are see-through: they have
none.

Invariant: a frame depends on its spec and its index alone, not on which frames or scenes are
rendered with it.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.sketches.palette import CLASS_ID
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.landscapes import Landscape, paint
from nuwa_cli.storybook.layers import (
    FRAME_SIZE,
    Box,
    Canvas,
    cover,
    disc,
    paste,
    ripple,
    shadow,
    weather,
    zoomed,
)
from nuwa_cli.storybook.motion import Pose, ball_flight, pose, swing_angle
from nuwa_cli.storybook.spec import SceneSpec, SubjectSpec
from nuwa_cli.storybook.sprites import Sprite, SpritePack

Frames = Sequence[int] | Sequence[Sequence[int]] | None
Painter = Callable[[str, int, str], Landscape]

_TINT = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.92, 0.86), "night": (0.80, 0.84, 0.98)}
_TOP_MARGIN = 0.03
_BALL_RADIUS = 0.032


@dataclass(frozen=True)
class Rendered:
    """`pixels` uint8 (b, T, 3, H, W); `classes` uint8 (b, T, H, W), ids of `sketches.palette`;
    `subject_mask` uint8 (b, T, H, W), 1 where a subject (or its ball) is seen.
    """

    pixels: Tensor
    classes: Tensor
    subject_mask: Tensor


@dataclass
class _Backdrop:
    """A landscape as tensors on the renderer's device; `front_rows` are the rows where it hides
    things.
    """

    pixels: Tensor
    classes: Tensor
    ground: tuple[float, float]
    front: Tensor | None
    front_rows: tuple[int, int]


class Renderer:
    """Draws scenes with the sprites of a pack; landscapes are painted once and kept
    (`cache_size`).
    """

    def __init__(
        self,
        pack: SpritePack,
        *,
        device: str | torch.device = "cpu",
        cache_size: int = 512,
        painter: Painter = paint,
    ) -> None:
        self.device = torch.device(device)
        self._pack = pack
        self._paint = painter
        self._cache_size = cache_size
        self._backdrops: OrderedDict[tuple[str, int, str], _Backdrop] = OrderedDict()
        self._tints = {
            time: torch.tensor(tint, device=self.device).view(3, 1, 1)
            for time, tint in _TINT.items()
        }

    def render(
        self,
        specs: Sequence[SceneSpec],
        frames: Frames = None,
    ) -> Rendered:
        """Draw `specs`, all frames, or the given frame indices (one list for all, or one list per
        spec, all of one length).

        Gives (b, T) frames of 256 x 256 on the renderer's device. Raises `UsageError` where the
        frames do not fit the scenes.
        """
        lists = _frame_lists(specs, frames)
        canvases = [self._frame(s, i) for s, row in zip(specs, lists, strict=True) for i in row]
        count, length = len(specs), len(lists[0])
        return Rendered(
            torch.stack([c.pixels for c in canvases]).view(
                count, length, 3, FRAME_SIZE, FRAME_SIZE
            ),
            torch.stack([c.classes for c in canvases]).view(count, length, FRAME_SIZE, FRAME_SIZE),
            torch.stack([c.mask for c in canvases]).view(count, length, FRAME_SIZE, FRAME_SIZE),
        )

    def _backdrop(self, spec: SceneSpec) -> _Backdrop:
        key = (spec.place, spec.landscape_seed, spec.time)
        if key in self._backdrops:
            self._backdrops.move_to_end(key)
            return self._backdrops[key]
        land = self._paint(*key)
        front, rows = None, (0, 0)
        if land.front is not None:
            covered = torch.from_numpy(land.front[3]).amax(1).nonzero().flatten()
            if len(covered):
                rows = (int(covered[0]), int(covered[-1]) + 1)
                front = torch.from_numpy(land.front).to(self.device)
        made = _Backdrop(
            torch.from_numpy(land.pixels).to(self.device),
            torch.from_numpy(land.classes).to(self.device),
            land.ground,
            front,
            rows,
        )
        self._backdrops[key] = made
        if len(self._backdrops) > self._cache_size:
            self._backdrops.popitem(last=False)
        return made

    def _frame(self, spec: SceneSpec, index: int) -> Canvas:
        t = index / max(spec.num_frames - 1, 1)
        back = self._backdrop(spec)
        offset, zoom = _camera_at(spec, t)
        left = round(offset * (back.pixels.shape[2] - FRAME_SIZE))
        window = slice(left, left + FRAME_SIZE)
        canvas = Canvas(
            back.pixels[:, :, window].clone(),
            back.classes[:, window].clone(),
            torch.zeros(FRAME_SIZE, FRAME_SIZE, dtype=torch.uint8, device=self.device),
        )
        order = sorted(spec.subjects, key=lambda s: s.depth)
        for subject in order:
            box, line = self._subject(canvas, spec, subject, back.ground, t, index)
            if subject.stance == "afloat" and back.front is not None:
                cover(canvas, back.front[:, :, window], back.classes[:, window], back.front_rows)
                ripple(canvas, box, line)
        if spec.weather != "clear":
            weather(canvas, spec, index)
        return canvas if zoom == 1.0 else zoomed(canvas, zoom)

    def _subject(
        self,
        canvas: Canvas,
        spec: SceneSpec,
        subject: SubjectSpec,
        ground: tuple[float, float],
        t: float,
        index: int,
    ) -> tuple[Box, float]:
        entry = load_catalog().subjects[subject.id]
        sprite = self._pack[subject.id]
        sways = 2.5 if subject.stance in ("afloat", "drift") else 0.0
        at = pose(
            subject.motion,
            t,
            subject.start,
            subject.end,
            phase=subject.phase,
            sways=sways,
            rolls=entry.moves == "ball",
        )
        line = ground[0] + subject.depth * (ground[1] - ground[0])
        box = _placed_box(sprite, subject, at, line)
        rotation = at.rotation
        if entry.prop == "golf_ball":
            rotation += swing_angle(t) * (-1.0 if subject.mirrored else 1.0)
            box = _turned_about_feet(box, rotation)
        if subject.stance == "stand":
            shadow(canvas, box, line, at.lift)
        frame = _loop_frame(sprite, subject, spec, index)
        paste(
            canvas, frame, box, rotation, subject.mirrored, entry.class_id, self._tints[spec.time]
        )
        if entry.prop == "golf_ball":
            _golf_ball(canvas, box, line, t, toward_left=not subject.mirrored)
        return box, line


def _frame_lists(specs: Sequence[SceneSpec], frames: Frames) -> list[list[int]]:
    """The frame indices to draw of every scene."""
    if frames is None:
        lists = [list(range(spec.num_frames)) for spec in specs]
    else:
        own = [list(item) for item in frames if isinstance(item, Sequence)]
        common = [int(item) for item in frames if not isinstance(item, Sequence)]
        lists = own or [common] * len(specs)
    if not specs or len(lists) != len(specs) or len({len(row) for row in lists}) != 1:
        raise UsageError(
            f"frames '{frames}': do not fit {len(specs)} scenes; give one list of each"
        )
    for spec, row in zip(specs, lists, strict=True):
        if not row or min(row) < 0 or max(row) >= spec.num_frames:
            raise UsageError(f"frames '{row}': not in the clip; use 0 to {spec.num_frames - 1}")
    return lists


def _camera_at(spec: SceneSpec, t: float) -> tuple[float, float]:
    """(offset in [0, 1], zoom factor >= 1) of the camera at time t."""
    camera = spec.camera
    if camera.kind == "pan_right":
        return camera.offset + camera.travel * t, 1.0
    if camera.kind == "pan_left":
        return 1.0 - camera.offset - camera.travel * t, 1.0
    if camera.kind == "zoom_in":
        return camera.offset, 1.0 + camera.travel * t
    if camera.kind == "zoom_out":
        return camera.offset, 1.0 + camera.travel * (1.0 - t)
    return camera.offset, 1.0


def _loop_frame(sprite: Sprite, subject: SubjectSpec, spec: SceneSpec, index: int) -> Tensor:
    count = sprite.pixels.shape[0]
    loops = subject.phase + index / (spec.fps * sprite.seconds)
    return sprite.pixels[int(loops * count) % count]


def _placed_box(sprite: Sprite, subject: SubjectSpec, at: Pose, line: float) -> Box:
    """The square of a sprite in the frame; smaller where its head would leave the frame."""
    left, top, right, bottom = sprite.box
    longer = max(right - left, bottom - top)
    tall = (bottom - top) / longer
    size = subject.size
    if subject.stance in ("stand", "afloat"):
        room = (line - _TOP_MARGIN) / (tall * (1.0 - subject.sink))
        size = min(size, room)
    size *= at.scale
    height = size * tall
    if subject.stance == "free":
        center = 1.0 - at.lift
    elif subject.stance == "drift":
        center = line - at.lift
    else:
        center = line - at.lift + height * subject.sink - height / 2
    side = size / longer * FRAME_SIZE
    return Box(
        center_x=at.x * FRAME_SIZE,
        center_y=center * FRAME_SIZE,
        side=side,
        feet=(center + height / 2) * FRAME_SIZE,
        width=side * (right - left),
        height=height * FRAME_SIZE,
    )


def _turned_about_feet(box: Box, rotation: float) -> Box:
    """The box moved so that turning it about its centre leaves the feet where they are."""
    angle = math.radians(rotation)
    reach = box.feet - box.center_y
    return replace(
        box,
        center_x=box.center_x + reach * math.sin(angle),
        center_y=box.center_y + reach * (1.0 - math.cos(angle)),
    )


def _golf_ball(canvas: Canvas, box: Box, line: float, t: float, *, toward_left: bool) -> None:
    side = -1.0 if toward_left else 1.0
    distance, height = ball_flight(t)
    radius = _BALL_RADIUS * FRAME_SIZE
    x = box.center_x + side * (0.4 * box.width + radius + distance * FRAME_SIZE)
    y = line * FRAME_SIZE - radius - height * FRAME_SIZE
    disc(canvas, x, y, radius, CLASS_ID["ball"])
