"""Wider clips: the canvas of a picture that grows, over the frames of a clip.

The first frame grows as a picture does. The others come in chunks as long as the model's clips; of each
chunk, every step of the direction controller is one plan over all its frames: what is known of its window is
canvas and known tokens, the rest is the hole. The next chunk begins with the last frames of the whole wider
canvas, so that what was drawn beside the source goes on as it was. Only one chunk is ever held.

Surroundings must neither flicker nor drift. So a source cell whose pixels hardly change keeps its token, and
every drawn cell is expected to show what it shows in the first frame.

Invariants: the source's pixels stand in every frame bit for bit; the first frame is what a picture grows to
with the same seed; a frame does not depend on frames of later chunks.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.infinity.clips import EXPECTED_NATS, Draw, chunks, context_of
from nuwa_cli.infinity.controller import Controller, Step
from nuwa_cli.infinity.drafts import Drafts, Shows
from nuwa_cli.infinity.geometry import Canvas, Rect
from nuwa_cli.infinity.plans import Words, plan_step, step_seed
from nuwa_cli.infinity.pool import UNKNOWN, Cells, Tokens
from nuwa_cli.infinity.source import Pixels, SourceCells, samples_of
from nuwa_cli.infinity.strips import decode_cells, margin_of, strip
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.tasks.inputs import Mask
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tokenizer.vqgan import VQGAN

_STILL = 2.0  # levels: the noise of a compressed clip


def num_side_steps(frames: int, canvas: Canvas, clip_frames: int) -> int:
    """How many steps it takes to widen so many frames."""
    passes = 1 + sum(1 for _ in chunks(1, frames - 1, clip_frames))
    return passes * len(Controller(canvas))


def widen(
    vqgan: VQGAN,
    canvas: Canvas,
    frames: Iterable[Pixels],
    text: Tensor,
    *,
    clip_frames: int,
    draw: Draw,
    shows: Shows,
    seed: int,
    on_step: Callable[[], None] = lambda: None,
) -> Iterator[Pixels]:
    """Every frame (H, W, 3) of a clip as (canvas.height, canvas.width, 3).

    Args:
        text: int64 (1, L) of what is seen around the clip, where nobody stands; all zeros = nothing.
        on_step: called after each of `num_side_steps`.
    """
    chunk = _Chunk(vqgan, canvas, text, clip_frames, on_step)
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        return
    chunk.begin([first])
    chunk.fill_first(draw, shows, seed)
    yield chunk.pixels(0)
    for index in itertools.count():
        known = len(chunk.sources)
        fresh = list(itertools.islice(remaining, clip_frames - known))
        if not fresh:
            return
        chunk.begin(fresh)
        chunk.fill(known, draw, step_seed(seed, -1 - index))
        for number in range(known, len(chunk.sources)):
            yield chunk.pixels(number)
        chunk.forget(context_of(clip_frames))


class _Chunk:
    """Some frames of the canvas: their sources, and the tokens of all cells."""

    def __init__(
        self,
        vqgan: VQGAN,
        canvas: Canvas,
        text: Tensor,
        clip_frames: int,
        on_step: Callable[[], None],
    ) -> None:
        self.vqgan = vqgan
        self.canvas = canvas
        self.controller = Controller(canvas)
        self.words = Words(text, has_subject=False)
        self.clip_frames = clip_frames
        self.on_step = on_step
        self.margin = margin_of(vqgan.config)
        self.sources: list[SourceCells] = []
        self.tokens = np.empty((0, canvas.rows, canvas.columns), dtype=np.int64)
        self._place: Tokens = np.full((canvas.rows, canvas.columns), UNKNOWN, dtype=np.int64)
        self._shown: Pixels | None = None  # working pixels that the source's tokens were made of
        self._first = Cells.unknown(canvas.rows, canvas.columns)

    def begin(self, frames: list[Pixels]) -> None:
        """Take in more frames of the source; what was drawn around them before is known."""
        self._first = Cells.unknown(self.canvas.rows, self.canvas.columns)
        known = len(self.sources)
        for frame in frames:
            self._add(SourceCells(frame, self.canvas, self.vqgan))
        self.sources[0].put_into(self._first, self.canvas.cells)
        self._first.tokens[:] = self.tokens[0]
        if known:
            for step in self.controller:
                self._sample(step)

    def fill_first(self, draw: Draw, shows: Shows, seed: int) -> None:
        """Draw all that is not known of the first frame."""
        drafts = Drafts(self.sources[0], self.controller, self._select)
        for step in self.controller:
            tokens = drafts.patch(
                step, tell=lambda _: self.words, draw=draw, seed=seed, shows=shows
            )
            if tokens is None:
                plan = plan_step(step, self._window(step), self.words)
                drawn = draw(plan, step_seed(seed, step.index))[0].cpu().numpy()
                tokens = drawn[step.patch.seen_from(step.window).slices]
            self._first.tokens[step.patch.slices] = tokens
            self._sample(step)
            self.on_step()
        self.tokens[0] = self._place = self._first.tokens.copy()

    def fill(self, known: int, draw: Draw, seed: int) -> None:
        """Draw all that is not known of the frames from number `known` on."""
        for step in self.controller:
            drawn = draw(self._plan(step), step_seed(seed, step.index))[known:].cpu().numpy()
            inside = step.patch.seen_from(step.window)
            self.tokens[known:, *step.patch.slices] = drawn[:, *inside.slices]
            self.on_step()

    def pixels(self, number: int) -> Pixels:
        """One frame of the result."""
        source = self.sources[number]
        frame = np.empty((self.canvas.height, self.canvas.width, 3), dtype=np.uint8)
        frame[self.canvas.source_pixels.slices] = source.picture
        for step in self.controller:
            around = step.patch.grown(self.margin).overlap(self.canvas.cells)
            tokens = self.tokens[number][around.slices]
            place, pixels = strip(source, step.patch, around, tokens)
            frame[place.slices] = pixels
        return frame

    def forget(self, context: int) -> None:
        """Keep the last frames only."""
        self.sources, self.tokens = self.sources[-context:], self.tokens[-context:]

    def _add(self, source: SourceCells) -> None:
        cells = Cells.unknown(self.canvas.rows, self.canvas.columns)
        source.put_into(cells, self.canvas.cells)
        whole = self.canvas.source
        pixels = source.pixels(whole)
        if self._shown is not None:
            is_still = _still_cells(self._shown, pixels, whole, self.canvas.cell)
            inside = cells.tokens[whole.slices]
            before: Tokens = self.tokens[-1][whole.slices]
            inside[is_still] = before[is_still]
            kept = is_still.repeat(self.canvas.cell, axis=0).repeat(self.canvas.cell, axis=1)
            pixels = np.where(kept[..., None], self._shown, pixels)
        self._shown = pixels
        self.sources.append(source)
        self.tokens = np.concatenate((self.tokens, cells.tokens[None]))

    def _plan(self, step: Step) -> Plan:
        """The plan of one step, over all frames of the chunk."""
        canvas = torch.from_numpy(self.tokens[:, *step.window.slices].copy())[None]
        expected = torch.from_numpy(self._place[step.window.slices].copy()).expand_as(canvas)
        return replace(
            plan_step(step, self._window(step), self.words),
            kind="video",
            grid=GridShape(*canvas.shape[1:]),
            canvas=canvas,
            known_tokens=canvas,
            layout_frames=self.clip_frames,
            expected=expected,
            expected_nats=EXPECTED_NATS,
        )

    def _window(self, step: Step) -> Cells:
        """What is known of the first frame in a step's window."""
        cells = step.window.slices
        return Cells(self._first.tokens[cells], self._first.samples[cells])

    def _select(self, rect: Rect) -> Cells:
        """The same of any rectangle, which may reach beyond the canvas."""
        found, inside = Cells.unknown(rect.height, rect.width), rect.overlap(self.canvas.cells)
        found.put(inside.seen_from(rect), self._first.part(inside))
        return found

    def _sample(self, step: Step) -> None:
        """Low-level pixels of a patch of the first frame, which is known by now."""
        inside = step.patch.seen_from(step.window)
        tokens = self._first.tokens[step.window.slices]
        levels = decode_cells(self.vqgan, tokens, self.sources[0].intact(step.window))
        pixels = torch.from_numpy(levels).permute(2, 0, 1)[None] / 127.5 - 1
        samples = samples_of(pixels, step.window)[inside.slices]
        self._first.samples[step.patch.slices] = samples


def _still_cells(before: Pixels, now: Pixels, cells: Rect, cell: int) -> Mask:
    """bool (h, w): cells whose working pixels (H, W, 3) are nearly the same in two frames."""
    change = np.abs(now.astype(np.int16) - before).mean(axis=-1)
    blocks = change.reshape(cells.height, cell, cells.width, cell)
    return blocks.mean(axis=(1, 3)) < _STILL
