"""What a task is given: one record for all eight, in the model's own square and classes.

The library fits pictures, clips and sketches of any size into this form (`api/fitting`); a planner
checks that what its task needs is there. S is the side of the model's picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nuwa_cli.errors import UsageError

MAX_FRAMES = 10_000

CompletionEngine = Literal["lip", "nuwa"]
"""How a hole is filled: `lip` sees what lies on all its sides (NÜWA-LIP), `nuwa` what comes before it in
raster order (the zero-shot form of NÜWA)."""
ENGINES: tuple[CompletionEngine, ...] = ("lip", "nuwa")

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True, kw_only=True)
class TaskInputs:
    """Inputs of one output; what a task does not read stays empty."""

    prompt: str = ""  # "" = none
    num_frames: int | None = None  # of the whole clip; None = one picture, or as many as given
    frames: Bytes | None = None  # (T, S, S, 3): the picture or clip that is given
    sketch: Bytes | None = None  # (T, S, S) class ids
    region: Mask | None = None  # (T or 1, S, S): what is to be repainted
    known_frames: int = 0  # the first frames of `frames` that stay as they are
    engine: CompletionEngine = "lip"

    def clip_length(self) -> int:
        """The number of frames asked for. Raises UsageError when it is out of range."""
        count = self.num_frames
        if count is None or not 1 <= count <= MAX_FRAMES:
            raise UsageError(f"frames '{count}': out of range; give 1 … {MAX_FRAMES}")
        return count

    def continued_length(self) -> int:
        """The number of frames of a clip that goes on after `frames`. Raises UsageError when
        nothing is left to predict."""
        length = self.clip_length()
        check_continuation(length, 0 if self.frames is None else len(self.frames))
        return length

    def given_frames(self, what: str) -> Bytes:
        """The picture or clip. Raises UsageError, naming `what` is missing."""
        if self.frames is None or len(self.frames) == 0:
            raise UsageError(f"{what}: none is given; give a file")
        return self.frames

    def given_sketch(self) -> Bytes:
        """The class maps. Raises UsageError when there is none."""
        if self.sketch is None or len(self.sketch) == 0:
            raise UsageError("sketch: none is given; give a picture in the colours of nuwa palette")
        return self.sketch

    def given_region(self) -> Mask:
        """The region to repaint. Raises UsageError when nothing is inside it."""
        if self.region is None or not self.region.any():
            raise UsageError("region: nothing is to be repainted; give a box, ellipse or mask")
        return self.region


def check_continuation(length: int, given: int) -> None:
    """Raise UsageError unless a clip of `length` frames has some after the `given` ones."""
    if length <= given:
        raise UsageError(
            f"frames '{length}': {given} are given already and nothing is left to predict; "
            f"give at least {given + 1}"
        )
