"""Fitting: any size into the square and back, frames, labels and regions aligned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.compositing.fitting import FIT_MODES, Fit, plan_fit

Array = np.ndarray[Any, Any]


def ramp(height: int, width: int) -> Array:
    """Red grows to the right, green downwards, blue is 90."""
    picture = np.full((1, height, width, 3), 90, dtype=np.uint8)
    picture[..., 0] = np.linspace(0, 255, width).astype(np.uint8)
    picture[..., 1] = np.linspace(0, 255, height).astype(np.uint8)[:, None]
    return picture


@st.composite
def fits(draw: st.DrawFn) -> Fit:
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    focus = None
    if draw(st.booleans()):
        left, top = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
        focus = (left, top, draw(st.integers(left + 1, width)), draw(st.integers(top + 1, height)))
    fit = plan_fit(
        height,
        width,
        draw(st.sampled_from((1, 7, 16, 32))),
        draw(st.sampled_from(FIT_MODES)),
        focus=focus,
    )
    if focus:
        left, top, width, height = fit.window
        assert left <= focus[0] and top <= focus[1]
        assert left + width >= focus[2] and top + height >= focus[3]
    return fit


@settings(max_examples=200, deadline=None)
@given(fits(), st.integers(0, 1 << 30))
def test_every_fit_makes_squares_and_comes_back(fit: Fit, seed: int) -> None:
    height, width = fit.source
    random = np.random.default_rng(seed)
    frames = random.integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    labels = random.integers(0, 30, (2, height, width), dtype=np.uint8)
    region = random.random((2, height, width)) < 0.05
    square = (2, fit.size, fit.size)
    assert fit.frames(frames).shape == (*square, 3)
    assert fit.frames(frames).dtype == np.uint8
    assert fit.labels(labels).shape == square
    assert set(np.unique(fit.labels(labels))) <= set(np.unique(labels))
    assert fit.region(region).shape == square
    assert fit.region(region).dtype == np.bool_
    restored, (left, top) = fit.restore(fit.frames(frames))
    assert 0 <= left < left + restored.shape[2] <= width
    assert 0 <= top < top + restored.shape[1] <= height
    inside = region[:, top : top + restored.shape[1], left : left + restored.shape[2]]
    assert fit.region(region).any(axis=(1, 2)).tolist() == inside.any(axis=(1, 2)).tolist()
    # A window over the whole source leaves nothing out.
    if fit.mode != "crop":
        assert restored.shape == frames.shape
    assert "\n" not in fit.describe()


@pytest.mark.parametrize("mode", FIT_MODES)
def test_a_picture_of_the_right_size_is_copied(mode: str) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    fit = plan_fit(32, 32, 32, mode)
    assert (fit.frames(frames) == frames).all()
    assert (fit.restore(frames)[0] == frames).all()
    assert (fit.labels(frames[..., 0]) == frames[..., 0]).all()
    assert (fit.region(frames[..., 0] > 99) == (frames[..., 0] > 99)).all()
    assert fit.describe() == ""


def test_a_window_of_the_right_size_is_copied() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 60, 80, 3), dtype=np.uint8)
    fit = plan_fit(60, 80, 32, "crop", focus=(40, 20, 60, 30))
    left, top, width, height = fit.window
    assert (width, height) == (32, 32)
    part = frames[:, top : top + 32, left : left + 32]
    assert (fit.frames(frames) == part).all()
    back, place = fit.restore(part)
    assert place == (left, top)
    assert (back == part).all()


def test_a_small_region_is_magnified_twice_at_most() -> None:
    assert plan_fit(60, 80, 32, "crop", focus=(40, 20, 44, 22)).window[2:] == (16, 16)


@pytest.mark.parametrize(
    ("height", "width", "mode", "window", "text"),
    [
        (480, 640, "crop", (80, 0, 480, 480), "cropped 80 pixels left and right, reduced"),
        (
            480,
            641,
            "crop",
            (80, 0, 480, 480),
            "cropped 80 pixels left and 81 pixels right, reduced",
        ),
        (20, 10_000, "crop", (4990, 0, 20, 20), "cropped 4990 pixels left and right, enlarged"),
        (480, 640, "pad", (0, -80, 640, 640), "padded 80 pixels above and below, reduced"),
        (257, 256, "crop", (0, 0, 256, 256), "cropped 1 pixel below"),
        (480, 640, "stretch", (0, 0, 640, 480), "stretched"),
        (512, 512, "stretch", (0, 0, 512, 512), "reduced"),
        (1, 1, "pad", (0, 0, 1, 1), "enlarged"),
    ],
)
def test_plans(
    height: int, width: int, mode: str, window: tuple[int, int, int, int], text: str
) -> None:
    fit = plan_fit(height, width, 256, mode)
    assert fit.window == window
    assert fit.describe() == f"{width}x{height} fitted to 256x256: {text}"


@pytest.mark.parametrize(
    ("height", "width", "focus", "window"),
    [
        (1000, 1500, (700, 500, 800, 560), (670, 450, 160, 160)),  # small: magnified
        (1000, 1500, (700, 400, 1000, 600), (610, 260, 480, 480)),  # with what surrounds it
        (1000, 1500, (0, 0, 300, 100), (0, 0, 480, 480)),  # moved inside
        (1000, 1500, (1400, 950, 1500, 1000), (1340, 840, 160, 160)),
        (1000, 1500, (100, 100, 900, 300), (0, 0, 1000, 1000)),  # at most the short side …
        (200, 1000, (300, 50, 700, 150), (250, -150, 500, 500)),  # … unless the focus is longer
        (200, 1000, (0, 0, 1000, 200), (0, -400, 1000, 1000)),
        (20, 10_000, (50, 5, 60, 15), (45, 0, 20, 20)),
    ],
)
def test_a_focus_gets_the_window(
    height: int,
    width: int,
    focus: tuple[int, int, int, int],
    window: tuple[int, int, int, int],
) -> None:
    assert plan_fit(height, width, 256, "crop", focus=focus).window == window


def test_padding_repeats_the_edge() -> None:
    fit = plan_fit(40, 80, 64, "pad")
    shown = fit.frames(ramp(40, 80))[0].astype(int)
    assert np.abs(shown[0] - shown[16]).max() == 0
    assert np.abs(shown[63] - shown[47]).max() == 0
    assert shown[16, :, 1].max() < 12
    assert shown[47, :, 1].min() > 243
    labels = np.zeros((1, 40, 80), dtype=np.uint8)
    labels[:, 20:] = 7
    assert (np.flatnonzero(fit.labels(labels)[0, :, 5]) == np.arange(32, 64)).all()


@pytest.mark.parametrize("mode", FIT_MODES)
@pytest.mark.parametrize("size", [(300, 200), (150, 700), (20, 30), (500, 3)])
def test_what_comes_back_lies_where_it_was(mode: str, size: tuple[int, int]) -> None:
    height, width = size
    frames = ramp(height, width)
    fit = plan_fit(height, width, 128, mode)
    back, (left, top) = fit.restore(fit.frames(frames))
    part = frames[:, top : top + back.shape[1], left : left + back.shape[2]]
    assert back.shape == part.shape
    step = max(255 / height, 255 / width)  # one pixel of the ramp; a coarse one blurs
    if min(size) > 3:
        assert np.abs(back.astype(int) - part).mean() < 2 + step / 2


def test_down_is_antialiased_and_labels_are_not() -> None:
    stripes = np.zeros((1, 512, 512, 3), dtype=np.uint8)
    stripes[:, :, ::2] = 255
    assert np.abs(plan_fit(512, 512, 64, "crop").frames(stripes).astype(int) - 127).max() < 5
    labels = np.random.default_rng(0).integers(0, 2, (1, 512, 512), dtype=np.uint8) * 29
    assert set(np.unique(plan_fit(512, 512, 64, "crop").labels(labels))) == {0, 29}


def test_thin_regions_survive() -> None:
    region = np.zeros((1, 1000, 1000), dtype=bool)
    region[0, 123, 50:900] = True
    shown = plan_fit(1000, 1000, 64, "crop").region(region)[0]
    assert shown[7].sum() == 55
    assert shown.sum() == 55


def test_a_region_covers_every_pixel_that_it_touches() -> None:
    region = np.eye(3, dtype=bool)[None]
    small = Fit("crop", (3, 3), (0, 0, 3, 3), 2).region(region)[0]
    assert small.tolist() == [[True, True], [True, True]]  # the middle one lies in all four
    large = Fit("crop", (3, 3), (0, 0, 3, 3), 6).region(region)[0]
    assert (large == np.eye(3, dtype=bool).repeat(2, axis=0).repeat(2, axis=1)).all()


def test_a_panorama_costs_no_square_of_its_length() -> None:
    frames = np.zeros((1, 20, 10_000, 3), dtype=np.uint8)
    frames[:, :, 5_000:] = 200
    fit = plan_fit(20, 10_000, 64, "pad")
    shown = fit.frames(frames)[0]
    assert (shown[:, :31] < 30).all() and (shown[:, 33:] > 170).all()
    back, place = fit.restore(shown[None])
    assert back.shape == frames.shape and place == (0, 0)
