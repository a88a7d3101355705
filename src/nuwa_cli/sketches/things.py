"""The movable things of a class map: connected areas, their shapes, and what of them is hidden.

A thing is a connected area of a class that moves: people, animals, vehicles, the sun, clouds. Where it
runs out of the picture, or behind a hill, its side is *cut*: it goes on where nobody sees it. Shapes
are signed distances, so that two of them mix into a third.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from nuwa_cli.sketches.palette import CLASS_ID

_Array = np.ndarray[Any, Any]
Box = tuple[float, float, float, float]
"""top, left, bottom, right: edges, in pixels; they may lie outside the picture."""

_OPEN_SKY = tuple(CLASS_ID[name] for name in ("sky", "space"))
IN_SKY = tuple(CLASS_ID[name] for name in ("cloud", "sun", "moon", "star"))
BEHIND_ALL = (*_OPEN_SKY, *IN_SKY)
_ON_GROUND = (
    *("person", "animal", "bird", "sea animal", "insect"),
    *("land vehicle", "boat", "aircraft", "ball", "food", "other"),
)
MOVABLE = (*IN_SKY, *(CLASS_ID[name] for name in _ON_GROUND))

_LARGEST = 0.3  # share of the picture; a larger area is ground: a floor of clouds, a black room
_MOST = 200  # areas of one class; more are texture
_CUT = 0.3  # share of the pixels on one side that must be hidden


@dataclass(frozen=True)
class Thing:
    """One connected area: its class, box, size in pixels, signed distance (h, w) within the box
    (positive inside, in pixels), the sides that are cut (top, left, bottom, right), and whether it
    is in the sky, behind everything that stands on the ground."""

    class_id: int
    box: Box
    area: int
    distance: _Array
    cut: tuple[bool, bool, bool, bool]
    in_sky: bool


def find_things(classes: _Array) -> dict[int, list[Thing]]:
    """The things of each movable class of a map (H, W), the largest first. A class is left out when
    it is ground here: an area of it is too large, or there are too many."""
    numbers = label_areas(classes, np.isin(classes, MOVABLE))
    areas = [(number, box, numbers[box] == number) for number, box in _boxes(numbers)]
    ids = [int(classes[box][mask][0]) for _, box, mask in areas]
    sizes = [int(mask.sum()) for *_, mask in areas]
    is_ground = {
        class_id
        for class_id, size in zip(ids, sizes, strict=True)
        if size > _LARGEST * classes.size or ids.count(class_id) > _MOST
    }
    things: dict[int, list[Thing]] = {
        class_id: [] for class_id in MOVABLE if class_id not in is_ground
    }
    for class_id, size, (_, box, mask) in zip(ids, sizes, areas, strict=True):
        if class_id not in is_ground:
            things[class_id].append(_thing(classes, class_id, size, box, mask))
    for row in things.values():
        row.sort(key=lambda thing: (-thing.area, thing.box))
    return things


def _thing(
    classes: _Array, class_id: int, size: int, box: tuple[slice, slice], mask: _Array
) -> Thing:
    rows, columns = box
    edges = float(rows.start), float(columns.start), float(rows.stop), float(columns.stop)
    cut, in_sky = _sides(classes, mask, rows.start, columns.start, class_id)
    return Thing(class_id, edges, size, signed_distance(mask), cut, in_sky)


def label_areas(classes: _Array, mask: _Array) -> _Array:
    """A number > 0 for each 8-connected area of one class within the mask (H, W), 0 elsewhere.

    Every pixel takes the least number around it, then the number that this number has taken, until
    nothing changes: the second step halves distances, so long areas take few rounds.
    """
    height, width = classes.shape
    numbers = np.where(mask, np.arange(1, classes.size + 1).reshape(height, width), 0)
    everything = slice(None)
    later, earlier = slice(1, None), slice(None, -1)
    pairs = [
        ((later, everything), (earlier, everything)),
        ((everything, later), (everything, earlier)),
        ((later, later), (earlier, earlier)),
        ((later, earlier), (earlier, later)),
    ]
    joined = [(a, b, mask[a] & mask[b] & (classes[a] == classes[b])) for a, b in pairs]
    while True:
        before = numbers.copy()
        for a, b, same in joined:
            np.minimum(numbers[a], numbers[b], out=numbers[a], where=same)
            np.minimum(numbers[a], numbers[b], out=numbers[b], where=same)
        numbers = np.append(0, numbers)[numbers]
        if (numbers == before).all():
            return numbers


def signed_distance(mask: _Array) -> _Array:
    """Distance (h, w) of every pixel to the edge of a mask, positive inside, in pixels; outside of
    the array nothing is set."""
    framed = np.pad(mask, 1)
    inside, outside = nearest_distance(~framed), nearest_distance(framed)
    return np.where(framed, inside - 0.5, 0.5 - outside)[1:-1, 1:-1].astype(np.float32)


def nearest_distance(mask: _Array, upright: float = 1.0) -> _Array:
    """Exact Euclidean distance (h, w) to the nearest set pixel, infinite if there is none; one step
    up or down counts `upright` pixels."""
    rows = np.arange(len(mask))[:, None]
    above = np.maximum.accumulate(np.where(mask, rows, -np.inf), axis=0)
    below = np.minimum.accumulate(np.where(mask, rows, np.inf)[::-1], axis=0)[::-1]
    column = (upright * np.minimum(rows - above, below - rows)) ** 2
    apart = (np.arange(mask.shape[1])[:, None] - np.arange(mask.shape[1])) ** 2
    return np.sqrt(np.stack([(row + apart).min(axis=1) for row in column]))


def _boxes(numbers: _Array) -> Iterator[tuple[int, tuple[slice, slice]]]:
    """Each number > 0 of a map (H, W), and the rows and columns that it spans."""
    ys, xs = np.nonzero(numbers)
    found, which = np.unique(numbers[ys, xs], return_inverse=True)
    spans = []
    for values in (ys, xs):
        low, high = np.full(len(found), values.max(initial=0)), np.zeros(len(found), np.int64)
        np.minimum.at(low, which, values)
        np.maximum.at(high, which, values)
        spans.append([slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True)])
    for number, rows, columns in zip(found, *spans, strict=True):
        yield int(number), (rows, columns)


def _sides(
    classes: _Array, mask: _Array, top: int, left: int, class_id: int
) -> tuple[tuple[bool, bool, bool, bool], bool]:
    """Which sides are cut, and whether the thing is in the sky: one of its kind, touching sky."""
    height, width = classes.shape
    around = np.pad(classes, 1, mode="edge")[
        top : top + mask.shape[0] + 2, left : left + mask.shape[1] + 2
    ]
    framed = np.pad(mask, 1)
    never_hides = (
        _OPEN_SKY if class_id != CLASS_ID["cloud"] else BEHIND_ALL
    )  # a cloud hides the sun
    hidden: list[float] = []
    touches_sky = False
    for dy, dx in ((-1, 0), (0, -1), (1, 0), (0, 1)):
        faces = np.roll(framed, (dy, dx), axis=(0, 1)) & ~framed
        beyond = around[faces]
        touches_sky |= bool(np.isin(beyond, _OPEN_SKY).any())
        hidden.append(float((~np.isin(beyond, never_hides)).mean()) if beyond.size else 0.0)
    in_sky = class_id in IN_SKY and touches_sky
    bottom, right = top + mask.shape[0], left + mask.shape[1]
    at_edge = (top == 0, left == 0, bottom == height, right == width)
    cut = [edge or (in_sky and share > _CUT) for edge, share in zip(at_edge, hidden, strict=True)]
    return (cut[0], cut[1], cut[2], cut[3]), in_sky
