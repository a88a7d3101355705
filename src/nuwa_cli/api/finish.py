"""From the model's square back to the user's pixels.

What was given is never replaced by its reconstruction: given frames stand in the result as they are,
and an edit changes nothing outside its region, bit for bit, which is measured on every result.

A frame of the result needs the frame that was drawn for it, the tokens of the last given frame and nothing
else. So there is one form for both: `finished_frames` takes drawn frames as they come and gives up each frame
as soon as it can, those that were given even before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuwa_cli.api.detail import carry_detail, unchanged
from nuwa_cli.api.drawing import Drawn
from nuwa_cli.api.fitting import Fitted, hole_of
from nuwa_cli.api.generated import Tokens
from nuwa_cli.api.given import Given
from nuwa_cli.compositing.blending import blend
from nuwa_cli.compositing.fitting import Fit
from nuwa_cli.media.video import Frame
from nuwa_cli.tasks.inputs import Bytes, Mask

_OPAQUE = 255


@dataclass(frozen=True)
class DrawnFrame:
    """One frame of what was drawn: tokens (h, w), and what makes its pixels uint8 (S, S, 3)."""

    tokens: Tokens
    pixels: Callable[[], Frame]


@dataclass(frozen=True)
class Finished:
    """Frames (T, H, W, 3), alpha (H, W) of a picture that came with it, and whether all that was to
    stay did (None where nothing was)."""

    frames: Bytes
    alpha: Bytes | None = None
    outside_identical: bool | None = None


def finish(given: Given, fitted: Fitted, drawn: Drawn) -> Finished:
    """The result of a job: a new picture or clip, a clip that begins as given, or an edit."""
    each = (
        DrawnFrame(tokens, partial(np.asarray, frame))
        for tokens, frame in zip(drawn.tokens, drawn.frames, strict=True)
    )
    frames = np.stack(list(finished_frames(given, fitted, each)))
    edit = _edit_of(given, fitted)
    if edit is None:
        return Finished(frames)
    outside = ~edit.hole
    return Finished(
        frames,
        _opaque_inside(given, edit.hole),
        bool(np.array_equal(frames[outside], edit.original[outside])),
    )


def finished_frames(given: Given, fitted: Fitted, drawn: Iterable[DrawnFrame]) -> Iterator[Frame]:
    """The frames of the result (H, W, 3), as soon as the drawn ones allow."""
    edit = _edit_of(given, fitted)
    if edit is not None:
        return edit.frames(given, drawn)
    if given.frames is None or fitted.fit is None:
        return (frame.pixels() for frame in drawn)
    assert fitted.inputs.frames is not None
    return _begin_with(fitted.inputs.frames, drawn)


def finished_size(given: Given, fitted: Fitted, size: int) -> tuple[int, int]:
    """(height, width) of the frames of the result, from a model whose square has `size` pixels."""
    edit = _edit_of(given, fitted)
    return (size, size) if edit is None else (edit.original.shape[1], edit.original.shape[2])


def _begin_with(first: Bytes, drawn: Iterable[DrawnFrame]) -> Iterator[Frame]:
    """The given frames (k, S, S, 3), then what was drawn after them, with their detail."""
    yield from first
    last: Tokens | None = None
    for index, frame in enumerate(drawn):
        if index < len(first):
            last = frame.tokens
            continue
        assert last is not None
        weights = unchanged(frame.tokens[None], last, first.shape[1])
        yield carry_detail(frame.pixels()[None], first[-1], weights)[0]


@dataclass(frozen=True)
class _Edit:
    """The user's frames (T, H, W, 3), how they look, and the hole (T, H, W) in them that is drawn anew.

    Without a region the whole frame is new: where the square shows only a part of it (`crop`), that part
    is the result, and `original`, `seen` and `hole` are of that part. With a region, `rows` and `columns`
    say where in the frame the part lies that the square shows; `seen` is always of that part.
    """

    fit: Fit
    original: Bytes
    seen: Bytes
    hole: Mask
    rows: slice
    columns: slice

    def frames(self, given: Given, drawn: Iterable[DrawnFrame]) -> Iterator[Frame]:
        """The original with what was drawn in the hole."""
        kept = given.keep_first
        yield from self.original[:kept]
        last: Tokens | None = None
        for index, frame in enumerate(drawn):
            if index < kept:
                last = frame.tokens
                continue
            part = self.fit.restore(frame.pixels()[None])[0]
            if last is not None:
                part = self._with_detail(part, self.seen[kept - 1], frame.tokens, last)
            inside = self.hole[index, self.rows, self.columns]
            blended = blend(self.seen[index], part[0], inside, given.feather)
            result = self.original[index].copy()
            result[self.rows, self.columns][inside] = blended[inside]
            yield result

    def _with_detail(self, part: Bytes, stays: Frame, tokens: Tokens, last: Tokens) -> Bytes:
        """A drawn frame (1, h, w, 3) in source pixels, with the detail of the last one that stays."""
        weights = unchanged(tokens[None], last, self.fit.size)
        grey = np.repeat(weights[..., None], 3, axis=-1)
        fine = self.fit.restore(grey)[0][..., 0]
        return carry_detail(part, stays, fine)


def _edit_of(given: Given, fitted: Fitted) -> _Edit | None:
    hole = hole_of(given)
    if hole is None or fitted.fit is None:
        return None
    assert given.frames is not None
    left, top, right, bottom = fitted.fit.part
    rows, columns = slice(top, bottom), slice(left, right)
    seen = given.seen[:, rows, columns]
    if given.masks is not None:
        return _Edit(fitted.fit, given.frames, seen, hole, rows, columns)
    original, hole = given.frames[:, rows, columns], hole[:, rows, columns]
    return _Edit(fitted.fit, original, seen, hole, slice(None), slice(None))


def _opaque_inside(given: Given, hole: Mask) -> Bytes | None:
    """Transparency of a picture after an edit: what was repainted is opaque, the rest as it was."""
    if given.alpha is None:
        return None
    return np.where(hole[0], np.uint8(_OPAQUE), given.alpha)
