"""Token grids out of a model: wavefront or raster order, known tokens, guidance, frames as they finish.

Items of a batch are decoded one after another: matrix products round differently for different numbers
of rows, so this is what makes item i of a batch equal to that item alone, in bfloat16 too. Guidance runs
the condition and the null condition as a pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.model.condition import Condition, cat_conditions
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.model.stepping import DecodeState, Wave
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.logits import draw, filter_logits, guide
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.sampling.events import OnEvent, Progress
from nuwa_cli.sampling.persistence import Expectation, Persistence
from nuwa_cli.sampling.randomness import uniforms
from nuwa_cli.sampling.schedule import DecodeOrder, Schedule


@dataclass(frozen=True)
class FinishedFrame:
    """One complete frame of one item of the batch."""

    sample: int
    index: int
    tokens: Tensor  # int64 (h, w)


@dataclass(frozen=True)
class DecodedWave:
    """One step: its positions (n, 3), the guided logits (n, v) and the tokens (n,) there."""

    coords: Tensor
    logits: Tensor
    tokens: Tensor


def generate(
    model: Nuwa,
    condition: Condition,
    grid: GridShape,
    sampling: SamplingConfig,
    *,
    seeds: Sequence[int] | None = None,
    known_tokens: Tensor | None = None,
    expected: Expectation | None = None,
    order: DecodeOrder = "wavefront",
    on_event: OnEvent | None = None,
) -> Iterator[FinishedFrame]:
    """Decode a batch; yields every frame as soon as it is complete, item after item.

    Args:
        condition: one row per item.
        grid: shape of one item; any number of frames, in constant memory.
        sampling: filters and guidance; `sampling.seed + i` is the seed of item i by default.
        seeds: one per item, instead.
        known_tokens: int64 (b, t, h, w) with -1 where a token is to be drawn; known ones are
            kept, and are visible to every position that comes later in raster order.
        expected: tokens to be favored, the same for every item.
        order: "raster" gives the same tokens, slower.
        on_event: called after every step.

    Raises UsageError for shapes that do not fit together.
    """
    num_samples = condition.batch_size
    seeds = [sampling.seed + i for i in range(num_samples)] if seeds is None else seeds
    if len(seeds) != num_samples:
        raise UsageError(f"{len(seeds)} seeds for {num_samples} items; give one seed per item")
    if known_tokens is not None and known_tokens.shape != (num_samples, *grid.sides):
        raise UsageError(
            f"known tokens of shape {tuple(known_tokens.shape)}: not "
            f"{(num_samples, *grid.sides)}; fill unknown positions with -1"
        )
    num_steps = Schedule(grid, Extent(*model.config.extent), order).num_steps
    for sample in range(num_samples):
        waves = decode_waves(
            model,
            condition.select(slice(sample, sample + 1)),
            grid,
            sampling,
            seed=seeds[sample],
            known_tokens=None if known_tokens is None else known_tokens[sample],
            expected=expected,
            order=order,
        )
        unfinished = _Frames(grid)
        for step, wave in enumerate(waves):
            for index, tokens in unfinished.add(wave):
                yield FinishedFrame(sample, index, tokens)
            if on_event is not None:
                on_event(Progress(sample, num_samples, step + 1, num_steps))


def generate_tokens(
    model: Nuwa,
    condition: Condition,
    grid: GridShape,
    sampling: SamplingConfig,
    *,
    seeds: Sequence[int] | None = None,
    known_tokens: Tensor | None = None,
    expected: Expectation | None = None,
    order: DecodeOrder = "wavefront",
    on_event: OnEvent | None = None,
) -> Tensor:
    """`generate` gathered into int64 (b, t, h, w)."""
    tokens = torch.empty((condition.batch_size, *grid.sides), dtype=torch.int64)
    for frame in generate(
        model,
        condition,
        grid,
        sampling,
        seeds=seeds,
        known_tokens=known_tokens,
        expected=expected,
        order=order,
        on_event=on_event,
    ):
        tokens[frame.sample, frame.index] = frame.tokens
    return tokens


def decode_waves(
    model: Nuwa,
    condition: Condition,
    grid: GridShape,
    sampling: SamplingConfig,
    *,
    seed: int,
    known_tokens: Tensor | None = None,
    expected: Expectation | None = None,
    order: DecodeOrder = "wavefront",
) -> Iterator[DecodedWave]:
    """Decode one item step by step: what `generate` is made of, with the logits.

    Args:
        condition: a single row.
        known_tokens: (t, h, w), -1 where unknown.
        expected: tokens to be favored.
    """
    schedule = Schedule(grid, Extent(*model.config.extent), order)
    guided = sampling.guidance_scale != 1.0
    streams = cat_conditions([condition, condition.null()]) if guided else condition
    device = model.head.weight.device
    # entered anew for every step: a mode held across a yield would leak into the caller
    with torch.inference_mode():
        state = model.start_decoding(
            streams.to(device), grid, frames_in_flight=schedule.frames_in_flight
        )
        layout = None if condition.layout is None else condition.layout[0]
        extent = Extent(*model.config.extent)
        persistence = Persistence(sampling.persistence, grid, layout, extent, device, expected)
    for positions in schedule.waves():
        with torch.inference_mode():
            coords = torch.tensor(positions, device=device)
            wave = Wave(coords, last_frame=positions[-1][0])
            decoded = _decode_wave(
                model, wave, state, grid, sampling, persistence, seed, known_tokens
            )
        yield decoded


def _decode_wave(
    model: Nuwa,
    wave: Wave,
    state: DecodeState,
    grid: GridShape,
    sampling: SamplingConfig,
    persistence: Persistence,
    seed: int,
    known_tokens: Tensor | None,
) -> DecodedWave:
    logits = model.decode_step(wave, state).double()  # (b, n, v)
    frame, row, column = wave.coords.unbind(dim=1)
    place = (frame * grid.height + row) * grid.width + column
    combined = (
        guide(logits[0], logits[1], sampling.guidance_scale) if len(logits) > 1 else logits[0]
    )
    filtered = filter_logits(
        persistence.favor(combined, wave.coords),
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
    )
    tokens = draw(filtered, uniforms(seed, place))
    if known_tokens is not None:
        known = known_tokens.to(place.device)[frame, row, column]
        tokens = torch.where(known >= 0, known, tokens)
    model.write_tokens(wave, tokens, state)
    persistence.keep(wave.coords, tokens)
    return DecodedWave(wave.coords, combined, tokens)


class _Frames:
    """Frames in flight; a frame leaves as soon as its last token is in."""

    def __init__(self, grid: GridShape) -> None:
        self.grid = grid
        self.tokens: dict[int, Tensor] = {}
        self.missing: dict[int, int] = {}

    def add(self, wave: DecodedWave) -> list[tuple[int, Tensor]]:
        """Put a wave in; returns the frames that it completes, in order."""
        finished = []
        frames = wave.coords[:, 0].tolist()
        for index in sorted(set(frames)):
            if index not in self.tokens:
                shape = (self.grid.height, self.grid.width)
                self.tokens[index] = torch.empty(shape, dtype=torch.int64)
                self.missing[index] = self.grid.tokens_per_frame
            inside = wave.coords[:, 0] == index
            _, row, column = wave.coords[inside].cpu().unbind(dim=1)
            self.tokens[index][row, column] = wave.tokens[inside].cpu()
            self.missing[index] -= frames.count(index)
            if self.missing[index] == 0:
                del self.missing[index]
                finished.append((index, self.tokens.pop(index)))
        return finished
