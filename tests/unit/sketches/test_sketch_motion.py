"""What lies between two key sketches: things travel, the ground stays or changes evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nuwa_cli.errors import UsageError
from nuwa_cli.sketches.motion import between
from nuwa_cli.sketches.palette import CLASS_ID, NUM_SKETCH_CLASSES
from nuwa_cli.sketches.things import label_areas, nearest_distance, signed_distance

SKY, GRASS, ROAD, SUN, CLOUD, BUS, PERSON, BALL, WHEEL, MOUNTAIN = (
    CLASS_ID[name]
    for name in (
        *("sky", "grass", "road", "sun", "cloud", "land vehicle", "person", "ball", "other"),
        "mountain",
    )
)
Box = tuple[int, int, int, int]


def scene(*things: tuple[int, Box], horizon: int = 32, size: int = 64) -> np.ndarray:
    """Sky over grass, and boxes (class, (top, left, bottom, right)), clipped to the picture."""
    classes = np.full((size, size), SKY, np.uint8)
    classes[horizon:] = GRASS
    for class_id, (top, left, bottom, right) in things:
        classes[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = class_id
    return classes


def round_sun(y: float, x: float, radius: float, hill: int = 40) -> np.ndarray:
    """A round sun behind a hill that begins at a row."""
    classes = np.full((64, 64), SKY, np.uint8)
    rows, columns = np.mgrid[:64, :64] + 0.5
    classes[np.hypot(rows - y, columns - x) < radius] = SUN
    classes[hill:] = MOUNTAIN
    return classes


def box_of(classes: np.ndarray, class_id: int) -> Box:
    """top, left, bottom, right of a class."""
    ys, xs = np.nonzero(classes == class_id)
    return int(ys.min()), int(xs.min()), int(ys.max()) + 1, int(xs.max()) + 1


maps = arrays(
    np.uint8, (12, 10), elements=st.integers(0, NUM_SKETCH_CLASSES - 1), fill=st.just(GRASS)
)


@given(maps, maps, st.integers(2, 5))
@settings(max_examples=60, deadline=None)
def test_ends_are_exact(first: np.ndarray, last: np.ndarray, num_frames: int) -> None:
    frames = between(first, last, num_frames)
    assert frames.shape == (num_frames, 12, 10)
    assert frames.dtype == np.uint8
    assert (frames[0] == first).all()
    assert (frames[-1] == last).all()
    assert set(np.unique(frames)) <= set(np.unique(np.stack([first, last])))


def test_nothing_moves_between_equal_sketches() -> None:
    key = scene((BUS, (30, 8, 44, 30)), (SUN, (5, 40, 15, 50)), (ROAD, (40, 0, 50, 64)))
    assert (between(key, key, 6) == key).all()


def test_a_bus_drives_over_a_still_road() -> None:
    road = (ROAD, (44, 0, 56, 64))
    begin = scene(road, (BUS, (34, 4, 48, 24)))
    end = scene(road, (BUS, (34, 36, 48, 56)))
    frames = between(begin, end, 5)
    for index, frame in enumerate(frames):
        assert box_of(frame, BUS) == (34, 4 + 8 * index, 48, 24 + 8 * index)
        rest = frame != BUS
        assert (frame[rest] == scene(road)[rest]).all()


def test_things_grow_on_their_way() -> None:
    frames = between(scene((BALL, (40, 4, 44, 8))), scene((BALL, (20, 40, 40, 60))), 5)
    assert box_of(frames[2], BALL) == (30, 22, 42, 34)


def test_wheels_and_drivers_stay_with_their_bus() -> None:
    def bus(x: int) -> np.ndarray:
        wheels = [(WHEEL, (44, x + dx, 50, x + dx + 6)) for dx in (3, 21)]
        return scene((BUS, (30, x, 47, x + 30)), *wheels, (PERSON, (33, x + 22, 40, x + 26)))

    for frame, x in zip(between(bus(-16), bus(30), 3), (-16, 7, 30), strict=True):
        assert (frame == bus(x)).all()


def test_what_comes_in_is_whole_when_it_arrives() -> None:
    """Half a bus at the edge is not half a bus long."""
    frames = between(scene((BUS, (34, -10, 48, 10))), scene((BUS, (34, 30, 48, 50))), 5)
    assert [box_of(frame, BUS)[1::2] for frame in frames] == [
        *((0, 10), (0, 20), (10, 30), (20, 40), (30, 50))
    ]


def test_the_sun_rises_from_behind_a_hill() -> None:
    frames = between(round_sun(40, 20, 9), round_sun(16, 44, 9), 5)
    for index, frame in enumerate(frames):
        expected = round_sun(40 - 6 * index, 20 + 6 * index, 9)
        assert (frame != expected).mean() < 0.01, index
        assert (frame[40:] == MOUNTAIN).all()


def test_a_cloud_hides_the_sun() -> None:
    cloud = (CLOUD, (4, 20, 18, 44))
    begin, end = scene((SUN, (8, 2, 16, 10)), cloud), scene((SUN, (8, 54, 16, 62)), cloud)
    assert (between(begin, end, 3)[1] == scene(cloud)).all()


def test_partners_are_the_nearest() -> None:
    """Two people who walk to the right do not overtake each other."""
    pair = [
        scene((PERSON, (36, x, 46, x + 4)), (PERSON, (36, x + 20, 48, x + 24))) for x in (4, 30)
    ]
    middle = between(pair[0], pair[1], 3)[1]
    assert (middle == scene((PERSON, (36, 17, 46, 21)), (PERSON, (36, 37, 48, 41)))).all()


def test_what_has_no_partner_leaves_or_shrinks() -> None:
    frames = between(scene((BUS, (40, 50, 50, 64)), (BALL, (10, 10, 20, 20))), scene(), 5)
    assert [int((frame == BUS).sum()) for frame in frames] == [140, 110, 70, 40, 0]
    assert box_of(frames[2], BUS) == (40, 57, 50, 64)  # over the edge that it touches
    assert box_of(frames[2], BALL) == (12, 12, 18, 18)


def test_a_horizon_moves_evenly() -> None:
    frames = between(scene(horizon=20), scene(horizon=44), 5)
    for index, frame in enumerate(frames):
        assert (frame == scene(horizon=20 + 6 * index)).all()


def test_ground_that_is_equal_in_both_stays() -> None:
    begin = scene((MOUNTAIN, (10, 40, 30, 60)), horizon=34)
    end = scene((MOUNTAIN, (10, 40, 30, 60)), horizon=54)
    same = begin == end
    assert (between(begin, end, 6)[:, same] == begin[same]).all()


def test_large_areas_of_movable_classes_are_ground() -> None:
    """A floor of clouds does not travel: it sinks."""
    heights = [scene((CLOUD, (top, 0, 64, 64)), horizon=64) for top in (20, 30, 40)]
    assert (between(heights[0], heights[2], 3)[1] == heights[1]).all()


def test_large_sketches_are_thinned_out() -> None:
    keys = [scene((BUS, (34, x, 48, x + 20))).repeat(20, 0).repeat(20, 1) for x in (4, 36)]
    frames = between(keys[0], keys[1], 3)
    assert frames.shape == (3, 1280, 1280)
    assert (frames[-1] == keys[1]).all()
    expected = scene((BUS, (34, 20, 48, 40))).repeat(20, 0).repeat(20, 1)
    assert (frames[1] != expected).mean() < 0.005


def test_refusals() -> None:
    with pytest.raises(UsageError, match="64x64 and 32x32"):
        between(scene(), scene(size=32), 4)
    with pytest.raises(UsageError, match="two frames"):
        between(scene(), scene(), 1)


@given(arrays(np.uint8, (9, 8), elements=st.integers(0, 2)))
@settings(max_examples=60, deadline=None)
def test_areas_are_those_of_a_flood_fill(classes: np.ndarray) -> None:
    mask = classes > 0
    numbers = label_areas(classes, mask)
    assert ((numbers > 0) == mask).all()
    seen = np.zeros(classes.shape, bool)
    for start in zip(*np.nonzero(mask), strict=True):
        if seen[start]:
            continue
        area, todo = set(), [start]
        while todo:
            y, x = todo.pop()
            if (y, x) in area or not (0 <= y < 9 and 0 <= x < 8) or classes[y, x] != classes[start]:
                continue
            area.add((y, x))
            todo += [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        places = tuple(np.array(sorted(area)).T)
        assert len(set(numbers[places])) == 1
        assert (numbers == numbers[start]).sum() == len(area)
        seen[places] = True


@given(arrays(np.bool_, (7, 9)), st.sampled_from([1.0, 3.0]))
@settings(max_examples=40, deadline=None)
def test_distances_are_exact(mask: np.ndarray, upright: float) -> None:
    found = nearest_distance(mask, upright)
    ys, xs = np.nonzero(mask)
    for (y, x), distance in np.ndenumerate(found):
        apart = np.hypot(upright * (ys - y), xs - x)
        assert distance == pytest.approx(apart.min(initial=np.inf))


def test_signed_distance_changes_sign_at_the_border() -> None:
    mask = np.zeros((5, 5), bool)
    mask[1:4, 1:4] = True
    assert signed_distance(mask)[2].tolist() == [-0.5, 0.5, 1.5, 0.5, -0.5]
    assert signed_distance(np.ones((3, 3), bool))[1].tolist() == [0.5, 1.5, 0.5]
