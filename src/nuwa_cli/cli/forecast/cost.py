"""What one output takes of a model, counted from the sizes in its config; no torch.

Tokens and waves are exact (`sampling.schedule`, whose formula stands here without tensors; a test compares
both). Work is counted in operations of the decoder. Seconds are those of a reference machine; its constants
were measured, for every task.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from nuwa_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from nuwa_cli.config import NuwaConfig
    from nuwa_cli.hub.model_config import ModelConfig

# Seconds on the reference machine: one core of a server processor of 2024, bfloat16.
_PER_WAVE_AND_LAYER = 1.35e-3  # what a step costs whatever its width …
_PER_WAVE_MORE = 0.2  # … and the share of that for each further output in it
_PER_OPERATION = 9.5e-12  # of the narrow products of a wave
_PER_LOOK_OPERATION = 4.5e-12  # of a whole frame at once: the places that a layout is chosen among
_GRID_FACTOR = 1.5  # a sketch or a canvas is looked at in every layer besides the text
_PER_PIXEL = 0.45e-6  # tokens to a frame of pixels
_PER_PIXEL_JOINED = 1.4e-6  # the same where it is joined to what is given
_PER_PIXEL_WRITTEN = 0.1e-6
_PER_PIXEL_GIVEN = 0.2e-6  # fitted, put back, and compared
_PER_OUTPUT = 0.05

_FIRST_LOOKS, _VIEWS, _PATH_LOOKS = 57, 38, 58  # frames scored: a first box, a place, a path …
_BOXES_AT_ONCE, _VIEWS_AT_ONCE = 25, 8  # … and how many of them in one batch (`tasks.layouts`)


class Asked(Protocol):
    """What is read of an order (`api.Order` is one)."""

    @property
    def task(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def given(self) -> Any: ...
    @property
    def num_frames(self) -> int | None: ...
    @property
    def best_of(self) -> int | None: ...
    @property
    def sampling(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Forecast:
    """One output. Tokens and operations are those of all its candidates."""

    task: str
    frames: int
    candidates: int
    streams: int  # 2 under guidance: with the condition, and without
    tokens: int
    waves: int  # of one candidate; they share them
    operations: int
    step_seconds: float  # of one candidate's waves, whatever their width, on the reference machine
    other_seconds: float
    looks: int  # frames that are scored before anything is drawn, at most …
    looks_at_once: int  # … and in one batch
    given_pixels: int  # of pictures that were read
    has_pictures: bool  # they are encoded; a sketch is too, by a smaller net
    has_grid: bool  # a sketch or a canvas is looked at in every layer
    is_streamed: bool = False  # written while it is drawn: no frame is kept

    @property
    def kind(self) -> Hashable:
        """What outputs that are decoded together have in common."""
        return (self.task, self.frames, self.streams, self.is_streamed)

    def seconds(self, sharing: int) -> float:
        """On the reference machine, its waves shared by so many samples."""
        shared = (1 + _PER_WAVE_MORE * (sharing - 1)) / sharing
        return self.candidates * self.step_seconds * shared + self.other_seconds


def cost_of(config: ModelConfig, order: Asked, *, is_streamed: bool = False) -> Forecast:
    """Count one order."""
    net, given = config.transformer, order.given
    frames = _frames(config, order)
    candidates = 1
    if config.reranker is not None and order.prompt:
        candidates = order.best_of or config.best_of
    streams = 2 if _is_guided(config, order) else 1
    tokens = frames * net.grid_height * net.grid_width * candidates
    waves = num_waves(frames, net)
    per_token = operations_per_token(net)
    operations = tokens * per_token * streams
    looks = _looks(order)
    look_operations = candidates * looks * net.grid_height * net.grid_width * per_token
    has_grid = given is not None and (given.sketch is not None or _has_canvas(order))
    factor = _GRID_FACTOR if has_grid else 1.0
    is_joined = given is not None and given.masks is not None and config.tokenizer.intact_skips
    pixels = frames * config.tokenizer.image_size**2
    per_pixel = _PER_PIXEL_JOINED if is_joined else _PER_PIXEL
    source = None if given is None else given.frames if given.frames is not None else given.sketch
    given_pixels = 0 if source is None else math.prod(source.shape[:3])
    return Forecast(
        task=order.task,
        frames=frames,
        candidates=candidates,
        streams=streams,
        tokens=tokens,
        waves=waves,
        operations=operations + look_operations,
        step_seconds=waves * net.decoder_layers * _PER_WAVE_AND_LAYER * factor,
        other_seconds=(
            operations * _PER_OPERATION * factor
            + look_operations * _PER_LOOK_OPERATION
            + pixels * (candidates * per_pixel + _PER_PIXEL_WRITTEN)
            + given_pixels * _PER_PIXEL_GIVEN
            + _PER_OUTPUT
        ),
        looks=looks,
        looks_at_once=min(looks, _VIEWS_AT_ONCE if looks == _VIEWS else _BOXES_AT_ONCE),
        given_pixels=given_pixels,
        has_pictures=given is not None and given.frames is not None,
        has_grid=has_grid,
        is_streamed=is_streamed,
    )


def num_waves(frames: int, config: NuwaConfig) -> int:
    """Steps of a grid in wavefront order: `sampling.schedule.Schedule.num_steps`, without torch."""
    height, width = config.grid_height, config.grid_width
    reach_rows = min(config.extent[1] // 2, height - 1)
    reach_columns = min(config.extent[2] // 2, width - 1)
    column = 1 if reach_columns else 0
    row = reach_columns + 1 if reach_rows else 0
    per_frame = row * reach_rows + column * reach_columns + 1
    return per_frame * (frames - 1) + row * (height - 1) + column * (width - 1) + 1


def operations_per_token(config: NuwaConfig) -> int:
    """Floating-point operations of one token in one stream: the products of every layer, attention
    to all of the ring and to the text, and the head."""
    dim, layers = config.dim, config.decoder_layers
    products = (6 + 2 * config.mlp_ratio) * dim * dim
    ring = (config.extent[0] // 2 + 1) * config.grid_height * config.grid_width
    attention = 2 * dim * (ring + config.max_text_len // 2)
    return 2 * (layers * (products + attention) + dim * config.visual_vocab)


def _frames(config: ModelConfig, order: Asked) -> int:
    """Frames of the grid that is decoded."""
    if TASKS[order.task].kind == "image":
        return 1
    if order.task == "sketch2vid" and order.given is not None:
        return len(order.given.sketch)
    if order.task == "vedit" and order.given is not None:
        return len(order.given.frames)
    return order.num_frames or config.num_frames


def _is_guided(config: ModelConfig, order: Asked) -> bool:
    scale = order.sampling.get("guidance_scale", config.defaults.guidance_scale)
    bare = order.task == "inpaint" and not order.prompt and not _has_canvas(order)
    return bool(scale != 1.0) and not bare


def _has_canvas(order: Asked) -> bool:
    given = order.given
    return given is not None and given.masks is not None and given.engine == "lip"


def _looks(order: Asked) -> int:
    """Frames that the model scores before it draws: where a subject stands, which place it is."""
    if order.task == "predict":
        known = 1 if order.given is None else len(order.given.frames)
    elif order.task == "vedit" and order.given is not None and order.given.masks is None:
        known = order.given.keep_first
    elif order.task == "inpaint" and not order.prompt:
        return _VIEWS if _has_canvas(order) else 0
    elif order.task == "inpaint":
        return _FIRST_LOOKS + 25
    else:
        return 0
    return _FIRST_LOOKS + (_PATH_LOOKS if known > 1 else 0)
