"""What a picture or clip is generated from: text, a sketch, a partial canvas, any of them together.

One frozen record carries every task. Absence is data, so that samples with and without a grid share
a batch: text rows of zeros mean "None" (the paper's word for no condition), a cell of -1 is absent
from the sketch, or a hole in the canvas. A grid that is absent everywhere in a sample does not
influence that sample at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.ops.grid import GridShape, grid_of
from nuwa_cli.ops.samples import SAMPLES

ABSENT = -1
"""A sketch cell that is not given, or a hole in the canvas."""

LITTLE_KNOWN = 0.06
"""Share of a canvas' cells up to which it stays in the null. Measured (75 to 125 holes, Fréchet distance on evaluator
features): with 5 % of a picture known 4.5 -> 3.8, with 13 % no difference, and borders join less well."""


@dataclass(frozen=True)
class Condition:
    """Tokens of every condition of a batch; sketch and canvas share one grid if both are given."""

    text: Tensor  # int64 (b, length), 0 = padding; an all-zero row = no text
    sketch: Tensor | None = None  # int64 (b, t, h, w), -1 = absent cell
    canvas: Tensor | None = None  # int64 (b, t, h, w), -1 = hole
    layout: Tensor | None = (
        None  # int64 (b, t, h, w) on the target's grid, -1 = none (model.layout)
    )
    pixels: Tensor | None = None  # float (b, 4, 4h, 4w) of the canvas's first frame (ops.samples)
    first_frame: int = 0  # number of the first frame of sketch and canvas, for the time table

    def __post_init__(self) -> None:
        if self.text.ndim != 2:
            raise UsageError(f"text of shape {tuple(self.text.shape)}: not (b, length)")
        shapes = {tuple(grid.shape) for grid in (self.sketch, self.canvas) if grid is not None}
        if len(shapes) > 1 or any(s[0] != self.batch_size or len(s) != 4 for s in shapes):
            raise UsageError(
                f"condition grids {sorted(shapes)} for a batch of {self.batch_size}: sketch and "
                "canvas must both be (b, t, h, w); give them the same shape"
            )
        if self.pixels is not None and (self.canvas is None or not self._fits(self.pixels)):
            raise UsageError(
                f"pixels of shape {tuple(self.pixels.shape)}: not (b, 4, 4h, 4w) of a canvas; "
                "give both, of the same grid"
            )

    def _fits(self, pixels: Tensor) -> bool:
        assert self.canvas is not None
        height, width = self.canvas.shape[-2:]
        return pixels.shape == (self.batch_size, 4, SAMPLES * height, SAMPLES * width)

    @property
    def batch_size(self) -> int:
        return self.text.shape[0]

    @property
    def grid(self) -> GridShape | None:
        """The grid of sketch and canvas, or None without either."""
        some = self.sketch if self.sketch is not None else self.canvas
        return None if some is None else grid_of(some)

    def null(self) -> Condition:
        """The same shapes with nothing in them: the other half of classifier-free guidance.

        The canvas goes too. Measured by eye: guided away from what would be drawn without it, a
        completion joins the intact part far better than when only the text is guided. Where hardly
        anything is known it stays: guided away from, the little that is known spreads over the picture.
        """
        canvas, pixels = self.canvas, self.pixels
        if canvas is not None:
            known = (canvas >= 0).float().mean(dim=(1, 2, 3), keepdim=True)
            stays = known <= LITTLE_KNOWN
            canvas = canvas.where(stays, ABSENT)
            pixels = None if pixels is None else pixels * stays
        return Condition(
            text=torch.zeros_like(self.text),
            sketch=None if self.sketch is None else torch.full_like(self.sketch, ABSENT),
            canvas=canvas,
            layout=None if self.layout is None else torch.full_like(self.layout, ABSENT),
            pixels=pixels,
            first_frame=self.first_frame,
        )

    def select(self, samples: slice) -> Condition:
        """The condition of some samples of the batch."""
        return Condition(
            text=self.text[samples],
            sketch=None if self.sketch is None else self.sketch[samples],
            canvas=None if self.canvas is None else self.canvas[samples],
            layout=None if self.layout is None else self.layout[samples],
            pixels=None if self.pixels is None else self.pixels[samples],
            first_frame=self.first_frame,
        )

    def to(self, device: torch.device | str) -> Condition:
        """The same condition on another device."""
        return Condition(
            text=self.text.to(device),
            sketch=None if self.sketch is None else self.sketch.to(device),
            canvas=None if self.canvas is None else self.canvas.to(device),
            layout=None if self.layout is None else self.layout.to(device),
            pixels=None if self.pixels is None else self.pixels.to(device),
            first_frame=self.first_frame,
        )


def cat_conditions(conditions: Sequence[Condition]) -> Condition:
    """One batch out of several; a grid that only some of them have is absent in the others."""
    text_length = max(condition.text.shape[1] for condition in conditions)
    text = [torch.nn.functional.pad(c.text, (0, text_length - c.text.shape[1])) for c in conditions]
    shapes = {condition.grid for condition in conditions} - {None}
    if len(shapes) > 1:
        raise UsageError(f"conditions with grids {shapes}: they differ; batch equal grids only")
    first_frames = {condition.first_frame for condition in conditions}
    if len(first_frames) > 1:
        raise UsageError(
            f"conditions with first frames {sorted(first_frames)}: they differ; batch equal ones"
        )
    return Condition(
        text=torch.cat(text),
        sketch=_cat_grids([c.sketch for c in conditions], conditions),
        canvas=_cat_grids([c.canvas for c in conditions], conditions),
        layout=_cat_grids([c.layout for c in conditions], conditions),
        pixels=_cat_grids([c.pixels for c in conditions], conditions, fill=0.0),
        first_frame=first_frames.pop(),
    )


def _cat_grids(
    grids: list[Tensor | None], conditions: Sequence[Condition], fill: float = ABSENT
) -> Tensor | None:
    known = next((grid for grid in grids if grid is not None), None)
    if known is None:
        return None
    filled = [
        known.new_full((condition.batch_size, *known.shape[1:]), fill) if grid is None else grid
        for grid, condition in zip(grids, conditions, strict=True)
    ]
    return torch.cat(filled)
