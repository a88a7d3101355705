"""Autoregressive over autoregressive (NUWA-Infinity, arXiv 2207.09814): patch after patch over the canvas,
and inside each patch token after token, by wavefronts.

Each step is one plan of the completion engine: the known cells of its window are canvas, known tokens and
low-level pixels, the rest is the hole. Cells of the window outside the patch are known by then, so of what
the model draws only the patch is kept. When a step is done, patches whose surroundings are complete leave as
pixels, and cells that no later step will look at leave the pool: neither time nor memory of a step grows with
the canvas.

A patch that does not join, a night sky beside a blue one, would go on in all that follows. So the light is
compared across its borders (`joints`), and where it steps, the patch is drawn again.

Invariant: a step's tokens depend on its window, its words and a seed mixed from (seed, step) alone, so steps
taken from a journal give the same result as steps that are drawn.
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
from nuwa_cli.infinity.geometry import Rect
from nuwa_cli.infinity.joints import joint_step
from nuwa_cli.infinity.pool import UNKNOWN, Cells, ContextPool, Tokens
from nuwa_cli.infinity.source import Levels, Pixels, SourceCells, samples_of
from nuwa_cli.infinity.strips import decode_cells, margin_of, strip
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.sampling.randomness import uniforms
from nuwa_cli.tasks.plan import Box, Plan

Draw = Callable[[Plan, int], Tensor]
"""(plan, seed) → tokens (1, h, w) of the window."""

PlaceStrip = Callable[[Rect, Pixels], tuple[Rect, Pixels]]
"""Where a strip of a lane belongs in the whole result, and what it shows there."""

_ATTEMPTS = 3  # drawings of a patch, until one joins
_GOOD_JOINT = 2.0  # levels; 3 of 4 lines through true pictures have less
_SEED_BITS = 48  # of a step's seed: all that `uniforms` gives
_SKY_NATS = 3.0
"""How strongly a patch above a picture is expected to go on with what lies below it. A sky tells little of how far
up it is: without it, each band began the gradient of a whole sky anew, or mountains."""
_FIRST_SEED = 1 << 40  # positions that no token and no layout ever has


@dataclass(frozen=True)
class Words:
    """What a step is told."""

    text: Tensor  # int64 (1, L), all zeros = nothing
    has_subject: bool  # what the text speaks of stands in this step's patch; elsewhere nobody does


Tell = Callable[[Step], Words]


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


def walk(
    steps: Iterable[tuple[Step, Lane]],
    *,
    draw: Draw,
    tell: Tell,
    seed: int,
    known: Mapping[int, Tokens],
) -> Iterator[Filled]:
    """Fill a canvas of which nothing but the source is known, step by step; steps in `known` are taken
    from there.

    Raises InputError when known tokens are not those of their step.
    """
    for step, lane in steps:
        nearby, own = lane.nearby, lane.own_step(step)
        window = nearby.select(own.window)
        if step.index in known:
            tokens = _checked(known[step.index], own, nearby.source)
            seen = nearby.look(own, window, tokens)
        else:
            plan = plan_step(own, window, tell(step))
            tokens, seen = _best_drawn(nearby, own, window, plan, draw, step_seed(seed, step.index))
        yield Filled(step, tokens, lane.placed(nearby.fill(own, tokens, seen)))


def _best_drawn(
    nearby: Nearby, step: Step, window: Cells, plan: Plan, draw: Draw, seed: int
) -> tuple[Tokens, Levels]:
    """Tokens of a step's patch, and pixels of its window. A patch that does not join what is there is
    drawn again; of all attempts the one counts that joins best."""
    inside, cell = step.patch.seen_from(step.window), nearby.source.canvas.cell
    best: tuple[float, Tokens, Levels] | None = None
    for attempt in range(_ATTEMPTS):
        drawn = draw(plan, step_seed(seed, attempt) if attempt else seed)
        tokens: Tokens = drawn[0].cpu().numpy()[inside.slices]
        seen = nearby.look(step, window, tokens)
        size = joint_step(seen, inside, cell)
        if best is None or size < best[0]:
            best = size, tokens, seen
        if size <= _GOOD_JOINT:
            break
    assert best is not None
    return best[1:]


def plan_step(step: Step, window: Cells, words: Words) -> Plan:
    """The plan of one step, from the cells of its window: those of the patch are unknown."""
    height, width = window.tokens.shape
    canvas = torch.from_numpy(window.tokens.copy())[None, None]
    is_sky = step.direction == "up" and not words.has_subject
    return Plan(
        task="extend",
        kind="image",
        grid=GridShape(1, height, width),
        text=words.text,
        canvas=canvas,
        pixels=_low_level(window),
        layout_frames=1,
        nobody=not words.has_subject,
        focus=_focus(step) if words.has_subject else None,
        known_tokens=canvas,
        expected=_sky(canvas, step) if is_sky else None,
        expected_nats=_SKY_NATS if is_sky else 0.0,
    )


def _sky(canvas: Tensor, step: Step) -> Tensor:
    """What a patch above a picture is expected to show, int64 (1, 1, h, w): in each column the token that
    lies right below the patch."""
    patch = step.patch.seen_from(step.window)
    expected = torch.full_like(canvas, UNKNOWN)
    below = canvas[..., patch.bottom, patch.left : patch.right]
    expected[..., patch.top : patch.bottom, patch.left : patch.right] = below[..., None, :]
    return expected


def step_seed(seed: int, step: int) -> int:
    """The seed of one step, mixed from both."""
    number = uniforms(seed, torch.tensor([-_FIRST_SEED - step]))
    return int(number[0] * (1 << _SEED_BITS))


class Nearby:
    """What is known around the current step: the source's own cells and the pool of drawn ones."""

    def __init__(self, source: SourceCells, controller: Controller) -> None:
        self.source = source
        self.controller = controller
        self.pool = ContextPool(source.canvas.side)
        self.margin = margin_of(source.vqgan.config)
        # No window and no strip reaches further back from a patch than this.
        self._reach = 2 * self.margin + source.canvas.side
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


def _low_level(window: Cells) -> Tensor:
    """Low-level pixels (1, 4, 4h, 4w) of a window: RGB in [-1, 1] of known cells, and their share."""
    samples = torch.from_numpy(window.samples).permute(4, 0, 2, 1, 3)  # 3, h, 4, w, 4
    known = torch.from_numpy(window.tokens != UNKNOWN).float()[None, :, None, :, None]
    colours = (samples.float() / 127.5 - 1) * known
    both = torch.cat((colours, known.expand_as(colours[:1])))
    return both.flatten(3, 4).flatten(1, 2)[None]


def _focus(step: Step) -> Box:
    """Where a subject may stand: the patch, as shares of the window."""
    inside, window = step.patch.seen_from(step.window), step.window
    return (
        (inside.left + inside.right) / 2 / window.width,
        (inside.top + inside.bottom) / 2 / window.height,
        inside.width / window.width,
        inside.height / window.height,
    )


def _checked(tokens: Tokens, step: Step, source: SourceCells) -> Tokens:
    """Known tokens of a step, if they can be that."""
    shape = (step.patch.height, step.patch.width)
    size = source.vqgan.config.codebook_size
    if tokens.shape != shape or tokens.min() < 0 or tokens.max() >= size:
        raise InputError(
            f"step '{step.index}': its stored tokens are not those of this picture; begin anew"
        )
    return np.ascontiguousarray(tokens, dtype=np.int64)
