"""A clip of class maps out of two painted ones: what lies between the key sketches.

Things travel: areas of the same class in both sketches are paired so that all together go the
shortest way; place, size and shape change evenly. A thing without a partner leaves over the edge that
cuts it (or comes in there), sets behind the hill that hides it, or shrinks to nothing. The ground
behind them stays where both sketches agree; where it differs, each class's signed distance to its
border goes evenly from the one to the other, so that a shore or a horizon moves.

Invariants: the first and last frames are the key sketches, pixel for pixel; a ground pixel that is
equal in both never changes unless a thing covers it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from nuwa_cli.errors import UsageError
from nuwa_cli.sketches.palette import CLASS_ID
from nuwa_cli.sketches.things import (
    BEHIND_ALL,
    Box,
    Thing,
    find_things,
    nearest_distance,
)

ClassMap = np.ndarray[Any, np.dtype[np.uint8]]
"""Class ids, (H, W) or (T, H, W)."""

_Array = np.ndarray[Any, Any]
_Journey = tuple[Thing, Thing]
"""A thing where it begins and where it ends; both of one class."""

_LARGEST = 512  # pixels of a side that are worked on; larger maps are thinned out and enlarged
_GROUND = 128  # the same for the borders of the ground
_UPRIGHT = 3.0  # what is behind a thing is more likely what is beside it than above it
_SAME_GROUND = 0.02  # share of pixels that may differ between two drawings of one ground
_SIZE_WEIGHT = 0.02  # of the squared logarithm of a change of area, against squared distances


def between(first: ClassMap, last: ClassMap, num_frames: int) -> ClassMap:
    """Class maps (num_frames, H, W) from `first` (H, W) to `last` (H, W).

    Raises UsageError when the sizes differ and for less than two frames.
    """
    if first.shape != last.shape:
        sizes = " and ".join(f"{key.shape[1]}x{key.shape[0]}" for key in (first, last))
        raise UsageError(f"sketches '{sizes}': differ in size; paint both at one size")
    if num_frames < 2:
        raise UsageError(f"frames '{num_frames}': two sketches need two frames at least")
    stride = -(-max(first.shape) // _LARGEST)
    begin_key, end_key = first[::stride, ::stride], last[::stride, ::stride]
    begins, ends = find_things(begin_key), find_things(end_key)
    ids = sorted(begins.keys() & ends.keys())
    diagonal = float(np.hypot(*begin_key.shape[:2]))
    journeys = _journeys({number: (begins[number], ends[number]) for number in ids}, diagonal)
    shares = [index / (num_frames - 1) for index in range(num_frames)]
    frames = _blend_grounds(_ground(begin_key, ids), _ground(end_key, ids), shares)
    for frame, share in zip(frames, shares, strict=True):
        for begin, end in journeys:
            _paint(frame, begin, end, share)
    frames = frames.repeat(stride, axis=1).repeat(stride, axis=2)
    frames = frames[:, : first.shape[0], : first.shape[1]].copy()
    frames[0], frames[-1] = first, last
    return frames


# Things


def _journeys(
    things: dict[int, tuple[list[Thing], list[Thing]]], diagonal: float
) -> list[_Journey]:
    """Where each thing of each class comes from and goes to, what is behind first: sun, moon and
    stars, clouds, then large before small."""
    paired: list[_Journey] = []
    leaving: list[Thing] = []
    coming: list[Thing] = []
    # The largest first: what rides on them is looked for where they take it.
    for first, last in sorted(things.values(), key=_largest, reverse=True):
        pairs = _pair([_ride(thing, paired) or thing for thing in first], last, diagonal)
        paired += [(_extend(first[a], last[b]), _extend(last[b], first[a])) for a, b in pairs]
        leaving += [first[a] for a in sorted(set(range(len(first))) - {a for a, _ in pairs})]
        coming += [last[b] for b in sorted(set(range(len(last))) - {b for _, b in pairs})]
    alone = [
        *((thing, _ride(thing, paired) or _gone(thing)) for thing in leaving),
        *((_ride(thing, [way[::-1] for way in paired]) or _gone(thing), thing) for thing in coming),
    ]
    return sorted([*paired, *alone], key=_height)


def _largest(things: tuple[list[Thing], list[Thing]]) -> int:
    return max((thing.area for side in things for thing in side), default=0)


def _height(way: _Journey) -> tuple[bool, bool, int]:
    thing = way[0]
    in_sky = thing.in_sky and way[1].in_sky
    return not in_sky, in_sky and thing.class_id == CLASS_ID["cloud"], -max(t.area for t in way)


def _ride(thing: Thing, hosts: list[_Journey]) -> Thing | None:
    """The thing at the other end, if it is part of a larger one that goes there: a wheel, a driver."""
    y, x = _center(thing.box)
    for here, there in hosts:
        top, left, bottom, right = here.box
        if here.area > thing.area and top <= y <= bottom and left <= x <= right:
            scale = (there.box[2] - there.box[0]) / (bottom - top)
            zoom = (there.box[3] - there.box[1]) / (right - left)
            rows = [there.box[0] + scale * (thing.box[side] - top) for side in (0, 2)]
            columns = [there.box[1] + zoom * (thing.box[side] - left) for side in (1, 3)]
            return replace(thing, box=(rows[0], columns[0], rows[1], columns[1]))
    return None


def _pair(first: list[Thing], last: list[Thing], diagonal: float) -> list[tuple[int, int]]:
    """Indexes of partners with a small sum of squared distances: the nearest first, then exchanged
    while that makes the sum smaller."""
    if not first or not last:
        return []
    places = [np.array([_center(thing.box) for thing in things]) for things in (first, last)]
    sizes = [np.log([thing.area for thing in things]) for things in (first, last)]
    apart = ((places[0][:, None] - places[1]) ** 2).sum(axis=-1) / diagonal**2
    cost = apart + _SIZE_WEIGHT * (sizes[0][:, None] - sizes[1]) ** 2
    left = cost.copy()
    pairs: list[tuple[int, int]] = []
    for _ in range(min(cost.shape)):
        a, b = np.unravel_index(left.argmin(), left.shape)
        pairs.append((int(a), int(b)))
        left[a], left[:, b] = np.inf, np.inf
    rows, columns = (np.array(side) for side in zip(*pairs, strict=True))
    while True:
        now = cost[rows, columns]
        crossed = cost[rows[:, None], columns]
        gain = now[:, None] + now - crossed - crossed.T
        one, other = np.unravel_index(gain.argmax(), gain.shape)
        if gain[one, other] <= 1e-12:
            return list(zip(rows.tolist(), columns.tolist(), strict=True))
        columns[one], columns[other] = columns[other], columns[one]


def _extend(thing: Thing, whole: Thing) -> Thing:
    """What is cut at this end of its journey only gets the full size that it has at the other."""
    box = list(thing.box)
    lengths = [whole.box[axis + 2] - whole.box[axis] for axis in (0, 1)]
    ours = [thing.box[axis + 2] - thing.box[axis] for axis in (0, 1)]
    is_cut = [thing.cut[axis] or thing.cut[axis + 2] for axis in (0, 1)]
    is_longer = False
    for axis in (0, 1):
        if not is_cut[axis] or whole.cut[axis] or whole.cut[axis + 2]:
            continue
        scale = 1.0 if is_cut[1 - axis] else ours[1 - axis] / lengths[1 - axis]
        missing = scale * lengths[axis] - ours[axis]
        if missing > 0:
            is_longer = True
            before, after = thing.cut[axis], thing.cut[axis + 2]
            box[axis] -= missing * before / (before + after)
            box[axis + 2] += missing * after / (before + after)
    if not is_longer:
        return thing
    return replace(thing, box=(box[0], box[1], box[2], box[3]), distance=whole.distance)


def _gone(thing: Thing) -> Thing:
    """The thing where it is not seen: beyond the side that cuts it, or shrunk to a point."""
    top, left, bottom, right = thing.box
    height, width = bottom - top, right - left
    if sum(thing.cut) == 1:
        dy = height * (thing.cut[2] - thing.cut[0])
        dx = width * (thing.cut[3] - thing.cut[1])
        return replace(thing, box=(top + dy, left + dx, bottom + dy, right + dx))
    y, x = _center(thing.box)
    return replace(thing, box=(y, x, y, x))


def _center(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _paint(frame: ClassMap, begin: Thing, end: Thing, share: float) -> None:
    """Draw a thing into a map (H, W) at a share of its journey."""
    box = [(1 - share) * a + share * b for a, b in zip(begin.box, end.box, strict=True)]
    rows = np.arange(max(int(box[0]), 0), min(int(np.ceil(box[2])), frame.shape[0]))
    columns = np.arange(max(int(box[1]), 0), min(int(np.ceil(box[3])), frame.shape[1]))
    size = box[2] - box[0], box[3] - box[1]
    if not rows.size or not columns.size or min(size) <= 0:
        return
    y, x = (rows + 0.5 - box[0]) / size[0], (columns + 0.5 - box[1]) / size[1]
    shape = (1 - share) * _look_up(begin.distance, y, x) + share * _look_up(end.distance, y, x)
    shape[(y < 0) | (y > 1)] = -1
    shape[:, (x < 0) | (x > 1)] = -1
    area = frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    is_seen = shape > 0
    if begin.in_sky and end.in_sky:
        is_seen &= np.isin(area, BEHIND_ALL)
    area[is_seen] = begin.class_id


def _look_up(distance: _Array, y: _Array, x: _Array) -> _Array:
    """Signed distance (h, w) at shares y, x of its height and width, as shares of its diagonal."""
    rows = _weights(y * distance.shape[0] - 0.5, distance.shape[0])
    columns = _weights(x * distance.shape[1] - 0.5, distance.shape[1])
    return rows @ distance @ columns.T / np.hypot(*distance.shape)


def _weights(places: _Array, length: int) -> _Array:
    """Linear interpolation at n places as a matrix (n, length)."""
    places = places.clip(0, length - 1)
    low = places.astype(int).clip(0, max(length - 2, 0))
    weights = np.zeros((len(places), length), np.float32)
    weights[np.arange(len(places)), low] = 1 - (places - low)
    if length > 1:
        weights[np.arange(len(places)), low + 1] = places - low
    return weights


# Ground


def _ground(classes: ClassMap, ids: list[int]) -> _Array:
    """A map (H, W) with holes (-1) where things stand."""
    return np.where(np.isin(classes, ids), -1, classes.astype(np.int16))


def _blend_grounds(first: _Array, last: _Array, shares: list[float]) -> ClassMap:
    """The grounds (T, H, W) from one with holes (H, W) to another."""
    is_known = (first >= 0) & (last >= 0)
    differ = (first != last) & is_known
    if differ.sum() <= _SAME_GROUND * max(is_known.sum(), 1):
        # One ground drawn twice: each sketch shows what the things of the other hide.
        first, last = np.where(first < 0, last, first), np.where(last < 0, first, last)
        is_known = (first >= 0) & (last >= 0)
    ids = np.unique(np.stack([first, last]).clip(0))
    keys = [np.searchsorted(ids, ground.clip(0)) for ground in (first, last)]
    frames = ids[np.stack([keys[0]] * len(shares))].astype(np.uint8)
    is_moving = ~is_known | (first != last)
    if not is_moving.any():
        return frames
    stride = -(-max(first.shape) // _GROUND)
    borders = _borders(first[::stride, ::stride], last[::stride, ::stride], ids)
    rows, columns = (
        _weights((np.arange(length) - (stride - 1) / 2) / stride, count)
        for length, count in zip(first.shape, borders[0].shape[1:], strict=True)
    )
    depths = [rows @ layers @ columns.T for layers in borders]
    begin, end = (
        np.where(ground >= 0, key, depth.argmax(axis=0))
        for ground, key, depth in zip((first, last), keys, depths, strict=True)
    )
    # A pixel goes from one class to another without passing through a third.
    lead = [
        np.take_along_axis(depth, begin[None], 0)[0] - np.take_along_axis(depth, end[None], 0)[0]
        for depth in depths
    ]
    for frame, share in zip(frames, shares, strict=True):
        chosen = ids[np.where((1 - share) * lead[0] + share * lead[1] >= 0, begin, end)]
        frame[is_moving] = chosen[is_moving]
    return frames


def _borders(first: _Array, last: _Array, ids: _Array) -> tuple[_Array, _Array]:
    """Signed distance (classes, h, w) to the border of each class in both grounds (h, w), positive
    inside; in a hole minus the distance to its nearest pixel."""
    both = [
        np.stack([_border(ground, class_id) for class_id in ids]).clip(max=sum(ground.shape))
        for ground in (first, last)
    ]
    for here, there in (both, both[::-1]):
        for layer, other in zip(here, there, strict=True):
            # What is absent lies as deep as it is thick at the other end: it grows from its middle.
            layer[np.isneginf(layer)] = -max(float(other.max()), 1.0)
    return both[0], both[1]


def _border(ground: _Array, class_id: int) -> _Array:
    mask = ground == class_id
    inside = nearest_distance((ground >= 0) & ~mask) - 0.5
    border = np.where(mask, inside, 0.5 - nearest_distance(mask))
    is_hole = ground < 0
    if is_hole.any():
        border[is_hole] = 0.5 - nearest_distance(mask, _UPRIGHT)[is_hole]
    return border.astype(np.float32)
