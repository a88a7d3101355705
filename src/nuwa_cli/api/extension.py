"""Pictures without end: a picture that grows on any side, and pictures of a text at any size.

An `Extension` is planned at once and then drawn step by step; its pixels leave as soon as they are final and
are never held, so a picture of any length can be written in the memory of a small one. Steps whose tokens are
known, from a journal of an earlier run, are not drawn again, and the result is the same byte for byte.

`joints` says where patches meet, for whoever measures seams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from nuwa_cli.api.engine import Engine, SamplingOverrides
from nuwa_cli.api.generated import Generated, Tokens
from nuwa_cli.api.given import Given, as_frames
from nuwa_cli.api.recipe import make_recipe, place_options
from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.hub.model_dir import LoadedModel
from nuwa_cli.infinity.controller import Controller
from nuwa_cli.infinity.geometry import Canvas, Margins, Rect, plan_canvas
from nuwa_cli.infinity.mirror import lanes
from nuwa_cli.infinity.pool import UNKNOWN
from nuwa_cli.infinity.source import resample
from nuwa_cli.infinity.strips import margin_of
from nuwa_cli.infinity.walk import walk
from nuwa_cli.infinity.words import Segment, plan_segments, teller
from nuwa_cli.media.metadata import Recipe
from nuwa_cli.tasks.inputs import Bytes
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.run import OnProgress, run_plan, run_plans

if TYPE_CHECKING:
    from torch import Tensor

SOURCE_STEP = -1
"""Step of the piece that holds the source's own pixels."""


@dataclass(frozen=True)
class Piece:
    """Final pixels of the result, which no other piece overlaps."""

    step: int  # that completed them, `SOURCE_STEP` for the source's own
    tokens: Tokens | None  # (h, w) of the step's patch, in the step's first piece only
    top: int
    left: int
    pixels: Bytes  # (h, w, 3); empty where a step completes none


class Extension:
    """One picture that grows. `NuwaPipeline.start_extension` and `start_wide` make it."""

    def __init__(
        self,
        engine: Engine,
        picture: Bytes,
        canvas: Canvas,
        settings: SamplingConfig,
        segments: tuple[Segment, ...],
        *,
        recipe: Recipe,
        detail: Bytes | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """`detail` is the picture (H, W, 3) that a model drew, in its own pixels: what the words speak of
        stands in it already. None: the picture is the user's."""
        self._engine = engine
        self._picture = picture
        self._canvas = canvas
        self._settings = settings
        self._segments = segments
        self._recipe = recipe
        self._detail = detail
        self._on_progress = on_progress
        self._controller = Controller(canvas)

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
        """(top, left) of the source in the result."""
        place = self._canvas.source_pixels
        return place.top, place.left

    @property
    def num_steps(self) -> int:
        """How many patches are drawn."""
        return len(self._controller)

    @property
    def joints(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(columns, rows) in pixels of the result, 0 < column < width, where patches that were drawn one
        after the other meet each other or the source; the border runs before that pixel."""
        columns, rows = self._controller.joints()
        place = self._canvas.result_rect
        return (
            _inside((place(Rect(0, column, 0, 0)).left for column in columns), self.width),
            _inside((place(Rect(row, 0, 0, 0)).top for row in rows), self.height),
        )

    def pieces(self, known: Mapping[int, Tokens] | None = None) -> Iterator[Piece]:
        """The source, then every step with what it completes; together they cover the result.

        Args:
            known: tokens of steps that need not be drawn again.

        Raises InputError when known tokens do not belong to this picture.
        """
        top, left = self.origin
        yield Piece(SOURCE_STEP, None, top, left, self._picture)
        picture = self._picture if self._detail is None else self._detail
        filled = walk(
            lanes(picture, self._canvas, self._engine.toolkit.vqgan),
            draw=self._draw,
            tell=teller(
                self._canvas,
                self._segments,
                lambda prompt: self._engine.reader.tokens(prompt, self._picture, "place"),
                has_subject=self._detail is None,
            ),
            shows=self._engine.reader.shows_place,
            seed=self._settings.seed,
            known=known or {},
            draw_all=self._draw_all,
        )
        empty = np.empty((0, 0, 3), dtype=np.uint8)
        for done in filled:
            if self._on_progress is not None:
                self._on_progress(done.step.index + 1, self.num_steps)
            tokens: Tokens | None = done.tokens
            for place, pixels in done.strips or [(Rect(0, 0, 0, 0), empty)]:
                yield Piece(done.step.index, tokens, place.top, place.left, pixels)
                tokens = None

    def complete_box(self, done: int) -> tuple[int, int, int, int]:
        """(top, left, height, width) of the largest rectangle of whole bands around the source that
        `pieces` has given out after `done` steps."""
        controller, canvas = self._controller, self._canvas
        margin = margin_of(self._engine.toolkit.vqgan.config)
        bands = [
            region.num_complete(lambda patch: controller.known_after(patch.grown(margin)) < done)
            for region in controller.regions
        ]
        right, left, below, above = (
            region.band_rect(count) for region, count in zip(controller.regions, bands, strict=True)
        )
        source = canvas.source
        box = Rect(source.top, left.left, source.height, left.width + source.width + right.width)
        if box.width == canvas.columns:  # what grows up and down is as wide as that
            box = Rect(above.top, 0, above.height + source.height + below.height, box.width)
        place = canvas.result_rect(box)
        return place.top, place.left, place.height, place.width

    def generate(self) -> Generated:
        """The whole picture in memory; tokens of the source's cells are -1."""
        canvas = self._canvas
        frame = np.empty((self.height, self.width, 3), dtype=np.uint8)
        tokens: Tokens = np.full((1, canvas.rows, canvas.columns), UNKNOWN, dtype=np.int64)
        for piece in self.pieces():
            height, width = piece.pixels.shape[:2]
            frame[Rect(piece.top, piece.left, height, width).slices] = piece.pixels
            if piece.tokens is not None:
                tokens[0][self._controller.step(piece.step).patch.slices] = piece.tokens
        kept = frame[canvas.source_pixels.slices]
        return Generated(
            frames=frame[None],
            tokens=tokens,
            seed=self._settings.seed,
            score=None,
            fps=None,
            recipe=self._recipe,
            outside_identical=bool(np.array_equal(kept, self._picture)),
        )

    def recipe(self) -> Recipe:
        """Everything that makes this picture."""
        return self._recipe

    def _draw(self, plan: Plan, seed: int) -> Tensor:
        return draw_step(self._engine.model, plan, self._settings, seed)

    def _draw_all(self, asked: Sequence[tuple[Plan, int]]) -> list[Tensor]:
        samples = [(plan, _settings_of(plan, self._settings, seed)) for plan, seed in asked]
        return run_plans(self._engine.model.transformer, samples, together=len(samples))


def draw_step(model: LoadedModel, plan: Plan, settings: SamplingConfig, seed: int) -> Tensor:
    """Tokens (t, h, w) of one step of something that grows."""
    return run_plan(model.transformer, plan, _settings_of(plan, settings, seed))


def _settings_of(plan: Plan, settings: SamplingConfig, seed: int) -> SamplingConfig:
    if plan.nobody and plan.kind == "image":
        settings = settings.of_place()
    return replace(settings, seed=seed)


def start_extension(
    engine: Engine,
    picture: Any,
    margins: Margins,
    prompt: str = "",
    *,
    segments: Sequence[Segment] = (),
    sources: tuple[dict[str, str], ...] = (),
    seed: int | None = None,
    on_progress: OnProgress | None = None,
    **sampling: Unpack[SamplingOverrides],
) -> Extension:
    """Plan a picture (H, W, 3) that grows by `margins`: `NuwaPipeline.start_extension`."""
    source = as_frames(picture)[0]
    if not margins:
        raise UsageError("extend: no side grows; give right, left, up or down, or a larger size")
    settings = engine.settings(seed, sampling)
    canvas = canvas_of(engine, source.shape[0], source.shape[1], margins)
    told = plan_segments(canvas, prompt, segments)
    recipe = make_recipe(
        "extend",
        prompt,
        Given(frames=source[None], sources=sources),
        None,
        settings,
        sample_seed=settings.seed,
        best_of=1,
        clip=None,
        model=engine.identity,
        device=engine.device.type,
        dtype=str(engine.dtype).removeprefix("torch."),
    )
    recipe["options"] |= margin_options(margins)
    if segments:
        recipe["options"]["prompts"] = [[segment.at, segment.prompt] for segment in told]
    return Extension(
        engine,
        source,
        canvas,
        settings,
        told,
        recipe=recipe,
        on_progress=on_progress,
    )


def start_wide(
    engine: Engine,
    prompt: str,
    width: int,
    height: int,
    *,
    seed: int | None = None,
    best_of: int | None = None,
    on_progress: OnProgress | None = None,
    **sampling: Unpack[SamplingOverrides],
) -> Extension:
    """Plan a picture of a text with `width` x `height` pixels: `NuwaPipeline.start_wide`."""
    if min(width, height) < 1:
        raise UsageError(f"size '{width}x{height}': is empty; give e.g. 1024x256")
    side = min(width, height, engine.model.config.tokenizer.image_size)
    left, top = (width - side) // 2, (height - side) // 2
    margins = Margins(left, top, width - side - left, height - side - top)
    settings = engine.settings(seed, sampling)
    canvas = canvas_of(engine, side, side, margins)
    drawn = engine.run("t2i", prompt, seed=seed, best_of=best_of, **sampling)
    detail = drawn.frames[0]
    options = {**drawn.recipe["options"], "size": [width, height], **place_options(settings)}
    recipe = {**drawn.recipe, "options": options}
    return Extension(
        engine,
        resample(detail, (0, 0, detail.shape[1], detail.shape[0]), side, side),
        canvas,
        settings,
        (Segment(0, prompt),),
        recipe=recipe,
        detail=detail,
        on_progress=on_progress,
    )


def margin_options(margins: Margins) -> dict[str, int]:
    """Margins by the names that recipes and the command line give them."""
    return {
        "left": margins.left,
        "up": margins.top,
        "right": margins.right,
        "down": margins.bottom,
    }


def canvas_of(engine: Engine, height: int, width: int, margins: Margins) -> Canvas:
    """The canvas of a source of (height, width) pixels. Raises UsageError."""
    config = engine.model.config.tokenizer
    side, cell = config.grid_size, config.downsample_factor
    return plan_canvas(height, width, margins, side=side, cell=cell)


def _inside(edges: Iterable[int], length: int) -> tuple[int, ...]:
    """Places strictly between 0 and a length, each once."""
    return tuple(sorted({edge for edge in edges if 0 < edge < length}))
