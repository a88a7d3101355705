"""What grows to the left is drawn in a mirror, where it grows to the right.

The model draws from left to right. Growing to the right, each token continues what stands beside it;
growing to the left, it would have to arrive at what is given. The world has no left and right of its own, so
a canvas that grows sideways alone falls into two lanes that never meet: one goes on to the right of the
source, the other to the right of the mirrored source, and left is as good as right. (Where a canvas grows up
or down as well, the whole row below or above would be needed unmirrored, and all is drawn as it lies.)

Invariant: steps keep the numbers and the order that the controller of the whole canvas gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nuwa_cli.infinity.controller import Controller, Step
from nuwa_cli.infinity.geometry import Canvas, Margins, Rect, plan_canvas
from nuwa_cli.infinity.source import Pixels, SourceCells
from nuwa_cli.infinity.walk import Lane, Nearby
from nuwa_cli.tasks.inputs import Bytes
from nuwa_cli.tokenizer.vqgan import VQGAN


def lanes(picture: Bytes, canvas: Canvas, vqgan: VQGAN) -> Iterator[tuple[Step, Lane]]:
    """Every step of a canvas around a picture (H, W, 3), with the lane that draws it."""
    whole = Controller(canvas)
    if not canvas.margins.left or canvas.margins.top or canvas.margins.bottom:
        return Lane(Nearby(SourceCells(picture, canvas, vqgan), whole)).alone()
    right = _SideLane(canvas, picture, canvas.margins.right, vqgan, is_mirrored=False)
    left = _SideLane(canvas, picture, canvas.margins.left, vqgan, is_mirrored=True)
    return ((step, left if step.direction == "left" else right) for step in whole)


@dataclass
class _Place:
    """Where a lane lies in the whole picture."""

    canvas: Canvas
    is_mirrored: bool

    def __call__(self, place: Rect, pixels: Pixels) -> tuple[Rect, Pixels]:
        origin = self.canvas.margins.left
        if not self.is_mirrored:
            return Rect(place.top, place.left + origin, place.height, place.width), pixels
        left = origin + self.canvas.source_width - place.right
        flipped = np.ascontiguousarray(pixels[:, ::-1])
        return Rect(place.top, left, place.height, place.width), flipped


class _SideLane(Lane):
    """One side of a canvas that grows sideways alone, as a canvas of its own that grows to the right."""

    def __init__(
        self, canvas: Canvas, picture: Bytes, margin: int, vqgan: VQGAN, *, is_mirrored: bool
    ) -> None:
        own = plan_canvas(
            canvas.source_height,
            canvas.source_width,
            Margins(right=margin),
            side=canvas.side,
            cell=canvas.cell,
        )
        source = np.ascontiguousarray(picture[:, ::-1]) if is_mirrored else picture
        nearby = Nearby(SourceCells(source, own, vqgan), Controller(own))
        super().__init__(nearby, _Place(canvas, is_mirrored))
        self._steps = iter(nearby.controller)

    def own_step(self, step: Step) -> Step:  # noqa: ARG002
        """The steps of a lane come in their own order, which is that of the whole canvas."""
        return next(self._steps)
