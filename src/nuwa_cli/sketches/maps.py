"""Painted sketches to class maps, and back.

A picture in which every pixel has the exact colour of a class is read exactly. Most are not: brushes
are smoothed, JPEG and video codecs add noise, GIMP mixes in linear light. So a pixel votes by its
neighbourhood. A flat patch near the colour of one class is *solid*. Any other pixel takes the class
of that solid neighbour whose colour it resembles most; only where no mixture of two neighbours can
explain a class colour is it a fine detail that stays (a star, a line one pixel wide).

Invariants: colorize, save without loss, read gives the same map, whatever the map; a soft edge
between two areas never becomes a line of a third class; a flat area farther than `NEAR` (CIE Lab,
1976) from every class is refused, never guessed, unless `snap` asks for the nearest class.
Transparent pixels (alpha below one half) are unpainted and read as `other`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.errors import InputError
from nuwa_cli.media.last_read import last_read
from nuwa_cli.media.reading import read_clip, read_picture
from nuwa_cli.sketches.palette import CLASS_ID, SKETCH_CLASSES

ClassMap = np.ndarray[Any, np.dtype[np.uint8]]
"""Class ids, (H, W) or (T, H, W)."""

_Array = np.ndarray[Any, Any]

NEAR = 9.5
"""CIE Lab distance up to which a flat colour counts as a class; below half of the palette's least."""

_DIRECTIONS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))
_FLAT = 12  # largest difference of a channel within a patch that is noise, not an edge
_REACH = (1, 2, 3, 4, 6, 8, 12, 16)  # how far, in eight directions, solid neighbours are sought
_LARGEST = 1024  # pixels of a side that are looked at where colours are mixed; models see fewer
_LARGEST_CLIP = 256  # the same for each of many frames
_NONE = 255  # no class
_NOISE = 16  # what a codec adds to a mixture
_BLED = 48  # what a codec smears over an edge may differ by so much from its neighbour
_FEWEST = 9  # pixels of unknown colours below which they are part of edges,
_LEAST_SHARE, _LEAST_SHARE_LOSSY = 2e-4, 2e-3  # and the same as a share of the picture
_FEWEST_LOSSY = 12  # pixels of a fine detail that a lossy picture can still show, in 7 x 7
_MOST_LISTED = 5

_COLOURS = np.array([entry.rgb for entry in SKETCH_CLASSES], dtype=np.uint8)
_XYZ_OF_RGB = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)  # linear sRGB to CIE XYZ, D65


def read_sketch(path: Path, *, snap: bool = False) -> ClassMap:
    """Read a painted picture as class ids (H, W).

    `snap` takes the nearest class for every colour. Raises InputError for a file that is no picture,
    and for unknown colours, which it lists with the place where each is seen first.
    """
    picture = read_picture(path)
    return classify(picture.pixels, picture.alpha, snap=snap, name=str(path))


def _nbytes(sketches: tuple[ClassMap, float]) -> int:
    return sketches[0].nbytes


@last_read(_nbytes)
def read_sketches(
    path: Path, *, fps: float | None = None, max_frames: int | None = None, snap: bool = False
) -> tuple[ClassMap, float]:
    """Read a painted clip as class ids (T, H, W), not to be written to, and its frames a second.

    Raises InputError.
    """
    clip = read_clip(path, fps=fps, max_frames=max_frames)
    maps = [
        classify(frame, snap=snap, name=f"{path}, frame {index}", largest=_LARGEST_CLIP)
        for index, frame in enumerate(clip.frames)
    ]
    stacked = np.stack(maps)
    stacked.flags.writeable = False
    return stacked, clip.fps


def colorize(classes: ClassMap) -> _Array:
    """Class ids (…, H, W) as colours uint8 (…, H, W, 3)."""
    return _COLOURS[classes]


def classify(
    pixels: _Array,
    alpha: _Array | None = None,
    *,
    snap: bool = False,
    name: str = "picture",
    largest: int = _LARGEST,
) -> ClassMap:
    """Painted pixels uint8 (H, W, 3), with alpha (H, W), as class ids (H, W).

    `name` is what the message calls the picture; where colours are mixed, it is looked at with sides
    of at most `largest` pixels. Raises InputError for unknown colours.
    """
    if alpha is not None:
        pixels = np.where((alpha < 128)[..., None], _COLOURS[CLASS_ID["other"]], pixels)
    _refuse_class_numbers(pixels, name)
    exact = _exact_classes(pixels)
    if not (exact == _NONE).any():
        return exact
    stride = -(-max(exact.shape) // largest)
    small = pixels[::stride, ::stride]
    is_lossy = (exact == _NONE).mean() > 0.5
    classes, is_unknown = _classify(small, snap=snap, is_lossy=bool(is_lossy))
    least_share = _LEAST_SHARE_LOSSY if is_lossy else _LEAST_SHARE
    if is_unknown.sum() >= max(_FEWEST, least_share * is_unknown.size):
        _refuse_unknown(small, is_unknown, stride, name)
    classes = classes.repeat(stride, axis=0).repeat(stride, axis=1)
    return classes[: exact.shape[0], : exact.shape[1]]


def lab(colours: _Array) -> _Array:
    """sRGB uint8 (…, 3) as CIE Lab (…, 3), white D65; the Euclidean distance is that of 1976."""
    share = np.asarray(colours) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    xyz = linear @ _XYZ_OF_RGB.T / _XYZ_OF_RGB.sum(axis=1)
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def _exact_classes(pixels: _Array) -> ClassMap:
    """Class ids (H, W) where a pixel has exactly the colour of a class, _NONE elsewhere."""
    packed, known = _pack(pixels), _pack(_COLOURS)
    order = known.argsort()
    place = np.searchsorted(known, packed, sorter=order).clip(max=len(known) - 1)
    classes = order[place].astype(np.uint8)
    return np.where(known[classes] == packed, classes, np.uint8(_NONE))


def _classify(pixels: _Array, *, snap: bool, is_lossy: bool) -> tuple[ClassMap, _Array]:
    """Class ids (H, W), and which pixels (H, W) are of no class and explained by no edge."""
    classes, is_near = _nearest_classes(pixels)
    is_exact = (pixels == _COLOURS[classes]).all(axis=-1)
    is_unknown = np.zeros(classes.shape, bool)
    is_flat = (_patch(pixels, np.maximum) - _patch(pixels, np.minimum) <= _FLAT).all(axis=-1)
    is_flat &= _patch(classes, np.maximum) == _patch(classes, np.minimum)
    is_source = is_flat & is_near

    search = _Search(pixels, classes, is_source)
    at = search.places
    near, own = is_near[at], classes[at]
    search.look(is_source, _REACH)
    # Codecs smear over edges: a flat patch of no class is an area only if it is unlike what it joins.
    is_odd = is_flat[at] & ~near & (search.distance > _BLED)
    is_unknown[at] = is_odd | (~near & (search.found < 0))
    if snap:
        search.look(_only(is_source, at, is_odd), _REACH)
    is_detail = near & (is_exact[at] | ~search.is_mixture())
    if is_lossy:
        is_detail &= _crowd(classes, _only(is_source, at, is_detail))[at] >= _FEWEST_LOSSY
    keep = is_detail | (is_odd & snap)
    search.look(_only(is_source, at, is_detail), (1, 2))  # a detail has a soft edge of its own
    classes[at] = np.where(keep | (search.found < 0), own, search.found)
    return classes, is_unknown & (not snap)


def _only(like: _Array, at: tuple[_Array, ...], chosen: _Array) -> _Array:
    """A mask that is True at the chosen ones of some places."""
    mask = np.zeros(like.shape, bool)
    mask[at] = chosen
    return mask


class _Search:
    """For every pixel that is not solid: which solid pixels it sees around it.

    `places` indexes the n pixels. `found` (n) is the class of the neighbour whose colour it resembles
    most, or -1; `distance` (n) the largest difference of a channel to that colour.
    """

    def __init__(self, pixels: _Array, classes: ClassMap, is_solid: _Array) -> None:
        self.places = np.nonzero(~is_solid)
        count = len(self.places[0])
        self.found = np.full(count, -1, np.int16)
        self.distance = np.full(count, 256, np.int16)
        self._colours = pixels.astype(np.int16)
        self._classes = classes.copy()
        self._own = self._colours[self.places]
        self._low, self._high = np.full_like(self._own, 256), np.full_like(self._own, -1)
        self._classes_seen = np.zeros(count, np.int64)  # one bit a class

    def look(self, is_source: _Array, reach: tuple[int, ...]) -> None:
        """Compare with every source (H, W) within reach, and remember what was seen."""
        for who, there in self._neighbours(is_source, reach):
            colour, number = self._colours[there], self._classes[there]
            self._low[who] = np.minimum(self._low[who], colour)
            self._high[who] = np.maximum(self._high[who], colour)
            self._classes_seen[who] |= 1 << number.astype(np.int64)
            distance = np.abs(self._own[who] - colour).max(axis=-1)
            is_better = distance < self.distance[who]
            better = who[is_better]
            self.distance[better] = distance[is_better]
            self.found[better] = number[is_better]

    def is_mixture(self) -> _Array:
        """Whether (n) several classes were seen, and each channel lies between the least and the
        largest of theirs: so does every mixture of them, in any gamma."""
        is_inside = (self._own >= self._low - _NOISE) & (self._own <= self._high + _NOISE)
        several = (self._classes_seen & (self._classes_seen - 1)) != 0
        return is_inside.all(axis=-1) & several

    def _neighbours(
        self, is_source: _Array, reach: tuple[int, ...]
    ) -> Iterator[tuple[_Array, tuple[_Array, _Array]]]:
        """Pairs: numbers of pixels, and the sources (y, x) that they see in one direction."""
        ys, xs = self.places
        height, width = is_source.shape
        for step in reach:
            for dy, dx in _DIRECTIONS:
                y, x = ys + step * dy, xs + step * dx
                who = np.flatnonzero((y >= 0) & (y < height) & (x >= 0) & (x < width))
                who = who[is_source[y[who], x[who]]]
                yield who, (y[who], x[who])


def _nearest_classes(pixels: _Array) -> tuple[ClassMap, _Array]:
    """The class (H, W) whose colour is nearest in CIE Lab, and whether (H, W) it is `NEAR`."""
    present, where = np.unique(_pack(pixels), return_inverse=True)
    classes, is_near = np.empty(len(present), np.uint8), np.empty(len(present), bool)
    targets = lab(_COLOURS)
    for first in range(0, len(present), 1 << 14):
        some = slice(first, first + (1 << 14))
        colours = np.stack([present[some] >> shift & 255 for shift in (16, 8, 0)], axis=-1)
        apart = np.linalg.norm(lab(colours)[:, None] - targets, axis=-1)
        classes[some], is_near[some] = apart.argmin(axis=1), apart.min(axis=1) <= NEAR
    where = where.reshape(pixels.shape[:2])
    return classes[where], is_near[where]


def _pack(colours: _Array) -> _Array:
    """Colours (…, 3) as one number each (…)."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _crowd(classes: ClassMap, chosen: _Array) -> _Array:
    """How many chosen pixels of the same class stand in the 7 x 7 pixels around each chosen one."""
    crowd = np.zeros(classes.shape, np.int32)
    for number in np.unique(classes[chosen]):
        mask = chosen & (classes == number)
        total = np.pad(mask, ((4, 3), (4, 3))).cumsum(axis=0).cumsum(axis=1)
        around = total[7:, 7:] - total[:-7, 7:] - total[7:, :-7] + total[:-7, :-7]
        crowd[mask] = around[mask]
    return crowd


def _patch(values: _Array, pick: np.ufunc) -> _Array:
    """The least or largest value (h, W, …) of the 3 x 3 pixels around each."""
    for axis in (0, 1):
        edges = [(0, 0)] * values.ndim
        edges[axis] = (1, 1)
        wide = np.moveaxis(np.pad(values, edges, mode="edge"), axis, 0)
        values = np.moveaxis(pick(pick(wide[:-2], wide[1:-1]), wide[2:]), 0, axis)
    return values


def _refuse_class_numbers(pixels: _Array, name: str) -> None:
    """A grey picture of ids 0, 1, 2 … would read as black all over."""
    if pixels.max() < len(SKETCH_CLASSES) and np.ptp(pixels) and not np.ptp(pixels, axis=-1).any():
        raise InputError(
            f"sketch '{name}': its greys look like class numbers; paint with the colours of "
            "'nuwa palette'"
        )


def _refuse_unknown(pixels: _Array, is_unknown: _Array, stride: int, name: str) -> None:
    """Raise InputError with the unknown colours, the most frequent first."""
    colours = pixels[is_unknown].astype(np.int16)
    listed: list[str] = []
    while len(colours) and len(listed) < _MOST_LISTED:
        shades, counts = np.unique(colours, axis=0, return_counts=True)
        shade = shades[counts.argmax()]
        is_alike = np.abs(pixels - shade).max(axis=-1) <= _NOISE
        y, x = (stride * int(place) for place in divmod(is_alike.argmax(), is_alike.shape[1]))
        hex_code = "#{:02x}{:02x}{:02x}".format(*shade)
        listed.append(f"{hex_code} {100 * is_alike.mean():.2g} % at {x},{y}")
        colours = colours[np.abs(colours - shade).max(axis=-1) > _NOISE]
    more = ", …" if len(colours) else ""
    raise InputError(
        f"sketch '{name}': unknown colours {', '.join(listed)}{more}; "
        "paint with those of 'nuwa palette', or give --snap"
    )
