"""What a task asks of the model, as data.

The eight tasks differ only in which conditions are given, which tokens are known beforehand and
what grid comes out. A task turns its inputs into a `Plan`; `tasks/run.py` executes any plan. A plan
describes one output, so its tensors have b = 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from nuwa_cli.ops.grid import GridShape

OutputKind = Literal["image", "video"]

Box = tuple[float, float, float, float]
"""(center x, center y, width, height) as shares of the frame."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One output to be generated."""

    task: str  # short name, as in the registry
    kind: OutputKind
    grid: GridShape  # of the output
    text: Tensor  # int64 (1, L), 0 = padding; all zero = no text
    sketch: Tensor | None = None  # int64 (1, t, h, w), -1 = absent
    canvas: Tensor | None = None  # int64 (1, t, h, w), -1 = hole
    layout_frames: int = 0  # frames of the clip that a layout is planned for; 0 = no layout
    focus: Box | None = None  # a planned subject must stand inside it
    known_tokens: Tensor | None = None  # int64 (1, t, h, w), -1 = to be generated

    @property
    def has_condition(self) -> bool:
        """Whether anything but known tokens says what to draw: without, guidance has no effect."""
        grids = (self.sketch, self.canvas)
        has_grid = any(grid is not None for grid in grids)
        return has_grid or self.layout_frames > 0 or bool(self.text.any())
