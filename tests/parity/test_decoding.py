"""Wavefront = raster = full forward, and what breaks it.

Everything in float64: lower precisions round differently for different row counts, and a draw may
then flip, as it may for any change of shape.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.config import NuwaConfig, SamplingConfig
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.layout import LAYOUT_VOCAB
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.logits import guide
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.ops.rotary import grid_rotary_table
from nuwa_cli.presets import get_preset
from nuwa_cli.sampling.decode import decode_waves
from nuwa_cli.sampling.persistence import Expectation
from nuwa_cli.sampling.schedule import DecodeOrder, Schedule

BASE = dataclasses.replace(
    get_preset("test").transformer,
    dim=16,
    encoder_layers=1,
    decoder_layers=3,
    visual_vocab=17,
    sketch_vocab=5,
    max_frames=3,
    grid_height=6,
    grid_width=6,
)
ODD = st.sampled_from([1, 3, 5])
GRIDS = st.builds(GridShape, st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))
SEED = st.integers(0, 10**6)


def lively(config: NuwaConfig) -> Nuwa:
    model = Nuwa(config).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def random_condition(
    condition_grid: GridShape | None, has_both: bool, layout_grid: GridShape | None = None
) -> Condition:
    text = torch.zeros(1, 12, dtype=torch.int64)
    text[0, :5] = torch.randint(1, BASE.text_vocab, (5,))
    layout = None
    if layout_grid is not None:
        layout = torch.randint(-1, LAYOUT_VOCAB, (1, *layout_grid.sides))
    if condition_grid is None:
        return Condition(text, layout=layout)
    sketch = torch.randint(-1, BASE.sketch_vocab, (1, *condition_grid.sides))
    if not has_both:
        return Condition(text, sketch, layout=layout)
    canvas = torch.randint(0, BASE.visual_vocab, (1, *condition_grid.sides))
    canvas[torch.rand(canvas.shape) < 0.4] = -1
    pixels = torch.rand(1, 4, 4 * condition_grid.height, 4 * condition_grid.width) - 0.3
    return Condition(text, sketch, canvas, layout, pixels.double())


def decoded(
    model: Nuwa,
    condition: Condition,
    grid: GridShape,
    sampling: SamplingConfig,
    known: Tensor | None,
    order: DecodeOrder,
    expected: Expectation | None = None,
) -> tuple[Tensor, Tensor]:
    tokens = torch.full(grid.sides, -1)
    logits = torch.zeros(*grid.sides, model.config.visual_vocab, dtype=torch.float64)
    waves = decode_waves(
        model,
        condition,
        grid,
        sampling,
        seed=sampling.seed,
        known_tokens=known,
        expected=expected,
        order=order,
    )
    for wave in waves:
        frame, row, column = wave.coords.unbind(dim=1)
        tokens[frame, row, column] = wave.tokens
        logits[frame, row, column] = wave.logits
    return tokens, logits


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    grid=GRIDS,
    extent=st.tuples(ODD, ODD, ODD),
    condition_grid=st.none() | GRIDS,
    has_both=st.booleans(),
    has_layout=st.booleans(),
    guidance=st.sampled_from([1.0, 2.5]),
    has_known=st.booleans(),
    persistence=st.sampled_from([0.0, 1.5]),
    seed=SEED,
)
def test_full_forward_raster_and_wavefront_agree(
    grid: GridShape,
    extent: tuple[int, int, int],
    condition_grid: GridShape | None,
    has_both: bool,
    has_layout: bool,
    guidance: float,
    has_known: bool,
    persistence: float,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    model = lively(dataclasses.replace(BASE, extent=extent))
    condition = random_condition(condition_grid, has_both, grid if has_layout else None)
    sampling = SamplingConfig(
        seed=seed, guidance_scale=guidance, top_k=11, top_p=0.95, persistence=persistence
    )
    known = None
    if has_known:
        known = torch.randint(0, BASE.visual_vocab, grid.sides)
        known[torch.rand(grid.sides) < 0.6] = -1
    hoped = Expectation(torch.randint(-1, BASE.visual_vocab, grid.sides), 2.0 * has_known)
    tokens, logits = decoded(model, condition, grid, sampling, known, "wavefront", hoped)
    raster_tokens, raster_logits = decoded(model, condition, grid, sampling, known, "raster", hoped)
    assert torch.equal(tokens, raster_tokens)
    if known is not None:
        assert torch.equal(tokens[known >= 0], known[known >= 0])
    with torch.no_grad():
        full = model(tokens[None], condition)[0]
        if guidance != 1.0:
            full = guide(full, model(tokens[None], condition.null())[0], guidance)
    for found in (logits, raster_logits):
        assert float((found - full).abs().max()) < 1e-9


# The tests below decode without a cache: tokens of later waves are hidden by writing garbage over
# them, so a wave whose logits differ from those of the complete grid has looked ahead.


@pytest.mark.parametrize("extent", [(3, 3, 3), (3, 5, 5), (5, 1, 3)])
def test_a_wave_needs_no_later_token(extent: tuple[int, int, int]) -> None:
    assert look_ahead(extent, lambda model, t, c: model(t, c)) < 1e-9


@pytest.mark.parametrize("extent", [(3, 3, 3), (3, 5, 5), (5, 1, 3)])
def test_negative_control_raster_shifted_input_breaks_the_wavefront(
    extent: tuple[int, int, int],
) -> None:
    """The usual input, the raster-previous token, is what the strict first layer is there to avoid."""
    assert look_ahead(extent, shifted_forward) > 1e-2


@torch.no_grad()
def look_ahead(extent: tuple[int, int, int], forward) -> float:  # type: ignore[no-untyped-def]
    """How much the logits of a wave change when everything after it is filled in."""
    torch.manual_seed(7)
    model = lively(dataclasses.replace(BASE, extent=extent))
    grid = GridShape(3, 5, 6)
    condition = random_condition(None, has_both=False)
    target = torch.randint(0, BASE.visual_vocab, (1, *grid.sides))
    complete = forward(model, target, condition)[0]
    canvas = torch.randint(0, BASE.visual_vocab, (1, *grid.sides))
    worst = 0.0
    for wave in Schedule(grid, Extent(*extent)).waves():
        frame, row, column = torch.tensor(wave).unbind(dim=1)
        logits = forward(model, canvas, condition)[0]
        difference = logits[frame, row, column] - complete[frame, row, column]
        worst = max(worst, float(difference.abs().max()))
        canvas[0, frame, row, column] = target[0, frame, row, column]
    return worst


def shifted_forward(model: Nuwa, target: Tensor, condition: Condition) -> Tensor:
    """The same weights with standard input: each position starts from the raster-previous token."""
    decoder, encoded = model.decoder, model.encode(condition)
    grid = GridShape(*target.shape[1:])
    content = decoder.content(target.flatten(1))
    previous = torch.cat((torch.zeros_like(content[:, :1]), content[:, :-1]), dim=1)
    x = decoder.positions(grid) + previous
    rotary = grid_rotary_table(grid, model.config.head_dim, x.dtype, x.device)
    for index, block in enumerate(decoder.layers):
        x = block(
            x,
            rotary,
            decoder.modulation(encoded.pooled),
            decoder.cross_memory(index, encoded),
            grid=grid,
            extent=decoder.extent,
            order="causal",
            condition_extent=decoder.condition_extent,
        )
    logits: Tensor = model.head(decoder.norm(x))
    return logits.view(1, *grid.sides, -1)
