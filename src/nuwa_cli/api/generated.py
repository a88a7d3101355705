"""One output, with everything needed to make it again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import Recipe
from nuwa_cli.media.video import Frames, write_video

_WITH_ALPHA = (".png", ".webp")  # picture formats that can hold transparency

Tokens = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Generated:
    """One output; a picture has T = 1."""

    frames: Frames  # uint8 (T, H, W, 3)
    tokens: Tokens  # (t, h, w)
    seed: int
    score: float | None  # of the re-ranker, where there were several candidates
    fps: float | None  # None for a picture
    recipe: Recipe
    alpha: np.ndarray[Any, np.dtype[np.uint8]] | None = None  # (H, W) of an edited picture
    fit: str = ""  # how the input was fitted to the model's square; empty when it was not
    outside_identical: bool | None = None
    """Measured: every pixel outside the repainted region is the input's. None: nothing is kept."""

    def save(self, path: Path | str, *, force: bool = False, with_recipe: bool = True) -> None:
        """Write the file, in the format of its suffix. Raises UsageError, OutputError."""
        path, recipe = Path(path), self.recipe if with_recipe else None
        if self.fps is not None:
            write_video(path, self.frames, self.fps, recipe, force=force)
            return
        frame = self.frames[0]
        if self.alpha is not None and path.suffix.lower() in _WITH_ALPHA:
            frame = np.dstack((frame, self.alpha))
        write_image(path, frame, recipe, force=force)
