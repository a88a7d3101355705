"""Pieces are what the whole would be: source cells, decoded patches, and light at the source's edge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nuwa_cli.infinity.controller import Controller
from nuwa_cli.infinity.geometry import Margins, Rect
from nuwa_cli.infinity.pool import UNKNOWN, Cells
from nuwa_cli.infinity.source import SourceCells, encoder_reach, resample
from nuwa_cli.infinity.strips import decode_cells, decoder_reach, fade_of, join, margin_of, strip
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.vqgan import VQGAN

Make = Callable[..., SourceCells]


def whole_tokens(source: SourceCells) -> Any:
    """Random tokens for the canvas, with the source's own in place."""
    whole = source.canvas.cells
    cells = Cells.unknown(whole.height, whole.width)
    cells.tokens[:] = np.random.default_rng(1).integers(0, 64, cells.tokens.shape)
    source.put_into(cells, whole)
    return cells.tokens


@pytest.mark.parametrize(
    ("size", "margins"),
    [
        ((32, 32), Margins(right=64)),
        ((32, 90), Margins(40, 20, 9, 70)),
        ((50, 40), Margins(30, 30, 30, 30)),
        ((9, 31), Margins(top=20, right=30)),
    ],
)
def test_strips_are_those_of_decoding_everything_at_once(
    make_source: Make, size: tuple[int, int], margins: Margins
) -> None:
    source = make_source(*size, margins)
    canvas, config = source.canvas, source.vqgan.config
    tokens = whole_tokens(source)
    levels = decode_cells(source.vqgan, tokens, source.intact(canvas.cells))
    cells = canvas.source.scaled(canvas.cell)
    join(levels, source.pixels(canvas.source), cells, fade_of(config))
    everything = Rect(0, 0, canvas.height, canvas.width)
    expected = resample(levels, canvas.working_box(everything), canvas.height, canvas.width)
    seen = np.zeros(expected.shape[:2], dtype=int)
    seen[canvas.source_pixels.slices] += 1
    for step in Controller(canvas):
        around = step.patch.grown(margin_of(config)).overlap(canvas.cells)
        place, pixels = strip(source, step.patch, around, tokens[around.slices])
        assert pixels.dtype == np.uint8 and pixels.shape == (place.height, place.width, 3)
        difference = pixels.astype(int) - expected[place.slices]
        assert np.abs(difference).max(initial=0) <= 1
        seen[place.slices] += 1
    assert (seen == 1).all()


def test_a_token_reaches_no_further_than_the_margin(vqgan: VQGAN) -> None:
    """Neither more nor much less."""
    tokens = np.zeros((15, 15), dtype=np.int64)
    other = tokens.copy()
    other[7, 7] = 9
    changed = np.abs(decode_cells(vqgan, tokens) - decode_cells(vqgan, other)).max(axis=2) > 0
    rows = changed.any(axis=1).nonzero()[0]
    reach = decoder_reach(vqgan.config)
    assert 56 - reach <= rows.min() < 56 - reach // 3
    assert 64 + reach // 3 < rows.max() + 1 <= 64 + reach


def test_reaches_of_the_shipped_tokenizer() -> None:
    config = get_preset("storybook").tokenizer
    assert (encoder_reach(config), decoder_reach(config), margin_of(config)) == (4, 145, 12)
    assert fade_of(config) == 64


@pytest.mark.parametrize("size", [(32, 150), (120, 32)])
def test_source_cells_are_those_of_encoding_everything_at_once(
    make_source: Make, size: tuple[int, int]
) -> None:
    source = make_source(*size, Margins(right=8, left=30, top=8))
    place, whole = source.canvas.source, source.canvas.cells
    hole = torch.ones(1, 1, whole.height * 8, whole.width * 8).bool()
    hole[0, 0][place.scaled(8).slices] = False
    pixels = torch.zeros(1, 3, *hole.shape[2:])
    own = torch.from_numpy(source.pixels(place).copy()).permute(2, 0, 1) / 127.5 - 1
    pixels[0, :, *place.scaled(8).slices] = own
    tokens = source.vqgan.encode(pixels, hole)[0].numpy()[place.slices]
    around = source.canvas.cells
    cells = Cells.unknown(around.height, around.width)
    source.put_into(cells, around)
    assert (cells.tokens[place.slices] == tokens).all()
    cells.tokens[place.slices] = UNKNOWN
    assert (cells.tokens == UNKNOWN).all()
    for part in (Rect(place.top + 2, place.left + 1, 2, 3), Rect(place.top, place.left + 2, 1, 1)):
        some = Cells.unknown(part.height, part.width)
        source.put_into(some, part)
        assert (some.tokens == tokens[part.seen_from(place).slices]).all()
        block = source.pixels(part)[:2, :2].reshape(-1, 3).mean(axis=0)
        assert np.abs(some.samples[0, 0, 0, 0] - block).max() <= 1


def test_intact_features_are_those_of_the_whole(make_source: Make) -> None:
    source = make_source(32, 150, Margins(right=30, top=10))
    canvas = source.canvas
    around = Rect(1, canvas.source.right - 4, 4, 6)
    part, whole = source.intact(around), source.intact(canvas.cells)
    if not source.vqgan.config.intact_skips:
        assert part is None
        return
    assert part is not None and whole is not None
    assert source.intact(Rect(0, canvas.source.right, 4, 2)) is None
    for ours, all_, known, all_known in zip(
        part.maps, whole.maps, part.intact, whole.intact, strict=True
    ):
        place = around.scaled(ours.shape[-1] // around.width).slices
        torch.testing.assert_close(ours, all_[..., place[0], place[1]])
        assert (known == all_known[..., place[0], place[1]]).all()
    edge = canvas.source.right - around.left
    assert part.intact[-1][0, 0, -1].tolist() == [x < edge for x in range(6)]


def test_a_long_source_is_looked_at_only_where_it_matters(
    make_source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_source(32, 6400, Margins(right=30))
    seen: list[int] = []
    pixels = source.pixels
    monkeypatch.setattr(source, "pixels", lambda cells: seen.append(cells.width) or pixels(cells))
    right = source.canvas.source.right
    source.put_into(Cells.unknown(4, 4), Rect(0, right - 2, 4, 4))
    assert seen and max(seen) <= 12
    for column in range(0, right, 4):
        source.put_into(Cells.unknown(4, 4), Rect(0, column, 4, 4))
    assert len(source._pages) <= 12


FADE = 16


def joined(own_level: float, place: Rect, size: tuple[int, int] = (60, 60)) -> Any:
    levels = np.full((*size, 3), 100, dtype=np.float32)
    own = np.full((place.height, place.width, 3), own_level, dtype=np.uint8)
    join(levels, own, place, FADE)
    return levels


def test_light_is_carried_on_and_ends() -> None:
    place = Rect(20, 20, 20, 20)
    levels = joined(110, place)
    assert (levels[place.slices] == 110).all()
    row = levels[30, 40:, 0]
    assert abs(row[0] - 110) < 1
    assert (np.diff(row) <= 1e-4).all()
    assert (row[FADE:] == 100).all()
    assert np.abs(np.diff(levels, axis=0)).max() < 2  # corners too
    assert np.abs(np.diff(levels, axis=1)).max() < 2
    for turned in (levels[::-1], levels[:, ::-1], levels.swapaxes(0, 1)):
        np.testing.assert_allclose(turned, levels, atol=1e-3)


def test_content_ends_soon() -> None:
    """What differs by far more than light does not stain the patch."""
    levels = joined(250, Rect(0, 0, 60, 20))
    row = levels[30, 20:, 0]
    assert row[0] > 200
    assert row[4] < 135


def test_no_streaks() -> None:
    """Noise along the edge is smoothed away within a few pixels."""
    rng = np.random.default_rng(0)
    levels = np.full((200, 60, 3), 100, dtype=np.float32)
    own = np.repeat(rng.integers(80, 120, (200, 1, 3), dtype=np.uint8), 20, axis=1)
    join(levels, own, Rect(0, 0, 200, 20), 64)
    spread = np.abs(np.diff(levels[:, :, 0], axis=0)).mean(axis=0)
    assert spread[20] > 5
    assert spread[30] < 1


def test_resampling_in_parts(picture: Callable[..., Any]) -> None:
    source = picture(60, 40)
    whole = resample(source, (0, 0, 40, 60), 90, 90)
    part = resample(source, (20, 20, 40, 60), 60, 45)
    assert np.abs(whole[30:, 45:].astype(int) - part).max() <= 1
    assert (resample(source, (3, 5, 13, 25), 20, 10) == source[5:25, 3:13]).all()
