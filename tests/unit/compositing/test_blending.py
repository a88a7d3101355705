"""Blending: nothing outside the region changes, and no seam shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.compositing import blending
from nuwa_cli.compositing.blending import blend, membrane

Array = np.ndarray[Any, Any]


@st.composite
def edits(draw: st.DrawFn) -> tuple[Array, Array, Array, float]:
    """original, generated, mask, feather of any size and kind."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    kind = draw(st.sampled_from(("noise", "box", "disc", "all", "none", "pixel", "frame")))
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), dtype=bool)
    if kind == "noise":
        mask = random.random((height, width)) < draw(st.floats(0, 1))
    elif kind == "box":
        mask[height // 4 : 1 + height // 2, width // 3 : 1 + width // 2] = True
    elif kind == "disc":
        mask = (y - height / 2) ** 2 + (x - width / 3) ** 2 < (height * width) / 9
    elif kind == "all":
        mask[:] = True
    elif kind == "pixel":
        mask[random.integers(height), random.integers(width)] = True
    elif kind == "frame":
        mask = (y == 0) | (x == 0) | (y == height - 1) | (x == width - 1)
    shape = (height, width, 3)
    original, generated = random.integers(0, 256, (2, *shape), dtype=np.uint8)
    if draw(st.booleans()):
        generated = np.full(shape, draw(st.sampled_from((0, 128, 255))), dtype=np.uint8)
    return original, generated, mask, draw(st.sampled_from((0.0, 0.5, 1.0, 3.0, 8.0, 100.0)))


@settings(max_examples=200, deadline=None)
@given(edits())
def test_nothing_outside_the_region_changes(edit: tuple[Array, Array, Array, float]) -> None:
    original, generated, mask, feather = edit
    before = original.copy(), generated.copy(), mask.copy()
    result = blend(original, generated, mask, feather)
    assert (result.dtype, result.shape) == (np.uint8, original.shape)
    assert (result[~mask] == original[~mask]).all()
    for array, copy in zip((original, generated, mask), before, strict=True):
        assert (array == copy).all()


def test_a_region_without_border_is_the_generated_picture() -> None:
    generated = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    original, mask = np.zeros_like(generated), np.ones((9, 7), dtype=bool)
    assert (blend(original, generated, mask, 5) == generated).all()


def test_equal_pictures_stay_equal() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    mask = np.zeros((40, 50), dtype=bool)
    mask[5:30, 10:40] = True
    for feather in (0, 6):
        assert (blend(picture, picture, mask, feather) == picture).all()


def sky(height: int = 160, width: int = 200) -> Array:
    """A photograph of nothing but light: smooth, with a little grain."""
    y, x = np.mgrid[:height, :width]
    light = np.stack([90 + 0.4 * y, 110 + 0.3 * y + 0.1 * x, 200 - 0.2 * y], axis=-1)
    grain = np.random.default_rng(0).normal(0, 1.0, (height, width, 1))
    return np.clip(light + grain, 0, 255)


def steps_over(picture: Array, mask: Array) -> Array:
    """How much brightness changes from each masked pixel to a right neighbour outside."""
    edge = mask[:, :-1] & ~mask[:, 1:]
    return (picture[:, 1:].astype(float) - picture[:, :-1])[edge]


MASKS = {
    "box": lambda y, x: (abs(y - 80) < 50) & (abs(x - 100) < 60),
    "disc": lambda y, x: (y - 80) ** 2 + (x - 100) ** 2 < 55**2,
    "strip": lambda y, x: (abs(x - 100) < 4) & (y > 10),
    "at the edge": lambda y, x: (x < 70) & (y > 30),
}


@pytest.mark.parametrize("name", MASKS)
def test_another_exposure_leaves_no_seam(name: str) -> None:
    photo = sky()
    original = photo.astype(np.uint8)
    generated = np.clip(photo * 1.12 + (14, 4, -12), 0, 255).astype(np.uint8)
    y, x = np.mgrid[:160, :200]
    mask = MASKS[name](y, x)
    pasted = np.where(mask[..., None], generated, original)
    result = blend(original, generated, mask, 0)
    natural = np.abs(steps_over(original, mask).mean(axis=0)).max()
    assert np.abs(steps_over(pasted, mask).mean(axis=0)).max() > 15
    assert np.abs(steps_over(result, mask).mean(axis=0)).max() < natural + 1
    # Nor does the correction itself jump: it is a smooth surface.
    inside = mask[1:, 1:] & mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:]
    correction = result.astype(float) - generated
    for axis in (0, 1):
        jump = np.abs(np.diff(correction, axis=axis))
        jump = (jump[:, 1:] if axis == 0 else jump[1:])[inside]
        assert np.percentile(jump, 95) <= 4


def test_the_inside_keeps_its_own_colours() -> None:
    """A difference at the border fades with depth; at half the depth it is still there."""
    original = np.full((201, 201, 3), 100, dtype=np.uint8)
    generated = np.full_like(original, 140)
    mask = np.zeros((201, 201), dtype=bool)
    mask[20:181, 20:181] = True
    row = blend(original, generated, mask, 0)[100, 20:101, 0].astype(int)
    assert abs(row[0] - 100) <= 1
    assert (np.diff(row) >= -1).all()
    assert 105 < row[40] < 125 < row[80] < 140


def test_another_thing_at_the_border_does_not_stain_the_region() -> None:
    """A light figure cut by the border of a dark scene: no step there, its own colour soon after."""
    original = np.full((120, 120, 3), (20, 40, 90), dtype=np.uint8)
    generated = original.copy()
    generated[20:100, 20:100] = (220, 170, 120)
    mask = np.zeros((120, 120), dtype=bool)
    mask[30:90, 30:90] = True
    row = blend(original, generated, mask, 0)[60].astype(int)
    assert np.abs(np.diff(row[29:91], axis=0)).max() < 40
    assert (np.abs(row[45:75] - generated[60, 60]) <= 33).all()


def test_feather_fades_to_the_original() -> None:
    original = np.zeros((64, 64, 3), dtype=np.uint8)
    original[::2] = 80  # detail that no membrane carries over
    generated = np.full_like(original, 40)
    mask = np.zeros((64, 64), dtype=bool)
    mask[16:48, 16:48] = True
    plain, feathered = (blend(original, generated, mask, feather) for feather in (0, 8))
    contrast = [
        np.abs(np.diff(p[20:44, :, 0].astype(int), axis=0)).mean(axis=0) for p in (plain, feathered)
    ]
    assert contrast[0][18] < 8
    assert contrast[1][16] > 60  # at the border nearly the original
    assert (np.diff(contrast[1][16:26]) <= 1).all()
    assert contrast[1][26] < 8  # nothing of it beyond the feather


def test_a_feather_deeper_than_the_region_still_shows_it() -> None:
    original = np.zeros((40, 40, 3), dtype=np.uint8)
    generated = np.zeros_like(original)
    generated[18:22, 18:22] = 255
    mask = np.zeros((40, 40), dtype=bool)
    mask[10:30, 10:30] = True
    assert blend(original, generated, mask, 1_000)[19:21, 19:21].min() > 150


def test_large_regions_are_solved_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reduced solution agrees with the full one up to the grain of the border."""
    photo = sky(150, 190)
    original, generated = photo.astype(np.uint8), np.clip(photo + 30, 0, 255).astype(np.uint8)
    mask = np.zeros((150, 190), dtype=bool)
    mask[20:130, 15:170] = True
    full = blend(original, generated, mask, 0).astype(int)
    monkeypatch.setattr(blending, "_WORK_PIXELS", 2_500)
    small = blend(original, generated, mask, 0).astype(int)
    assert (small[~mask] == full[~mask]).all()
    assert np.abs(small - full).max() <= 6
    assert np.abs(small - full).mean() < 1


def test_membrane_is_smooth_and_keeps_what_is_known() -> None:
    y, x = np.mgrid[:50, :70].astype(np.float32)
    plane = 2 * x - y  # harmonic: the membrane over its border is the plane itself
    known = (x == 0) | (y == 0) | (x == 69) | (y == 49)
    result = membrane(np.where(known, plane, 0), known.astype(np.float32))
    assert (result[known] == plane[known]).all()
    assert np.abs(result - plane).max() < 6  # of a range of 187
    assert np.abs(np.diff(result, axis=1)).max() < 2.4
    assert result.min() >= plane.min() and result.max() <= plane.max()


def test_depth_is_the_distance_from_the_border() -> None:
    y, x = np.mgrid[:90, :120]
    mask = (y - 40) ** 2 + (x - 70) ** 2 < 30**2
    outside = np.argwhere(~mask)
    for reach, error in ((20, 1e-3), (100, 6)):
        depth = blending._depth(mask, reach)
        assert (depth[~mask] == 0).all() if reach == 20 else True
        for point in ((40, 70), (40, 50), (25, 60), (40, 42)):
            true = np.sqrt(((outside - point) ** 2).sum(axis=1).min())
            assert depth[point] == pytest.approx(min(true, reach), abs=error)


def test_beyond_the_picture_is_no_border() -> None:
    mask = np.zeros((30, 30), dtype=bool)
    mask[:, :20] = True
    depth = blending._depth(mask, 25)
    assert (depth[:, 0] == 20).all()
    assert (depth[0] == depth[15]).all()
    mask = np.ones((31, 31), dtype=bool)  # measured in steps that do not fit into it
    mask[:, 0] = False
    assert blending._depth(mask, 80)[15, 30] > 24
