"""What the user gave, brought into the model's square.

Where something is repainted, the square is chosen around it, so that a small region of a large
photograph is drawn at good resolution. A clip that is edited as a whole is padded, not cropped: all
of it must come back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuwa_cli.api.given import FitMode, Given
from nuwa_cli.compositing.fitting import Fit, plan_fit
from nuwa_cli.compositing.shapes import bounds_of
from nuwa_cli.tasks.inputs import Mask, TaskInputs


@dataclass(frozen=True)
class Fitted:
    """Inputs of a task, and the way back (`fit` is None where nothing but a prompt was given)."""

    inputs: TaskInputs
    fit: Fit | None


def fit_given(given: Given, size: int, *, prompt: str, num_frames: int | None) -> Fitted:
    """Bring what was given into the square of `size` pixels."""
    fit = choose_fit(given, size)
    return Fitted(
        TaskInputs(
            prompt=prompt,
            num_frames=num_frames,
            frames=None if given.frames is None or fit is None else fit.frames(given.seen),
            sketch=None if given.sketch is None or fit is None else fit.labels(given.sketch),
            region=None if given.masks is None or fit is None else fit.region(given.masks),
            known_frames=given.keep_first,
            engine=given.engine,
        ),
        fit,
    )


def hole_of(given: Given) -> Mask | None:
    """What an edit repaints, in every frame, bool (T, H, W): the region, or all of it, except in the
    frames that stay. None where nothing is edited."""
    if given.frames is None or (given.masks is None and given.keep_first == 0):
        return None
    if given.masks is None:
        hole = np.ones(given.frames.shape[:3], dtype=np.bool_)
    else:
        hole = np.array(np.broadcast_to(given.masks, given.frames.shape[:3]))
    hole[: given.keep_first] = False
    return hole


def choose_fit(given: Given, size: int) -> Fit | None:
    """Which part of what was given becomes the square of `size` pixels; None without a picture or
    sketch."""
    source = given.sketch if given.frames is None else given.frames
    if source is None:
        return None
    height, width = source.shape[1:3]
    is_whole = given.masks is None and given.keep_first > 0
    mode: FitMode = given.fit or ("pad" if is_whole else "crop")
    focus = None if given.masks is None else bounds_of(given.masks)
    return plan_fit(height, width, size, mode, focus=focus)
