"""Drafts: what lies below a picture is drawn at half the scale first.

A window that is half known shows too little to tell how far down it is: under the sea of a beach came more
sea, under trunks more trunks. At half the scale one window holds the known half as its quarter and the next
two bands besides, and there the model knows how a picture goes on: with sand, with a forest's floor. What it
draws is enlarged and tokenized, and the tokens are those of the patches. Of three drafts that join, the one is taken
that shows most clearly where it is; the first that leaves no doubt is enough.

    ┌────┬───────┬────┐
    │    │ known │    │   A draft below a source as wide as a window. What lies beside it is drawn along and
    │    ├───────┤    │   not kept; where the canvas is wider, it is known above, and where patches on the
    │    │ band  │    │   left are drawn already, also there.
    │    │ band  │    │
    └────┴───────┴────┘

A picture that shows a scene down to its end has nothing missing: a draft begins another scene under it, which
does not join. So a draft that does not join is dropped, and the patch is drawn as it is; one that hardly joins is
kept if the picture shows with it more clearly where it is: then it was a part, and what it lacked may well begin
at its edge.

Above pictures there is sky, whole scenes or not, and beside them a window holds all that there is: neither needs
a draft. Nor does a patch that somebody is to stand in: at half the scale there is no room for him.

Of two bands that follow each other the first patches share a draft. The others share one in twos along their
band: what lies left of them was drawn in the meantime.

Invariant: a draft depends on what was known before the step that first needs it, on that step's words and
its seed alone; so a walk that goes on from a journal has the same one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.infinity import joints
from nuwa_cli.infinity.controller import Controller, Step
from nuwa_cli.infinity.geometry import Rect
from nuwa_cli.infinity.plans import Draw, Tell, step_seed
from nuwa_cli.infinity.pool import UNKNOWN, Cells, Tokens
from nuwa_cli.infinity.source import Levels, SourceCells
from nuwa_cli.infinity.strips import decode_cells
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.ops.samples import sample_pixels
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tokenizer.vqgan import VQGAN

_SCALE = 2  # cells along each side that one cell of a draft stands for
_ATTEMPTS = 3  # drafts, until one joins and is clear
_CLEAR = -0.02
"""Nats of the place in what a draft adds. Of 40 parts of scenes 27 showed where they are in the first draft that
joined, 34 in the clearest of three, as many as in the truth."""
_JOINS = 3.5
"""Levels (`joint_step`). Of 20 drafts below parts of scenes 15 join better, and of 20 below whole scenes the 8 that
go on with what is there."""
_HARDLY_JOINS = 15.0
_TELLS = 0.03
"""Nats by which the place must become likelier where a draft hardly joins: below parts of scenes 0.06 to 0.13 for
steps of 8 to 14 levels; below whole ones 0.02 at most in 19 of 20, but 0.08 and 0.14 where a castle and a horse stood
before it, and there the steps are 16 and 19."""
_DRAFT = -1  # mixed into a step's seed: a draft is not drawn like the step

Shows = Callable[[Tensor, Tensor], float | None]
"""(text (1, L), pixels (1, 3, H, W)) → how likely it is, in nats, that a picture shows the place that the text
names; None if it names none."""


@dataclass(frozen=True)
class _Drafted:
    """A draft as it is kept: what is known in its own pixels, the rest enlarged."""

    region: Rect  # of the canvas, or partly beyond it
    pixels: Tensor  # (1, 3, H, W) in [-1, 1]

    def window(self, rect: Rect, cell: int) -> Tensor:
        """The pixels of a rectangle of cells of the canvas."""
        rows, columns = rect.seen_from(self.region).scaled(cell).slices
        return self.pixels[..., rows, columns]


@dataclass(frozen=True)
class _Attempt:
    """A draft before it is chosen: enlarged and as it was drawn (1, 3, S, S), by how many levels it steps where
    it joins, and how likely it is that what it adds shows the place, in nats."""

    drafted: _Drafted
    small: Tensor
    step: float
    clarity: float | None

    @property
    def joins(self) -> bool:
        return self.step <= _JOINS

    @property
    def is_good(self) -> bool:
        return self.joins and (self.clarity is None or self.clarity >= _CLEAR)

    @property
    def rank(self) -> tuple[bool, float]:
        """Greater is better: one that joins, and of those the clearest; or the one that steps least."""
        return self.joins, self.clarity if self.joins and self.clarity is not None else -self.step


class Drafts:
    """The drafts of one canvas; the last one that two bands share is remembered, and the last other one."""

    def __init__(
        self, source: SourceCells, controller: Controller, select: Callable[[Rect], Cells]
    ) -> None:
        """`select` gives all that is known of a rectangle of the canvas."""
        self._source = source
        self._controller = controller
        self._select = select
        self._last: dict[bool, tuple[int, _Drafted | None]] = {}

    def patch(
        self, step: Step, *, tell: Tell, draw: Draw, seed: int, shows: Shows
    ) -> Tokens | None:
        """Tokens int64 (h, w) of a step's patch; None where it is to be drawn as it is."""
        if step.direction != "down" or tell(step).has_subject:
            return None
        first = self._first_of(step, tell)
        is_shared = first.patch.left == 0
        since, drafted = self._last.get(is_shared, (None, None))
        if since != first.index:
            own_seed = step_seed(seed, first.index)
            drafted = self._drafted(first, tell(first).text, draw, own_seed, shows)
            self._last[is_shared] = first.index, drafted
        if drafted is None:
            return None
        window = drafted.window(step.window, self._source.canvas.cell)
        tokens = self._source.vqgan.encode(window)[0].cpu().numpy()
        patch: Tokens = tokens[step.patch.seen_from(step.window).slices]
        return patch

    def _first_of(self, step: Step, tell: Tell) -> Step:
        """The step whose draft shows a step's patch, too: the one before it, or itself."""
        canvas, patch = self._source.canvas, step.patch
        depth = canvas.side // 2
        if patch.left == 0:
            number = (patch.top - canvas.source.bottom) // depth
            before = Rect(patch.top - 1, 0, 1, 1)
        else:
            number = (patch.left - canvas.side) // depth
            before = Rect(patch.top, patch.left - 1, 1, 1)
        if number % 2 == 0:
            return step
        first = self._controller.step(int(self._controller.owners(before)[0, 0]))
        return step if tell(first).has_subject else first

    def _drafted(
        self, step: Step, text: Tensor, draw: Draw, seed: int, shows: Shows
    ) -> _Drafted | None:
        """A new draft for a step; None if it is no good."""
        cell, region = self._source.canvas.cell, self._region(step)
        tokens = self._known_before(step, region)
        known = torch.from_numpy(tokens != UNKNOWN)
        pixels = to_pixels(torch.from_numpy(self._shown(region, tokens)).permute(2, 0, 1)[None])
        pixels = pixels.to(self._source.vqgan.decoder.refine.weight.device)
        is_known = known.repeat_interleave(cell, 0).repeat_interleave(cell, 1).to(pixels.device)
        half = F.avg_pool2d(pixels, _SCALE)
        hole = ~(F.avg_pool2d(is_known[None, None].float(), _SCALE * cell) == 1)
        hole = hole.repeat_interleave(cell, 2).repeat_interleave(cell, 3)

        def attempt(number: int) -> _Attempt:
            chosen = step_seed(seed, _DRAFT - number)
            small = _completed(self._source.vqgan, half, hole, text, draw, chosen)
            large = F.interpolate(small, scale_factor=_SCALE, mode="bicubic").clamp(-1, 1)
            drafted = _Drafted(region, pixels.where(is_known, large))
            window = (drafted.window(step.window, cell)[0] + 1) * 127.5
            levels = window.permute(1, 2, 0).cpu().numpy()
            size = joints.joint_step(levels, step.patch.seen_from(step.window), cell)
            return _Attempt(drafted, small, size, shows(text, _below(small)))

        best = _best_of(attempt)
        is_kept = best.joins or (
            best.step <= _HARDLY_JOINS and _tells_more(text, half, hole, best.small, shows)
        )
        return best.drafted if is_kept else None

    def _region(self, step: Step) -> Rect:
        """What a step's draft shows: as many known rows as a window has, and as many beyond; its patch is in
        the middle across."""
        patch, side = step.patch, self._source.canvas.side
        middle = (patch.left + patch.right) // 2
        return Rect(patch.top - side, middle - side, _SCALE * side, _SCALE * side)

    def _known_before(self, step: Step, region: Rect) -> Tokens:
        """Tokens of a region, without those that this step and later ones have drawn."""
        tokens = self._select(region).tokens.copy()
        inside = region.overlap(self._source.canvas.cells)
        part = tokens[inside.seen_from(region).slices]
        owners = self._controller.owners(inside)
        part[owners >= step.index] = UNKNOWN
        assert (part[owners < step.index] != UNKNOWN).all(), "a cell was forgotten too early"
        return tokens

    def _shown(self, region: Rect, tokens: Tokens) -> Levels:
        """Levels (H, W, 3) of the known cells of a region, the source's as they are; the others mean
        nothing."""
        source = self._source
        cell = source.canvas.cell
        inside = region.overlap(source.canvas.cells)
        given = region.overlap(source.canvas.source)
        levels = np.zeros((region.height * cell, region.width * cell, 3), dtype=np.float32)
        known = tokens[inside.seen_from(region).slices]
        if (known != UNKNOWN).sum() > given.area:
            place = inside.seen_from(region).scaled(cell)
            levels[place.slices] = decode_cells(source.vqgan, _continued(known))
        if given.area:
            levels[given.seen_from(region).scaled(cell).slices] = source.pixels(given)
        return levels


def _completed(
    vqgan: VQGAN, pixels: Tensor, hole: Tensor, text: Tensor, draw: Draw, seed: int
) -> Tensor:
    """Pixels (1, 3, S, S) with their hole (1, 1, S, S) filled, where nobody stands."""
    side = pixels.shape[-1] // vqgan.config.downsample_factor
    is_hole = F.adaptive_max_pool2d(hole.float(), side)[0] > 0
    canvas = vqgan.encode(pixels, hole).masked_fill(is_hole, UNKNOWN)[None].cpu()
    grid = GridShape(1, side, side)
    plan = Plan(
        task="extend",
        kind="image",
        grid=grid,
        text=text,
        canvas=canvas,
        pixels=sample_pixels(pixels, hole, grid).cpu(),
        layout_frames=1,
        nobody=True,
        known_tokens=canvas,
    )
    tokens = draw(plan, seed).to(pixels.device)
    drawn = vqgan.decode(tokens, vqgan.intact_features(pixels, hole))
    return drawn.where(hole, pixels)


def _best_of(attempt: Callable[[int], _Attempt]) -> _Attempt:
    """The first attempt that is good, or the best of all."""
    attempts: list[_Attempt] = []
    while len(attempts) < _ATTEMPTS and not (attempts and attempts[-1].is_good):
        attempts.append(attempt(len(attempts)))
    return attempts[-1] if attempts[-1].is_good else max(attempts, key=lambda one: one.rank)


def _below(small: Tensor) -> Tensor:
    """What a draft (1, 3, S, S) adds below the known window in its middle: (1, 3, S/2, S/2)."""
    half, quarter = small.shape[-1] // 2, small.shape[-1] // 4
    return small[..., half:, quarter : quarter + half]


def _tells_more(text: Tensor, half: Tensor, hole: Tensor, whole: Tensor, shows: Shows) -> bool:
    """Whether a draft (1, 3, S, S) shows its place more clearly than what was known above it."""
    rows, known = half.shape[-1] // 2, ~hole[0, 0, 0]
    before, now = shows(text, half[..., :rows, known]), shows(text, whole)
    return before is not None and now is not None and now - before >= _TELLS


def _continued(tokens: Tokens) -> Tokens:
    """Known tokens (h, w), and in every unknown cell the nearest known one of its column, or else any."""
    result = tokens.copy()
    rows = np.arange(len(tokens))
    for column in result.T:
        known = rows[column != UNKNOWN]
        if len(known):
            column[:] = column[known[np.abs(rows[:, None] - known).argmin(axis=1)]]
    return np.where(result == UNKNOWN, max(int(result.max()), 0), result)
