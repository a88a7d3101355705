"""A clip that leaves frame by frame while its later frames are still drawn.

A wave of the decoder touches a few frames only, so the first frame of a clip is complete long before the
last. Each goes through the very functions that `Engine.run` uses, one at a time: pixels, detail, region.
Frames that were given are there at once.

Invariants: the frames are bit for bit those of `Engine.run`. The recipe is known before the first frame.
Memory is that of a few frames, however long the clip is (and of what was given).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from nuwa_cli.api.drawing import decode_frames, to_frames
from nuwa_cli.api.engine import Engine, Prepared
from nuwa_cli.api.finish import DrawnFrame, finished_frames, finished_size
from nuwa_cli.api.orders import Order
from nuwa_cli.errors import UsageError
from nuwa_cli.media.metadata import Recipe
from nuwa_cli.media.video import Frame
from nuwa_cli.tasks.run import OnProgress, plan_frames


@dataclass(frozen=True)
class StreamedClip:
    """A clip whose frames are drawn while they are taken, once."""

    fps: float
    width: int
    height: int
    num_frames: int
    seed: int
    recipe: Recipe
    frames: Iterator[Frame]  # uint8 (height, width, 3)


def stream_frames(
    engine: Engine,
    order: Order,
    *,
    on_progress: OnProgress | None = None,
) -> StreamedClip:
    """Begin a clip; its frames are drawn while they are taken.

    The best of several candidates is known only when all are complete: then everything is drawn now, and
    the frames are only handed out.
    Raises UsageError for an order that makes no clip or cannot be used, InputError for what this model
    cannot read.
    """
    prepared = engine.prepare(order)
    if prepared.speed is None:
        raise UsageError(f"task '{order.task}': makes a picture, which has no frames to stream")
    if prepared.count > 1:
        return _drawn_before(engine, order, prepared.speed, on_progress)
    size = engine.model.tokenizer.config.image_size
    height, width = finished_size(prepared.given, prepared.fitted, size)
    num_frames = prepared.plan.grid.frames
    seed = prepared.settings.seed
    drawn = _drawn(engine, prepared, on_progress)
    return StreamedClip(
        fps=prepared.speed,
        width=width,
        height=height,
        num_frames=num_frames,
        seed=seed,
        recipe=engine.recipe_of(prepared, num_frames, seed),
        frames=finished_frames(prepared.given, prepared.fitted, drawn),
    )


def _drawn(
    engine: Engine,
    prepared: Prepared,
    on_progress: OnProgress | None,
) -> Iterator[DrawnFrame]:
    model, plan = engine.model, prepared.plan

    def pixels(tokens: Tensor, index: int) -> Frame:
        frame: Frame = to_frames(decode_frames(model, plan, tokens[None], index, engine.device))[0]
        return frame

    frames = plan_frames(model.transformer, plan, prepared.settings, on_progress=on_progress)
    for index, tokens in enumerate(frames):
        yield DrawnFrame(tokens.numpy(), partial(pixels, tokens, index))


def _drawn_before(
    engine: Engine,
    order: Order,
    fps: float,
    on_progress: OnProgress | None,
) -> StreamedClip:
    (generated,) = engine.run_many([order], on_progress=on_progress)
    num_frames, height, width = generated.frames.shape[:3]
    return StreamedClip(
        fps=fps,
        width=width,
        height=height,
        num_frames=num_frames,
        seed=generated.seed,
        recipe=generated.recipe,
        frames=iter(generated.frames),
    )
