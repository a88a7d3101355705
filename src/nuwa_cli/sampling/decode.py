"""Token grids out of a model: wavefront or raster order, known tokens, guidance, frames as they finish.

Several items are decoded together, wave by wave: a step of a few positions costs little more for a few items than
for one. Item i of a batch is bit for bit equal to that item alone, in bfloat16 too: items share a step only
where their conditions have equal shapes, and `model.stepping` computes each as if it were alone. Guidance runs
the condition and the null condition as a pair.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import EnvironmentFault, UsageError
from nuwa_cli.model.condition import Condition, cat_conditions
from nuwa_cli.model.encoder import EncodedCondition
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
    """One step: its positions (n, 3), the guided logits (n, v) and the tokens (n,) there; of several items
    with one more dimension in front."""

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
    expected: Sequence[Expectation | None] | None = None,
    order: DecodeOrder = "wavefront",
    together: int = 1,
    on_event: OnEvent | None = None,
) -> Iterator[FinishedFrame]:
    """Decode a batch; yields every frame as soon as it is complete.

    Args:
        condition: one row per item.
        grid: shape of one item; any number of frames, in constant memory.
        sampling: filters and guidance; `sampling.seed + i` is the seed of item i by default.
        seeds: one per item, instead.
        known_tokens: int64 (b, t, h, w) with -1 where a token is to be drawn; known ones are
            kept, and are visible to every position that comes later in raster order.
        expected: tokens to be favored, one entry an item.
        order: "raster" gives the same tokens, slower.
        together: how many items may share a step; frames of these come mixed.
        on_event: called after every step.

    Raises UsageError for shapes that do not fit together.
    """
    num_items = condition.batch_size
    seeds = [sampling.seed + i for i in range(num_items)] if seeds is None else seeds
    if len(seeds) != num_items:
        raise UsageError(f"{len(seeds)} seeds for {num_items} items; give one seed per item")
    if known_tokens is not None and known_tokens.shape != (num_items, *grid.sides):
        raise UsageError(
            f"known tokens of shape {tuple(known_tokens.shape)}: not "
            f"{(num_items, *grid.sides)}; fill unknown positions with -1"
        )
    num_steps = Schedule(grid, Extent(*model.config.extent), order).num_steps
    done = 0  # items
    for items in _like_items(model, condition, sampling, together):
        waves = _decode_together(
            model,
            [
                _Item(
                    encoded,
                    None if condition.layout is None else condition.layout[index],
                    seeds[index],
                    None if known_tokens is None else known_tokens[index],
                    None if expected is None else expected[index],
                )
                for index, encoded in items
            ],
            grid,
            sampling,
            order,
        )
        unfinished = [_Frames(grid) for _ in items]
        for step, wave in enumerate(waves):
            for row, (index, _) in enumerate(items):
                for frame, tokens in unfinished[row].add(wave.coords, wave.tokens[row]):
                    yield FinishedFrame(index, frame, tokens)
            if on_event is not None:
                on_event(
                    Progress(done * num_steps + (step + 1) * len(items), num_items * num_steps)
                )
        done += len(items)


def generate_tokens(
    model: Nuwa,
    condition: Condition,
    grid: GridShape,
    sampling: SamplingConfig,
    *,
    seeds: Sequence[int] | None = None,
    known_tokens: Tensor | None = None,
    expected: Sequence[Expectation | None] | None = None,
    order: DecodeOrder = "wavefront",
    together: int = 1,
    on_event: OnEvent | None = None,
    on_frame: Callable[[FinishedFrame], None] | None = None,
) -> Tensor:
    """`generate` gathered into int64 (b, t, h, w); `on_frame` is called with each frame."""
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
        together=together,
        on_event=on_event,
    ):
        tokens[frame.sample, frame.index] = frame.tokens
        if on_frame is not None:
            on_frame(frame)
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
    ((_, encoded),) = next(_like_items(model, condition, sampling, 1))
    layout = None if condition.layout is None else condition.layout[0]
    item = _Item(encoded, layout, seed, known_tokens, expected)
    for wave in _decode_together(model, [item], grid, sampling, order):
        yield DecodedWave(wave.coords, wave.logits[0], wave.tokens[0])


@dataclass(frozen=True)
class _Item:
    """One thing to be decoded."""

    encoded: EncodedCondition  # one row a stream
    layout: Tensor | None  # int64 (t, h, w)
    seed: int
    known_tokens: Tensor | None  # (t, h, w), -1 where unknown
    expected: Expectation | None


def _like_items(
    model: Nuwa, condition: Condition, sampling: SamplingConfig, together: int
) -> Iterator[list[tuple[int, EncodedCondition]]]:
    """Rows of a condition, encoded one by one, in groups of at most `together` of equal shapes."""
    device = model.head.weight.device
    group: list[tuple[int, EncodedCondition]] = []
    for index in range(condition.batch_size):
        row = condition.select(slice(index, index + 1))
        if sampling.guidance_scale != 1.0:
            row = cat_conditions([row, row.null()])
        with torch.inference_mode():
            encoded = model.encode(row.to(device))
        is_like = bool(group) and group[0][1].slots.shape == encoded.slots.shape
        if group and (not is_like or len(group) == together):
            yield group
            group = []
        group.append((index, encoded))
    yield group


def _decode_together(
    model: Nuwa,
    items: Sequence[_Item],
    grid: GridShape,
    sampling: SamplingConfig,
    order: DecodeOrder,
) -> Iterator[DecodedWave]:
    """Waves of several items: logits (items, n, v) and tokens (items, n)."""
    extent = Extent(*model.config.extent)
    schedule = Schedule(grid, extent, order)
    device = model.head.weight.device
    # entered anew for every step: a mode held across a yield would leak into the caller
    with torch.inference_mode():
        state = model.start_decoding(
            [item.encoded for item in items], grid, frames_in_flight=schedule.frames_in_flight
        )
        persistences = [
            Persistence(sampling.persistence, grid, item.layout, extent, device, item.expected)
            for item in items
        ]
    for positions in schedule.waves():
        with torch.inference_mode():
            coords = torch.tensor(positions, device=device)
            wave = Wave(coords, last_frame=positions[-1][0])
            decoded = _decode_wave(model, wave, state, grid, sampling, items, persistences)
        yield decoded


def _decode_wave(
    model: Nuwa,
    wave: Wave,
    state: DecodeState,
    grid: GridShape,
    sampling: SamplingConfig,
    items: Sequence[_Item],
    persistences: Sequence[Persistence],
) -> DecodedWave:
    logits = model.decode_step(wave, state).double()  # (items · streams, n, v)
    logits = logits.view(len(items), -1, *logits.shape[1:])
    combined = logits[:, 0]
    if logits.shape[1] > 1:
        combined = guide(combined, logits[:, 1], sampling.guidance_scale)
    frame, row, column = wave.coords.unbind(dim=1)
    place = (frame * grid.height + row) * grid.width + column
    if not bool(torch.isfinite(combined).all()):
        number = model.head.weight
        raise EnvironmentFault(
            f"model: the numbers of frame {int(frame[0])} are not finite on {number.device.type} in "
            f"{str(number.dtype).removeprefix('torch.')}; try --dtype float32"
        )
    favored = [
        persistence.favor(own, wave.coords)
        for own, persistence in zip(combined, persistences, strict=True)
    ]
    filtered = filter_logits(
        torch.cat(favored),
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
    )
    numbers = torch.cat([uniforms(item.seed, place) for item in items])
    tokens = draw(filtered, numbers).view(len(items), -1)
    for own, item, persistence in zip(tokens, items, persistences, strict=True):
        if item.known_tokens is not None:
            known = item.known_tokens.to(place.device)[frame, row, column]
            own.copy_(torch.where(known >= 0, known, own))
        persistence.keep(wave.coords, own)
    model.write_tokens(wave, tokens, state)
    return DecodedWave(wave.coords, combined, tokens)


class _Frames:
    """Frames in flight; a frame leaves as soon as its last token is in."""

    def __init__(self, grid: GridShape) -> None:
        self.grid = grid
        self.tokens: dict[int, Tensor] = {}
        self.missing: dict[int, int] = {}

    def add(self, coords: Tensor, tokens: Tensor) -> list[tuple[int, Tensor]]:
        """Put the tokens (n,) of a wave (n, 3) in; returns the frames that it completes, in order."""
        finished = []
        frames = coords[:, 0].tolist()
        for index in sorted(set(frames)):
            if index not in self.tokens:
                shape = (self.grid.height, self.grid.width)
                self.tokens[index] = torch.empty(shape, dtype=torch.int64)
                self.missing[index] = self.grid.tokens_per_frame
            inside = coords[:, 0] == index
            _, row, column = coords[inside].cpu().unbind(dim=1)
            self.tokens[index][row, column] = tokens[inside].cpu()
            self.missing[index] -= frames.count(index)
            if self.missing[index] == 0:
                del self.missing[index]
                finished.append((index, self.tokens.pop(index)))
        return finished
