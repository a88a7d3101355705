"""Clips without end: a clip that goes on, and a clip that grows on any side.

A `ClipExtension` is planned at once; its frames are drawn while they are taken, and none is held for longer
than its chunk lasts. So a clip of any length can be written in the memory of a short one, and whoever stops
taking frames has a shorter clip.

Given frames stand in the result as they are, in their own size. What is drawn after them is drawn in the
model's square, brought back to that size, and shows the last given frame's own pixels wherever nothing has
changed since. A clip that goes on and grows is first made longer, then wider.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Unpack

import numpy as np
from torch import Tensor

from nuwa_cli.api.detail import carry_detail, unchanged
from nuwa_cli.api.engine import Engine, SamplingOverrides
from nuwa_cli.api.extension import canvas_of, draw_step, margin_options
from nuwa_cli.api.given import Given, as_frames
from nuwa_cli.api.recipe import make_recipe
from nuwa_cli.compositing.fitting import Fit, plan_fit
from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.infinity.clip_sides import num_side_steps, widen
from nuwa_cli.infinity.clips import chunks, lengthen
from nuwa_cli.infinity.geometry import Canvas, Margins
from nuwa_cli.infinity.strips import decode_cells
from nuwa_cli.media.metadata import Recipe
from nuwa_cli.media.video import Frame
from nuwa_cli.tasks.inputs import check_continuation
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.run import OnProgress
from nuwa_cli.tasks.toolkit import Toolkit


class ClipExtension:
    """One clip that grows in time, in space, or in both. `NuwaPipeline.start_clip_extension` makes it."""

    def __init__(
        self,
        engine: Engine,
        given: Iterable[Frame],
        num_given: int,
        num_frames: int,
        canvas: Canvas,
        text: Tensor,
        settings: SamplingConfig,
        *,
        fps: float,
        recipe: Recipe,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.num_frames = num_frames
        self.fps = fps
        self._engine = engine
        self._given = given
        self._num_given = num_given
        self._canvas = canvas
        self._text = text
        self._settings = settings
        self._recipe = recipe
        self._on_progress = on_progress
        self._steps_done = 0

    @property
    def height(self) -> int:
        """Of the result, in pixels."""
        return self._canvas.height

    @property
    def width(self) -> int:
        """Of the result, in pixels."""
        return self._canvas.width

    @property
    def origin(self) -> tuple[int, int]:
        """(top, left) of the given clip in the result."""
        return self._canvas.margins.top, self._canvas.margins.left

    @property
    def num_steps(self) -> int:
        """How many steps there are: chunks in time, and patches of each chunk in space."""
        steps = sum(1 for _ in chunks(self._num_given, self._num_more, self._clip_frames))
        if self._canvas.margins:
            steps += num_side_steps(self.num_frames, self._canvas, self._clip_frames)
        return steps

    def frames(self) -> Iterator[Frame]:
        """Every frame, uint8 (height, width, 3), in its order. Where the given frames came from an
        iterator, this can be asked for once.

        Raises UsageError when they are not as many, or not as large, as was said.
        """
        self._steps_done = 0
        frames = self._longer(_checked(self._given, self._num_given))
        if not self._canvas.margins:
            return frames
        return widen(
            self._engine.toolkit.vqgan,
            self._canvas,
            frames,
            self._text,
            clip_frames=self._clip_frames,
            draw=self._draw,
            shows=self._engine.reader.shows_place,
            seed=self._settings.seed,
            on_step=self._step_done,
        )

    def recipe(self) -> Recipe:
        """Everything that makes this clip."""
        return self._recipe

    @property
    def _clip_frames(self) -> int:
        return self._engine.model.config.transformer.clip_frames

    @property
    def _num_more(self) -> int:
        return self.num_frames - self._num_given

    def _longer(self, given: Iterator[Frame]) -> Iterator[Frame]:
        """The given frames, and what follows on them."""
        recent: deque[Frame] = deque(maxlen=self._clip_frames)
        for frame in given:
            recent.append(frame)
            yield frame
        if not self._num_more:
            return
        fit = _fit(recent[-1], self._engine.toolkit)
        squares = fit.frames(np.stack(recent))
        begun = lengthen(
            self._engine.model.transformer,
            self._engine.toolkit,
            squares,
            self._text,
            self._num_more,
            draw=self._draw_chunk,
            seed=self._settings.seed,
        )
        shown = self._engine.toolkit.picture_tokens(squares[-1:])[0, 0]
        for tokens in begun:
            yield self._restored(tokens, shown, recent[-1], fit)

    def _restored(self, tokens: Tensor, shown: Tensor, last: Frame, fit: Fit) -> Frame:
        """Pixels of tokens (h, w) in the clip's own size; the last given frame (H, W, 3) is seen where they
        are what is `shown` there."""
        levels = decode_cells(self._engine.toolkit.vqgan, tokens.numpy())
        drawn = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        weights = unchanged(tokens.numpy()[None], shown.numpy(), fit.size)
        grey = np.repeat(weights[..., None], 3, axis=-1)
        part, _ = fit.restore(drawn[None])
        share, _ = fit.restore(grey)
        frame: Frame = carry_detail(part, last, share[..., 0])[0]
        return frame

    def _draw(self, plan: Plan, seed: int) -> Tensor:
        return draw_step(self._engine.model, plan, self._settings, seed)

    def _draw_chunk(self, plan: Plan, seed: int) -> Tensor:
        tokens = self._draw(plan, seed)
        self._step_done()
        return tokens

    def _step_done(self) -> None:
        self._steps_done += 1
        if self._on_progress is not None:
            self._on_progress(self._steps_done, self.num_steps)


def start_clip_extension(
    engine: Engine,
    frames: Any,
    num_frames: int | None,
    margins: Margins | None,
    prompt: str,
    *,
    num_given: int | None = None,
    sources: tuple[dict[str, str], ...] = (),
    seed: int | None = None,
    fps: float | None = None,
    on_progress: OnProgress | None = None,
    **sampling: Unpack[SamplingOverrides],
) -> ClipExtension:
    """Plan a longer or wider clip: `NuwaPipeline.start_clip_extension`."""
    first, given, count = _opened(frames, num_given)
    margins = margins or Margins()
    if num_frames is None and not margins:
        raise UsageError("extend: nothing grows; give a number of frames, or a side")
    length = count if num_frames is None else num_frames
    if length != count or not margins:
        check_continuation(length, count)
    settings = engine.settings(seed, sampling)
    speed = fps or float(engine.model.config.fps)
    recipe = make_recipe(
        "extend",
        prompt,
        Given(frames=first[None], sources=sources),
        _fit(first, engine.toolkit) if length > count else None,
        settings,
        sample_seed=settings.seed,
        best_of=1,
        clip=(length, speed),
        model=engine.identity,
        device=engine.device.type,
        dtype=str(engine.dtype).removeprefix("torch."),
    )
    if margins:
        recipe["options"] |= margin_options(margins)
    return ClipExtension(
        engine,
        given,
        count,
        length,
        canvas_of(engine, first.shape[0], first.shape[1], margins),
        engine.reader.tokens(prompt, first, "place" if margins else "scene"),
        settings,
        fps=speed,
        recipe=recipe,
        on_progress=on_progress,
    )


def _opened(frames: Any, num_given: int | None) -> tuple[Frame, Iterable[Frame], int]:
    """The first of given frames, all of them, and how many they are. Raises UsageError."""
    if isinstance(frames, np.ndarray):
        clip = as_frames(frames, "clip")
        return clip[0], clip, len(clip)
    if num_given is None:
        raise UsageError("clip: frames that come one by one; say how many with num_given")
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise UsageError("clip '0 frames': there is nothing to go on from; give at least one frame")
    return as_frames(first, "clip")[0], itertools.chain((first,), remaining), num_given


def _checked(frames: Iterable[Frame], count: int) -> Iterator[Frame]:
    """Frames, as many and all as large as was said. Raises UsageError."""
    number, shape = 0, None
    for number, frame in enumerate(frames, 1):
        shape = shape or frame.shape
        if number > count or frame.shape != shape or frame.dtype != np.uint8:
            raise UsageError(
                f"clip: frame {number} of shape {frame.shape}, {frame.dtype}: give {count} frames "
                f"of uint8 {shape}"
            )
        yield frame
    if number < count:
        raise UsageError(f"clip: ends after {number} frames; {count} were announced")


def _fit(frame: Frame, toolkit: Toolkit) -> Fit:
    """All of a frame in the model's square: all of it must come back."""
    height, width = frame.shape[:2]
    return plan_fit(height, width, toolkit.vqgan.config.image_size, "pad")
