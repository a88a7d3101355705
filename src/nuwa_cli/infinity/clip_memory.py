"""What a long clip must not forget: the place, and what its subject looks like.

Chunk after chunk is drawn from chunks that were drawn, and whatever slips is never put right: after forty
frames neither the subject nor the place is left. So every frame is told which tokens are expected where
(`Plan.expected`), as far as that is known:

    place     what stood in a cell when the subject was furthest from it: next to the subject it may have been
              a shadow or a blurred edge, which must not be left behind when the subject goes. A cell that
              changes all the time, as waves do, goes on changing the way it did.
    subject   the given frames are its pictures: its box is taken out of one of them, moved and scaled to where
              its path has led it, and made tokens again. The pictures follow each other to and fro, so
              that legs and wings go on moving and nothing jumps.

Expected tokens are known before a chunk is decoded, so decoding by wavefronts stays exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.model.layout import OUTSIDE, rasterize
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.tasks.holes import UNKNOWN
from nuwa_cli.tasks.inputs import Bytes
from nuwa_cli.tasks.plan import Box
from nuwa_cli.tasks.toolkit import Toolkit

_SHADOW = 1  # cells around a subject where anything of it may fall
_FAR = 3  # cells from a subject where nothing of it can be seen any more


class ClipMemory:
    """Some first frames of a clip, and what later ones are expected to show."""

    def __init__(
        self, toolkit: Toolkit, frames: Bytes, tokens: Tensor, boxes: Sequence[Box | None]
    ) -> None:
        """`frames` (k, S, S, 3), their `tokens` (k, h, w), and the subject's box in each."""
        self.toolkit = toolkit
        self.frames = frames
        self.tokens = tokens
        self.boxes = tuple(boxes)
        height, width = tokens.shape[-2:]
        self._distance = torch.full((height, width), -1)  # at which the place was seen
        self._place = torch.full((height, width), UNKNOWN)
        for number in reversed(range(len(tokens))):
            self.keep(tokens[number], boxes[number])
        self._distances = torch.stack([distance_from(box, height, width) for box in boxes])
        is_seen = self._shows_place(slice(None))
        same = ((tokens == self._place) & is_seen).sum(dim=0)
        self._is_lively = 2 * same < is_seen.sum(dim=0)

    def keep(self, tokens: Tensor, box: Box | None) -> None:
        """Remember the place (h, w) of a frame where the subject is further away than it ever was."""
        distance = distance_from(box, *tokens.shape)
        is_better = (distance > self._distance) & (distance > 0)
        self._place = torch.where(is_better, tokens, self._place)
        self._distance = torch.where(is_better, distance, self._distance)

    def expected(self, number: int, box: Box | None, *, has_subject: bool = True) -> Tensor:
        """Tokens (h, w) of frame `number`, counted from the first that is remembered, -1 where anything may
        stand; without its subject only those of the place."""
        count = len(self.tokens)
        shown = to_and_fro(number - count + 1, count)
        height, width = self._place.shape
        follows = self._is_lively & self._shows_place(shown)
        place = torch.where(follows, self.tokens[shown], self._place)
        distance = distance_from(box, height, width)
        is_sure = (distance > _SHADOW) & (distance <= self._distance)
        result = torch.where(is_sure, place, UNKNOWN)
        origin = self.boxes[shown]
        if box is None or origin is None or not has_subject:
            return result
        return torch.where(cells_of(box, height, width), self._moved(shown, origin, box), result)

    def _shows_place(self, shown: int | slice) -> Tensor:
        """Where a remembered frame shows the place as well as any, bool (…, h, w)."""
        return (self._distances[shown] >= self._distance) & (self._distances[shown] > 0)

    def _moved(self, shown: int, origin: Box, box: Box) -> Tensor:
        """Tokens (h, w) of a remembered frame, moved and scaled so that one box becomes the other."""
        if np.allclose(origin, box, atol=1e-6):
            return self.tokens[shown]
        moved = move_box(self.frames[shown], origin, box)
        return self.toolkit.picture_tokens(moved[None])[0, 0]


def to_and_fro(later: int, count: int) -> int:
    """Which of `count` pictures is shown: from the last one back to the first, and so on."""
    if count == 1:
        return 0
    return abs(count - 1 - later % (2 * count - 2))


def move_box(frame: Bytes, origin: Box, box: Box) -> Bytes:
    """A frame (S, S, 3) moved and scaled so that what stands in one box stands in the other; edges are
    repeated where it does not reach."""
    from PIL import Image

    height, width = frame.shape[:2]
    scale_x, scale_y = origin[2] / box[2], origin[3] / box[3]
    # Pillow asks for the place in the frame that each pixel of the result shows.
    left = (origin[0] - box[0] * scale_x) * width
    top = (origin[1] - box[1] * scale_y) * height
    reach_x, reach_y = width // 2, height // 2
    padded = np.pad(frame, ((reach_y, reach_y), (reach_x, reach_x), (0, 0)), mode="edge")
    moved = Image.fromarray(padded).transform(
        (width, height),
        Image.Transform.AFFINE,
        (scale_x, 0, left + reach_x, 0, scale_y, top + reach_y),
        Image.Resampling.BICUBIC,
    )
    return np.array(moved)


def cells_of(box: Box | None, height: int, width: int) -> Tensor:
    """The cells (h, w) whose middle lies in a box, bool."""
    boxes = torch.tensor([[box or (0.5, 0.5, 0.0, 0.0)]])
    present = torch.tensor([[box is not None]])
    return rasterize(boxes, present, GridShape(1, height, width))[0, 0] != OUTSIDE


def distance_from(box: Box | None, height: int, width: int) -> Tensor:
    """How many cells away from a box each cell (h, w) is, 0 inside and `_FAR` at most."""
    inside = cells_of(box, height, width).float()[None, None]
    distance = torch.full((height, width), _FAR)
    for reach in reversed(range(_FAR)):
        near = F.max_pool2d(inside, 2 * reach + 1, stride=1, padding=reach)[0, 0] > 0
        distance = torch.where(near, reach, distance)
    return distance
