"""From the model's square back to the user's pixels.

What was given is never replaced by its reconstruction: given frames stand in the result as they are,
and an edit changes nothing outside its region, bit for bit, which is measured on every result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuwa_cli.api.detail import carry_detail, unchanged
from nuwa_cli.api.drawing import Drawn
from nuwa_cli.api.fitting import Fitted, hole_of
from nuwa_cli.api.given import Given
from nuwa_cli.compositing.blending import blend
from nuwa_cli.compositing.fitting import Fit
from nuwa_cli.tasks.inputs import Bytes, Mask

_OPAQUE = 255


@dataclass(frozen=True)
class Finished:
    """Frames (T, H, W, 3), alpha (H, W) of a picture that came with it, and whether all that was to
    stay did (None where nothing was)."""

    frames: Bytes
    alpha: Bytes | None = None
    outside_identical: bool | None = None


def finish(given: Given, fitted: Fitted, drawn: Drawn) -> Finished:
    """The result of a job: a new picture or clip, a clip that begins as given, or an edit."""
    if given.frames is None or fitted.fit is None:
        return Finished(drawn.frames)
    hole = hole_of(given)
    if hole is None:
        assert fitted.inputs.frames is not None
        return Finished(_begin_with(fitted.inputs.frames, drawn))
    return _put_back(given, hole, fitted.fit, drawn)


def _begin_with(first: Bytes, drawn: Drawn) -> Bytes:
    """The given frames (k, S, S, 3), then what was drawn after them, with their detail."""
    count, size = len(first), first.shape[1]
    weights = unchanged(drawn.tokens[count:], drawn.tokens[count - 1], size)
    later = carry_detail(drawn.frames[count:], first[-1], weights)
    return np.concatenate((first, later))


def _put_back(given: Given, hole: Mask, fit: Fit, drawn: Drawn) -> Finished:
    """The user's frames with what was drawn in the hole (T, H, W).

    Without a region the whole frame is new: where the square shows only a part of it (`crop`), that
    part is the result.
    """
    assert given.frames is not None
    drawn_part, (left, top) = fit.restore(drawn.frames)
    rows = slice(top, top + drawn_part.shape[1])
    columns = slice(left, left + drawn_part.shape[2])
    seen = given.seen[:, rows, columns]
    if given.keep_first:
        drawn_part = _with_detail(given.keep_first, seen, drawn_part, fit, drawn)
    original = given.frames
    if given.masks is None:
        original, hole = original[:, rows, columns], hole[:, rows, columns]
        rows = columns = slice(None)
    result = original.copy()
    for index in range(given.keep_first, len(result)):
        inside = hole[index, rows, columns]
        blended = blend(seen[index], drawn_part[index], inside, given.feather)
        result[index, rows, columns][inside] = blended[inside]
    outside = ~hole
    return Finished(
        result,
        _opaque_inside(given, hole),
        bool(np.array_equal(result[outside], original[outside])),
    )


def _with_detail(kept: int, seen: Bytes, part: Bytes, fit: Fit, drawn: Drawn) -> Bytes:
    """Drawn frames in source pixels, those after the `kept` first with the detail of the last one
    that stays."""
    weights = unchanged(drawn.tokens[kept:], drawn.tokens[kept - 1], fit.size)
    grey = np.repeat(weights[..., None], 3, axis=-1)
    fine = fit.restore(grey)[0][..., 0]
    later = carry_detail(part[kept:], seen[kept - 1], fine)
    return np.concatenate((part[:kept], later))


def _opaque_inside(given: Given, hole: Mask) -> Bytes | None:
    """Transparency of a picture after an edit: what was repainted is opaque, the rest as it was."""
    if given.alpha is None:
        return None
    return np.where(hole[0], np.uint8(_OPAQUE), given.alpha)
