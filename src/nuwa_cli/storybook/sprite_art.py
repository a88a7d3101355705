"""From one animated WebP to the frames of a sprite: cut out, turn, trim, resample.

Some sprites stand on a card of their own (a block of water, a slope of snow); in a painted place
that card would be a foreign rectangle, so it is made transparent by its colour, from the border
inwards.

Invariants: colours are premultiplied by alpha; the box of a sprite is the same for all of its
frames and centred in the square, and its longer side touches the margin.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuwa_cli.errors import InputError
from nuwa_cli.storybook.catalog import Subject

FRAMES = 12
SIZE = 160
MARGIN = 6
SOURCE_FPS = 24.0

_BORDER = 6

Pixels = NDArray[np.uint8]


def _widened(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and its neighbours above, below, left and right."""
    wide = mask.copy()
    wide[1:] |= mask[:-1]
    wide[:-1] |= mask[1:]
    wide[:, 1:] |= mask[:, :-1]
    wide[:, :-1] |= mask[:, 1:]
    return wide


def _reaching_border(mask: NDArray[np.bool_], solid: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The part of a mask that hangs together with the left, right or bottom border of the solid
    box.
    """
    rows, columns = np.where(solid.any(1))[0], np.where(solid.any(0))[0]
    border = np.zeros_like(mask)
    border[rows[-1] - _BORDER :] = True
    border[:, : columns[0] + _BORDER] = border[:, columns[-1] - _BORDER :] = True
    reached = border & mask
    while True:
        grown = _widened(reached) & mask
        if (grown == reached).all():
            return reached
        reached = grown


def cut_card(frame: Pixels, key: str) -> Pixels:
    """Make the card of a sprite (h, w, 4) transparent: `water` (saturated blue) or `snow` (pale
    blue).
    """
    red, green, blue, alpha = (frame[..., i].astype(np.int16) for i in range(4))
    if key == "water":
        colored = (blue - red > 70) & (blue > 150) & (blue - green > 25)
    else:
        colored = (red > 105) & (green > 145) & (blue > 215) & (blue - red > 40)
    hole = _reaching_border(colored & (alpha > 0), alpha > 200)
    # Two pixels more: along the edge the card is blended with what stands before it.
    cut = frame.copy()
    cut[_widened(_widened(hole))] = 0
    return cut


def make_sprite(
    content: bytes, subject: Subject, size: int = SIZE
) -> tuple[Pixels, dict[str, Any]]:
    """One WebP clip -> premultiplied frames (n, 4, size, size) and its row of the index."""
    clip = Image.open(io.BytesIO(content))
    total = int(getattr(clip, "n_frames", 1))
    count = FRAMES if total > 1 else 1
    pictures = []
    for index in range(count):
        first, last = subject.clip
        clip.seek(int((first + (last - first) * index / count) * total))
        picture = clip.convert("RGBA")
        if subject.key:
            picture = Image.fromarray(cut_card(np.asarray(picture), subject.key))
        if subject.turn:
            picture = picture.rotate(subject.turn, Image.Resampling.BICUBIC, expand=True)
        pictures.append(picture)
    alpha = np.max([np.asarray(picture)[..., 3] for picture in pictures], axis=0) > 24
    if not alpha.any():
        raise InputError(
            f"sprite '{subject.id}': nothing visible in {subject.emoji}; check the catalog"
        )
    rows, columns = np.where(alpha.any(1))[0], np.where(alpha.any(0))[0]
    left, top, right, bottom = (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1]) + 1,
        int(rows[-1]) + 1,
    )
    scale = (size - 2 * MARGIN) / max(right - left, bottom - top)
    width, height = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    x, y = (size - width) // 2, (size - height) // 2
    frames = np.zeros((count, 4, size, size), dtype=np.uint8)
    for index, picture in enumerate(pictures):
        # "RGBa" is premultiplied, so colours of transparent pixels cannot bleed into the edge.
        small = picture.convert("RGBa").crop((left, top, right, bottom))
        small = small.resize((width, height), Image.Resampling.LANCZOS)
        part = np.frombuffer(small.tobytes(), np.uint8).reshape(height, width, 4).copy()
        part[..., :3] = np.minimum(part[..., :3], part[..., 3:])
        frames[index, :, y : y + height, x : x + width] = part.transpose(2, 0, 1)
    row = {
        "box": [x / size, y / size, (x + width) / size, (y + height) / size],
        "seconds": (subject.clip[1] - subject.clip[0]) * total / SOURCE_FPS,
        "source_frames": total,
        "frames": count,
        "code_point": subject.emoji,
    }
    return frames, row
