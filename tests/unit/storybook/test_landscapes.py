"""Landscapes: every place paints at every time, as promised, repeatably, unlike the rest."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nuwa_cli.errors import UsageError
from nuwa_cli.sketches.palette import CLASS_ID, NUM_SKETCH_CLASSES
from nuwa_cli.storybook.landscapes import MEDIA, PLACE_NAMES, TIMES, Landscape, paint
from nuwa_cli.storybook.landscapes.painting import Canvas, Dice, rgb, vertical
from nuwa_cli.storybook.landscapes.shapes import (
    GRID_X,
    GRID_Y,
    below,
    block,
    convex,
    disc,
    oval,
    puffs,
    stroke,
    waves,
)

EXPECTED = {
    "grass_hill",
    "meadow",
    "beach",
    "sea",
    "underwater",
    "swimming_pool",
    "desert",
    "snow",
    "mountains",
    "forest",
    "autumn_wood",
    "lake",
    "river",
    "farm",
    "city_street",
    "country_road",
    "night_sky",
    "space",
    "moon",
    "sunset_sea",
    "clouds",
    "room",
    "stage",
    "race_track",
}
HAS_FRONT = {"sea", "swimming_pool", "lake", "river", "sunset_sea"}
MAIN_CLASS = {
    "grass_hill": "grass",
    "beach": "sand",
    "underwater": "water",
    "snow": "snow",
    "mountains": "mountain",
    "forest": "tree",
    "space": "space",
    "city_street": "building",
    "room": "wall",
    "stage": "furniture",
    "country_road": "road",
    "clouds": "cloud",
}
ALL = list(itertools.product(PLACE_NAMES, TIMES))


@pytest.fixture(scope="module")
def gallery() -> dict[tuple[str, str], Landscape]:
    return {(place, time): paint(place, 5, time) for place, time in ALL}


def test_the_places_are_the_ones_that_captions_speak_of() -> None:
    assert set(PLACE_NAMES) == EXPECTED
    assert len(PLACE_NAMES) == len(EXPECTED)
    assert TIMES == ("day", "sunset", "night")


@pytest.mark.parametrize(("place", "time"), ALL)
def test_a_painting_has_the_promised_form(
    gallery: dict[tuple[str, str], Landscape], place: str, time: str
) -> None:
    landscape = gallery[place, time]
    assert landscape.pixels.shape == (3, 256, 384)
    assert landscape.pixels.dtype == np.uint8
    assert landscape.classes.shape == (256, 384)
    assert landscape.classes.dtype == np.uint8
    assert int(landscape.classes.max()) < NUM_SKETCH_CLASSES
    assert landscape.medium in MEDIA
    top, bottom = landscape.ground
    assert 0.0 <= landscape.horizon <= 1.0
    assert 0.2 < top < bottom < 0.97
    if landscape.medium in ("ground", "floor", "water"):
        assert landscape.horizon < top, "subjects stand nearer than the horizon"
    assert landscape.pixels.std() > 10, "an empty picture"


@pytest.mark.parametrize("place", PLACE_NAMES)
def test_painting_is_a_function_of_place_seed_and_time(
    gallery: dict[tuple[str, str], Landscape], place: str
) -> None:
    first, again, other = gallery[place, "day"], paint(place, 5, "day"), paint(place, 6, "day")
    np.testing.assert_array_equal(first.pixels, again.pixels)
    np.testing.assert_array_equal(first.classes, again.classes)
    assert (first.pixels != other.pixels).any(axis=0).mean() > 0.05


@pytest.mark.parametrize("place", PLACE_NAMES)
def test_the_hour_moves_nothing_but_the_light(
    gallery: dict[tuple[str, str], Landscape], place: str
) -> None:
    lights = [CLASS_ID[name] for name in ("sky", "sun", "moon", "star", "cloud")]
    day, night = gallery[place, "day"].classes, gallery[place, "night"].classes
    solid = ~np.isin(day, lights) & ~np.isin(night, lights)
    assert (day == night)[solid].all()
    assert solid.mean() == pytest.approx((~np.isin(day, lights)).mean(), abs=0.02)


@pytest.mark.parametrize("place", PLACE_NAMES)
def test_a_front_is_cut_from_the_painting_itself(
    gallery: dict[tuple[str, str], Landscape], place: str
) -> None:
    landscape = gallery[place, "day"]
    assert (landscape.front is not None) == (place in HAS_FRONT)
    if landscape.front is None:
        assert landscape.front_classes is None
        return
    np.testing.assert_array_equal(landscape.front[:3], landscape.pixels)
    np.testing.assert_array_equal(landscape.front_classes, landscape.classes)
    opacity = landscape.front[3]
    top, bottom = (round(edge * 256) for edge in landscape.ground)
    assert not opacity[: top - 8].any(), "nothing above the waterline is hidden"
    assert (opacity[bottom + 8 :, 128:256] >= 128).all(), "below it everything is"


@pytest.mark.parametrize("place", sorted(MAIN_CLASS))
def test_the_sketch_says_what_the_place_is(
    gallery: dict[tuple[str, str], Landscape], place: str
) -> None:
    window = gallery[place, "day"].classes[:, 64:320]
    assert (window == CLASS_ID[MAIN_CLASS[place]]).mean() > 0.15


def test_places_look_different_from_each_other(
    gallery: dict[tuple[str, str], Landscape],
) -> None:
    """Mean color difference of 8x8 thumbnails, the middle third (a subject's) left out."""
    thumbs = {}
    for place in PLACE_NAMES:
        window = gallery[place, "day"].pixels[:, :, 64:320].astype(np.float32)
        thumb = window.reshape(3, 8, 32, 8, 32).mean(axis=(2, 4))
        thumbs[place] = np.delete(thumb, (3, 4), axis=2)
    gaps = {
        (a, b): float(np.abs(thumbs[a] - thumbs[b]).mean())
        for a, b in itertools.combinations(PLACE_NAMES, 2)
    }
    closest = min(gaps, key=lambda pair: gaps[pair])
    assert gaps[closest] > 12, f"{closest} can hardly be told apart"


@pytest.mark.parametrize("place", PLACE_NAMES)
def test_paintings_are_smooth(gallery: dict[tuple[str, str], Landscape], place: str) -> None:
    """Most pixels differ from their neighbor by next to nothing: edges, but no texture."""
    gray = gallery[place, "day"].pixels.astype(np.float32).mean(axis=0)
    step = np.abs(np.diff(gray, axis=1))[:-1] + np.abs(np.diff(gray, axis=0))[:, :-1]
    assert (step > 8).mean() < 0.20
    assert np.median(step) <= 2


def test_nights_are_darker_outside(gallery: dict[tuple[str, str], Landscape]) -> None:
    for place in ("grass_hill", "beach", "snow", "city_street", "river", "race_track"):
        assert gallery[place, "night"].pixels.mean() < 0.6 * gallery[place, "day"].pixels.mean()


def test_unknown_places_and_times_are_refused() -> None:
    with pytest.raises(UsageError, match="atlantis"):
        paint("atlantis", 0)
    with pytest.raises(UsageError, match="noon"):
        paint("beach", 0, "noon")


def test_dice_are_fair_and_repeat() -> None:
    dice, again = Dice("beach", 3), Dice("beach", 3)
    rolls = [dice.uniform(-1, 3) for _ in range(2000)]
    assert rolls == [again.uniform(-1, 3) for _ in range(2000)]
    assert min(rolls) >= -1
    assert max(rolls) < 3
    assert abs(float(np.mean(rolls)) - 1) < 0.1
    assert {dice.index(3) for _ in range(50)} == {0, 1, 2}
    assert {dice.sign() for _ in range(50)} == {-1.0, 1.0}
    sides = [Dice("beach", seed).sign() for seed in range(200)]
    assert 60 < sides.count(1.0) < 140, "neighboring seeds must not agree"


def test_a_fork_of_the_dice_leaves_the_parent_alone() -> None:
    dice, again = Dice("sea", 1), Dice("sea", 1)
    dice.fork("stars").uniform(0, 1)
    assert dice.uniform(0, 1) == again.uniform(0, 1)


@pytest.mark.parametrize(
    "shape",
    [
        disc(60, 70, 20),
        oval(60, 70, 30, 12),
        block(30, 40, 90, 80, 6),
        convex((20, 30), (90, 40), (60, 100)),
        convex((60, 100), (90, 40), (20, 30)),
        stroke([(20, 30), (60, 60), (90, 40)], 6, 2),
        puffs([disc(40, 60, 15), disc(65, 60, 18)], 8),
        disc(60, 70, 20) - disc(70, 70, 15),
    ],
)
def test_a_shape_lies_within_its_bounds(shape: object) -> None:
    inside = shape.distance(GRID_X, GRID_Y) < -0.5  # type: ignore[attr-defined]
    x0, y0, x1, y1 = shape.bounds  # type: ignore[attr-defined]
    assert inside.any()
    rows, columns = np.nonzero(inside)
    assert x0 - 1 <= columns.min() and columns.max() <= x1 + 1
    assert y0 - 1 <= rows.min() and rows.max() <= y1 + 1


def test_distances_are_pixels() -> None:
    wanted = np.hypot(GRID_X - 60, GRID_Y - 70) - 20
    np.testing.assert_allclose(disc(60, 70, 20).distance(GRID_X, GRID_Y), wanted, atol=1e-3)
    ridge = below(waves(100))
    np.testing.assert_allclose(ridge.distance(GRID_X, GRID_Y)[:, 7], 100 - GRID_Y[:, 0], atol=1e-3)


def test_fill_blends_edges_and_labels_the_covered_half() -> None:
    canvas = Canvas()
    canvas.fill(None, rgb("#000000"), "sky")
    canvas.fill(block(10, 10, 20.5, 20), rgb("#ff8000"), "sun")
    assert canvas.pixels[:, 15, 15].tolist() == pytest.approx([1, 128 / 255, 0], abs=1e-6)
    assert 0.2 < canvas.pixels[0, 15, 20] < 0.8, "half a pixel is half covered"
    assert canvas.classes[15, 15] == CLASS_ID["sun"]
    assert canvas.classes[5, 5] == CLASS_ID["sky"]
    before = canvas.classes.copy()
    canvas.fill(disc(15, 15, 9), rgb("#ffffff"), opacity=0.5, soft=4)
    np.testing.assert_array_equal(canvas.classes, before)
    assert canvas.pixels.dtype == np.float32


def test_fill_beyond_the_canvas_does_nothing() -> None:
    canvas = Canvas()
    canvas.fill(disc(-50, -50, 20), vertical(rgb("#ffffff"), rgb("#ffffff"), 0, 1), "sun")
    assert not canvas.pixels.any()
    assert (canvas.classes == CLASS_ID["other"]).all()
