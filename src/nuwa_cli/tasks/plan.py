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
from nuwa_cli.tasks.inputs import Bytes, Mask

OutputKind = Literal["image", "video"]

Unsaid = Literal["place", "scene"]
"""What a picture can be read for: its place, or somebody in a place where that is sure."""

Box = tuple[float, float, float, float]
"""(center x, center y, width, height) as shares of the frame."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One output to be generated."""

    task: str  # short name, as in the registry
    kind: OutputKind
    grid: GridShape  # of the output
    text: Tensor  # int64 (1, L), 0 = padding; all zero = no text
    unsaid: Unsaid | None = None  # without a text, what is read from the first of the frames
    sketch: Tensor | None = None  # int64 (1, t, h, w), -1 = absent
    canvas: Tensor | None = None  # int64 (1, t, h, w), -1 = hole
    pixels: Tensor | None = None  # float (1, 4, 4h, 4w) of the canvas's first frame (ops.samples)
    layout_frames: int = 0  # frames of the clip that a layout is planned for; 0 = no layout
    nobody: bool = False  # the layout says that no subject is there, whatever the text says
    focus: Box | None = None  # a planned subject must stand inside it …
    may_be_shown: bool = False  # … unless the known tokens show part of it elsewhere
    boxes: tuple[Box | None, ...] = ()  # the subject's box in each frame, given instead of planned
    known_tokens: Tensor | None = None  # int64 (1, t, h, w), -1 = to be generated
    frames: Bytes | None = None  # (t, S, S, 3) what is given, outside the hole …
    hole: Mask | None = None  # … bool (t, S, S), for a decoder that joins both
    expected: Tensor | None = None  # int64 (1, t, h, w) tokens to be favored, -1 = none …
    expected_nats: float = 0.0  # … by so much

    @property
    def has_condition(self) -> bool:
        """Whether anything but known tokens says what to draw: without, guidance has no effect."""
        has_grid = self.sketch is not None or self.canvas is not None
        return has_grid or self.has_layout or bool(self.text.any())

    @property
    def has_layout(self) -> bool:
        """Whether the model is told where the subject is, or that there is none."""
        return self.nobody or self.layout_frames > 0 or bool(self.boxes)
