"""Autoregressive over autoregressive (NUWA-Infinity, arXiv 2207.09814): patch after patch over the canvas,
and inside each patch token after token, by wavefronts.

Each step is one plan of the completion engine: the known cells of its window are canvas, known tokens and
low-level pixels, the rest is the hole. Cells of the window outside the patch are known by then, so of what
the model draws only the patch is kept. When a step is done, patches whose surroundings are complete leave as
pixels, and cells that no later step will look at leave the pool: neither time nor memory of a step grows with
the canvas. What lies below is decided at half the scale beforehand (`drafts`).

A patch that does not join, a night sky beside a blue one, would go on in all that follows. So the light is
compared across its borders (`joints`), and where it steps, the patch is drawn again.

Patches of one side cannot be drawn at once: every cell of a patch knows its whole canvas beforehand, and that of the
second holds the first. Lanes see nothing of each other, so a patch on the right and one on the left are decoded in the
same steps, each as it would be alone.

Invariant: a step's tokens depend on its window or draft, its words and a seed mixed from (seed, step) alone, so
steps taken from a journal give the same result as steps that are drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.errors import InputError
from nuwa_cli.infinity.controller import Controller, Step
from nuwa_cli.infinity.drafts import Drafts, Shows
from nuwa_cli.infinity.geometry import Rect
from nuwa_cli.infinity.joints import best_joined
from nuwa_cli.infinity.plans import Draw, DrawAll, Tell, plan_step, step_seed
from nuwa_cli.infinity.pool import UNKNOWN, Cells, ContextPool, Tokens
from nuwa_cli.infinity.source import Levels, Pixels, SourceCells, samples_of
from nuwa_cli.infinity.strips import decode_cells, margin_of, strip
from nuwa_cli.tasks.plan import Plan

PlaceStrip = Callable[[Rect, Pixels], tuple[Rect, Pixels]]
"""Where a strip of a lane belongs in the whole result, and what it shows there."""


@dataclass(frozen=True)
class Filled:
    """A step that is done, and the pixels that became final with it."""

    step: Step
    tokens: Tokens  # int64 (h, w) of the patch
    strips: list[tuple[Rect, Pixels]]  # places in the result, and pixels uint8 (h, w, 3)


class Lane:
    """Steps that share their surroundings, and where their pixels belong."""

    def __init__(self, nearby: Nearby, place: PlaceStrip | None = None) -> None:
        self.nearby = nearby
        self._place = place

    def alone(self) -> Iterator[tuple[Step, Lane]]:
        """Every step of a canvas that this lane draws all of."""
        return ((step, self) for step in self.nearby.controller)

    def own_step(self, step: Step) -> Step:
        """The step as this lane counts it."""
        return step

    def placed(self, strips: list[tuple[Rect, Pixels]]) -> list[tuple[Rect, Pixels]]:
        """Strips of this lane in the whole result."""
        return strips if self._place is None else [self._place(*strip) for strip in strips]


@dataclass(frozen=True)
class _Asked:
    """A step as its lane counts it, what its window shows, and its tokens, or what it takes to draw them."""

    step: Step
    lane: Lane
    own: Step
    window: Cells
    seed: int
    tokens: Tokens | None
    plan: Plan | None


def walk(
    steps: Iterable[tuple[Step, Lane]],
    *,
    draw: Draw,
    tell: Tell,
    shows: Shows,
    seed: int,
    known: Mapping[int, Tokens],
    draw_all: DrawAll | None = None,
) -> Iterator[Filled]:
    """Fill a canvas of which nothing but the source is known, step by step; steps in `known` are taken
    from there. With `draw_all`, neighboring steps of different lanes are drawn at once.

    Raises InputError when known tokens are not those of their step.
    """

    def ask(step: Step, lane: Lane) -> _Asked:
        nearby, own = lane.nearby, lane.own_step(step)
        if step.index in known:
            tokens: Tokens | None = _checked(known[step.index], own, nearby.source)
        else:
            tokens = nearby.drafts.patch(own, tell=tell, draw=draw, seed=seed, shows=shows)
        window = nearby.select(own.window)
        plan = plan_step(own, window, tell(step)) if tokens is None else None
        return _Asked(step, lane, own, window, step_seed(seed, step.index), tokens, plan)

    for group in _apart(steps):
        asked = [ask(step, lane) for step, lane in group]
        new = {one.step.index: (one.plan, one.seed) for one in asked if one.plan is not None}
        if draw_all is not None and len(new) > 1:
            drawn = draw_all(list(new.values()))
        else:
            drawn = [draw(plan, own_seed) for plan, own_seed in new.values()]
        first = dict(zip(new, drawn, strict=True))
        for one in asked:
            nearby, tokens = one.lane.nearby, one.tokens
            if tokens is None:
                tokens, seen = _best_drawn(one, draw, first[one.step.index])
            else:
                seen = nearby.look(one.own, one.window, tokens)
            yield Filled(one.step, tokens, one.lane.placed(nearby.fill(one.own, tokens, seen)))


def _apart(steps: Iterable[tuple[Step, Lane]]) -> Iterator[list[tuple[Step, Lane]]]:
    """Neighboring steps, no two of one lane."""
    group: list[tuple[Step, Lane]] = []
    for step, lane in steps:
        if any(lane is other for _, other in group):
            yield group
            group = []
        group.append((step, lane))
    if group:
        yield group


def _best_drawn(asked: _Asked, draw: Draw, first: Tensor) -> tuple[Tokens, Levels]:
    """Tokens of a step's patch, and pixels of its window; `first` is the first drawing."""
    assert asked.plan is not None
    plan, nearby = asked.plan, asked.lane.nearby
    inside = asked.own.patch.seen_from(asked.own.window)

    def attempt(number: int) -> tuple[Tokens, Levels]:
        drawn = draw(plan, step_seed(asked.seed, number)) if number else first
        tokens: Tokens = drawn[0].cpu().numpy()[inside.slices]
        return tokens, nearby.look(asked.own, asked.window, tokens)

    return best_joined(attempt, inside, nearby.source.canvas.cell)


class Nearby:
    """What is known around the current step: the source's own cells and the pool of drawn ones."""

    def __init__(self, source: SourceCells, controller: Controller) -> None:
        self.source = source
        self.controller = controller
        self.pool = ContextPool(source.canvas.side)
        self.drafts = Drafts(source, controller, self.select)
        self.margin = margin_of(source.vqgan.config)
        # No window, no draft and no strip reaches further back from a patch than this.
        side = source.canvas.side
        self._reach = side + max(2 * self.margin, side // 2)
        self._complete: dict[int, list[Rect]] = defaultdict(list)  # by the step that completes them
        self._needless: dict[int, list[Rect]] = defaultdict(list)

    def select(self, rect: Rect) -> Cells:
        """All that is known of a rectangle."""
        cells = self.pool.select(rect)
        self.source.put_into(cells, rect)
        return cells

    def look(self, step: Step, window: Cells, tokens: Tokens) -> Levels:
        """The window's cells as pixels, with these tokens in the patch."""
        whole = window.tokens.copy()
        whole[step.patch.seen_from(step.window).slices] = tokens
        return decode_cells(self.source.vqgan, whole, self.source.intact(step.window))

    def fill(self, step: Step, tokens: Tokens, seen: Levels) -> list[tuple[Rect, Pixels]]:
        """Add a step's patch, given its tokens and the pixels of its window; returns the strips that are
        final now, and forgets what is not needed any more."""
        patch, inside = step.patch, step.patch.seen_from(step.window)
        pixels = torch.from_numpy(seen).permute(2, 0, 1)[None] / 127.5 - 1
        self.pool.add(patch, Cells(tokens, samples_of(pixels, step.window)[inside.slices]))
        around = patch.grown(self.margin)
        self._complete[self.controller.known_after(around)].append(patch)
        needed = self.controller.known_after(patch.grown(self._reach))
        self._needless[needed].append(patch)
        strips = [self._strip(patch) for patch in self._complete.pop(step.index, [])]
        for old in self._needless.pop(step.index, []):
            self.pool.remove(old)
        return strips

    def _strip(self, patch: Rect) -> tuple[Rect, Pixels]:
        around = patch.grown(self.margin).overlap(self.source.canvas.cells)
        tokens = self.select(around).tokens
        assert (tokens != UNKNOWN).all(), "a cell was forgotten too early"
        return strip(self.source, patch, around, tokens)


def _checked(tokens: Tokens, step: Step, source: SourceCells) -> Tokens:
    """Known tokens of a step, if they can be that."""
    shape = (step.patch.height, step.patch.width)
    size = source.vqgan.config.codebook_size
    if tokens.shape != shape or tokens.min() < 0 or tokens.max() >= size:
        raise InputError(
            f"step '{step.index}': its stored tokens are not those of this picture; begin anew"
        )
    return np.ascontiguousarray(tokens, dtype=np.int64)
