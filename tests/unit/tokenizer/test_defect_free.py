"""Pictures with a hole: what it holds reaches nothing outside it, and the decoder joins around it."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.blocks import ResidualBlock, coarser_hole
from nuwa_cli.tokenizer.continuation import continue_into, nearest_intact
from nuwa_cli.tokenizer.skips import FeatureSkip, PixelSkip
from nuwa_cli.tokenizer.vqgan import VQGAN, Estimate

SIZE = 32
ESTIMATES: tuple[Estimate, ...] = ("continued", "zero")
CONFIG = dataclasses.replace(get_preset("test").tokenizer, intact_skips=True)
holes = st.tuples(*[st.integers(0, SIZE)] * 4).map(
    lambda box: _rectangle(*sorted(box[:2]), *sorted(box[2:]))
)


def _rectangle(top: int, bottom: int, left: int, right: int) -> Tensor:
    hole = torch.zeros(1, 1, SIZE, SIZE, dtype=torch.bool)
    hole[..., top:bottom, left:right] = True
    return hole


def _vqgan(dtype: torch.dtype = torch.float32) -> VQGAN:
    """An untrained net, with connections that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vqgan = VQGAN(CONFIG)
        for block in vqgan.modules():
            if isinstance(block, ResidualBlock):
                block.scale.data.fill_(1.0)  # each block changes much, so that leaks would show
        for skip in vqgan.decoder.skips:
            assert isinstance(skip, FeatureSkip | PixelSkip)
            skip.add.weight.data.normal_(std=0.3)
    return vqgan.to(dtype).eval()


def _picture(seed: int, count: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, SIZE, SIZE, generator=generator) * 2 - 1


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(hole=holes, seed=st.integers(0, 1000))
@settings(max_examples=12, deadline=None)
def test_nothing_in_a_hole_is_seen_outside(
    estimate: Estimate, dtype: torch.dtype, hole: Tensor, seed: int
) -> None:
    vqgan, pixels = _vqgan(dtype), _picture(seed)
    first = vqgan.intact_features(pixels, hole, estimate)
    tokens = vqgan.encode(pixels, hole, estimate)
    outside = first.intact[-1][:, 0]
    no_number = float("nan") if estimate == "continued" else 1e6
    for damage in (_picture(seed + 1), torch.full_like(pixels, no_number)):
        damaged = torch.where(hole, damage, pixels)
        second = vqgan.intact_features(damaged, hole, estimate)
        for intact, a, b in zip(first.intact, first.maps, second.maps, strict=True):
            assert torch.equal(a.masked_fill(~intact, 0), b.masked_fill(~intact, 0))
        assert torch.equal(vqgan.encode(damaged, hole, estimate)[outside], tokens[outside])


def test_without_the_masked_mode_damage_spreads() -> None:
    vqgan, pixels, hole = _vqgan(), _picture(1), _rectangle(0, SIZE, 0, 16)
    damaged = torch.where(hole, _picture(2), pixels)
    for intact, a, b in zip(
        vqgan.encoder.intact_cells(hole),
        vqgan.encoder.stages(pixels),
        vqgan.encoder.stages(damaged),
        strict=True,
    ):
        assert not torch.equal(a.masked_fill(~intact, 0), b.masked_fill(~intact, 0))
    outside = vqgan.encoder.intact_cells(hole)[-1][:, 0]
    assert not torch.equal(vqgan.encode(pixels)[outside], vqgan.encode(damaged)[outside])


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_a_hole_of_nothing_changes_nothing(estimate: Estimate) -> None:
    vqgan, pixels, hole = _vqgan(), _picture(3, count=2), _rectangle(0, 0, 0, 0)
    assert torch.equal(vqgan.encode(pixels, hole, estimate), vqgan.encode(pixels))
    features = vqgan.intact_features(pixels, hole, estimate)
    assert all(bool(intact.all()) for intact in features.intact)
    as_encoded = pixels.contiguous(memory_format=torch.channels_last)
    assert all(map(torch.equal, features.maps[1:], vqgan.encoder.stages(as_encoded)))
    assert torch.equal(features.maps[0], pixels)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_one_hole_serves_every_frame(estimate: Estimate) -> None:
    vqgan, pixels, hole = _vqgan().double(), _picture(4, count=3), _rectangle(5, 17, 3, 32)
    together = vqgan.encode(pixels, hole, estimate)
    apart = [vqgan.encode(frame[None], hole, estimate) for frame in pixels]
    assert torch.equal(together, torch.cat(apart))


def test_only_the_convolution_of_a_block_mixes_cells() -> None:
    block = ResidualBlock(8)
    x = torch.randn(1, 8, 5, 5)
    changed = x.clone()
    changed[..., 2, 2] += 1.0
    differs = (block(x) != block(changed)).any(dim=1)[0]
    assert differs.sum() == 9
    block.mix.weight.data[..., [0, 0, 0, 1, 1, 2, 2, 2], [0, 1, 2, 0, 2, 0, 1, 2]] = 0.0
    differs = (block(x) != block(changed)).any(dim=1)[0]
    assert differs.sum() == 1 and differs[2, 2]


def test_a_defective_cell_sees_everything() -> None:
    block, x, hole = ResidualBlock(8), torch.randn(1, 8, 4, 4), torch.zeros(1, 1, 4, 4).bool()
    hole[..., :2] = True
    masked, plain = block(x, hole), block(x)
    assert torch.equal(masked[..., :2], plain[..., :2])
    assert not torch.equal(masked[..., 2], plain[..., 2])
    assert torch.equal(masked[..., 3], plain[..., 3])


@given(hole=holes)
@settings(max_examples=30, deadline=None)
def test_a_coarse_cell_is_defective_if_any_pixel_is(hole: Tensor) -> None:
    blocks = hole.view(8, 4, 8, 4)
    assert torch.equal(coarser_hole(hole, 4)[0, 0], blocks.any(dim=3).any(dim=1))


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.02, 0.3, 0.9, 0.999]))
@settings(max_examples=30, deadline=None)
def test_a_hole_is_continued_from_its_nearest_pixels(seed: int, share: float) -> None:
    hole = torch.rand(1, 1, 12, 20, generator=torch.Generator().manual_seed(seed)) < share
    hole[..., seed % 12, seed % 20] = False
    found = nearest_intact(hole)[0, 0]
    known = (~hole[0, 0]).nonzero()
    places = torch.cartesian_prod(torch.arange(12), torch.arange(20))
    best = torch.cdist(places.double(), known.double()).min(dim=1).values
    chosen = torch.stack((found // 20, found % 20), dim=-1).view(-1, 2)
    assert not hole[0, 0][chosen[:, 0], chosen[:, 1]].any()
    taken = (places - chosen).double().norm(dim=1)
    assert float((taken - best).max()) < 3.0 and float((taken - best).mean()) < 0.1

    pixels = torch.randn(1, 3, 12, 20)
    continued = continue_into(pixels, hole)
    assert torch.equal(continued.flatten(2), pixels.flatten(2)[..., found.flatten()])
    assert torch.equal(continued.masked_select(~hole), pixels.masked_select(~hole))


def test_where_nothing_is_intact_nothing_is_seen() -> None:
    everywhere = _rectangle(0, SIZE, 0, SIZE)
    assert not continue_into(torch.full((1, 3, SIZE, SIZE), float("nan")), everywhere).any()
    vqgan, tokens = _vqgan(), torch.randint(64, (1, 4, 4))
    nothing = vqgan.intact_features(_picture(5), everywhere)
    assert torch.equal(vqgan.decode(tokens, nothing), vqgan.decode(tokens))


def test_connections_begin_as_if_they_were_not_there() -> None:
    fresh, plain = VQGAN(CONFIG), VQGAN(dataclasses.replace(CONFIG, intact_skips=False))
    plain.load_state_dict(
        {k: v for k, v in fresh.state_dict().items() if not k.startswith("decoder.skips.")}
    )
    pixels, hole, tokens = _picture(6), _rectangle(0, 20, 8, 24), torch.randint(64, (1, 4, 4))
    intact = fresh.intact_features(pixels, hole)
    assert torch.equal(fresh.decode(tokens, intact), fresh.decode(tokens))
    assert torch.equal(fresh.decode(tokens, intact), plain.decode(tokens))
    assert torch.equal(plain.decode(tokens, intact), plain.decode(tokens))


def test_connections_are_made_at_intact_cells_only() -> None:
    vqgan, hole, tokens = _vqgan(), _rectangle(0, 20, 8, 32), torch.randint(64, (1, 4, 4))
    intact = vqgan.intact_features(_picture(7), hole)
    joined = vqgan.decode(tokens, intact)
    assert not torch.equal(joined, vqgan.decode(tokens))
    for stage in range(3):
        maps = list(intact.maps)
        maps[stage] = maps[stage].masked_fill(~intact.intact[stage], 1e6)
        assert torch.equal(
            vqgan.decode(tokens, dataclasses.replace(intact, maps=tuple(maps))), joined
        )
        maps[stage] = maps[stage] + 1.0
        other = vqgan.decode(tokens, dataclasses.replace(intact, maps=tuple(maps)))
        assert not torch.equal(other, joined)


def test_a_connection_of_features_reaches_one_cell_a_block() -> None:
    skip = FeatureSkip(8, reach=2)
    skip.add.weight.data.normal_()
    x, seen, intact = torch.randn(1, 8, 9, 9), torch.randn(1, 8, 9, 9), torch.zeros(1, 1, 9, 9) > 0
    intact[..., :3] = True
    joined = skip(x, seen, intact)
    assert torch.equal(joined[..., 5:], x[..., 5:])
    assert (joined[..., 4] != x[..., 4]).any()
    seen[..., 0, 0] += 1.0
    assert (skip(x, seen, intact) != joined).any(dim=1)[0].sum() == 9  # two blocks from a corner
    assert torch.equal(skip(x, seen, torch.zeros_like(intact)), x)


def test_a_connection_of_pixels_carries_what_is_missed_into_the_hole() -> None:
    skip = PixelSkip(3, 8, factor=2, reach=3)
    assert skip.add.bias is not None
    skip.add.bias.data[:4] = 1.0  # the share that is carried on, at each pixel of a cell
    drawn, x, hole = (
        torch.zeros(1, 3, 6, 24),
        torch.randn(1, 8, 3, 12),
        torch.zeros(1, 1, 6, 24) > 0,
    )
    hole[..., 9:] = True
    seen = drawn + torch.where(hole, 1e6, 0.5)
    fade = (1 - (torch.arange(24) - 8) / 6).clamp(0, 1)
    expected = (0.5 * fade).expand(1, 3, 6, 24)
    assert torch.allclose(skip(drawn, x, seen, ~hole), expected, atol=1e-6)
    assert torch.equal(skip(drawn, x, seen, torch.zeros_like(hole)), drawn)
