"""Random holes and crops for training completion (NÜWA-LIP's masks, NUWA-Infinity's windows).

A hole may be a rectangle, an ellipse, strokes of a brush, all beyond a straight line (one of four
sides), one or three quarters (the windows that an extension meets), or everything but a twentieth. A crop
shows a part of a scene enlarged: an extended picture is more than one scene high and wide, so its windows
are parts of scenes, all sky or all grass. Other holes lie over a subject (`cover_subjects`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.compositing.shapes import bounds_of

_KINDS = {  # share of each kind
    "rectangle": 0.2,
    "ellipse": 0.1,
    "strokes": 0.1,
    "beyond_line": 0.26,
    "one_quarter": 0.08,
    "three_quarters": 0.08,
    "all_but_little": 0.18,
}
_GRID_SHARE = 0.7  # of lines and quarters: how many lie on cell borders, as the windows do
_AFTER = 0.4  # of the holes beyond a line: how many lie after it in raster order, the easy half
_LITTLE = (0.04, 0.1)  # share that is known where little is
_SMALLEST = 0.36  # side of the smallest crop: windows of a picture that grew to nearly three scenes


def draw_holes(count: int, size: int, cell: int, generator: torch.Generator) -> Tensor:
    """Holes bool (count, size, size), none empty and none everything; `cell` is a cell in pixels."""
    weights = torch.tensor(list(_KINDS.values()))
    kinds = torch.multinomial(weights, count, replacement=True, generator=generator).tolist()
    names = list(_KINDS)
    step = cell / size
    return torch.stack([_hole(names[kind], size, step, generator) for kind in kinds])


def cover_subjects(
    holes: Tensor, subjects: Tensor, share: float, generator: torch.Generator
) -> Tensor:
    """Holes bool (n, S, S), `share` of them replaced by boxes over a part of the subject bool (n, S, S),
    where there is one: what a subject is like must be told from the text and from what is left of it."""
    numbers = torch.rand(len(holes), 5, generator=generator)
    size, covered = holes.shape[-1], holes.clone()
    for index, (chance, *place) in enumerate(numbers.tolist()):
        if chance >= share or not subjects[index].any():
            continue
        left, top, right, bottom = bounds_of(subjects[index].numpy())
        covered[index] = False
        y = _stretch(top, bottom, place[0], place[1], size)
        covered[index, y, _stretch(left, right, place[2], place[3], size)] = True
    return covered


def _stretch(start: int, stop: int, moved: float, scale: float, size: int) -> slice:
    """A stretch of 0.5 to 1.4 times the length of another, which it meets."""
    length = (stop - start) * (0.5 + 0.9 * scale)
    middle = (start + stop) / 2 + (moved - 0.5) * 0.7 * (stop - start)
    first = min(max(round(middle - length / 2), 0), size - 1)
    return slice(first, max(min(round(middle + length / 2), size), first + 1))


def _hole(kind: str, size: int, step: float, generator: torch.Generator) -> Tensor:
    a, b, c, d, e, f = torch.rand(6, generator=generator).tolist()
    middle = (torch.arange(size) + 0.5) / size
    x, y = middle[None, :], middle[:, None]
    if kind == "strokes":
        hole = _strokes(x, y, generator)
    elif kind in ("beyond_line", "one_quarter", "three_quarters"):
        on_grid = e < _GRID_SHARE
        column, row = (_line(share, step, on_grid) for share in (a, b))
        beyond_x = x > column if c < _AFTER else x < column
        beyond_y = y > row if d < _AFTER else y < row
        if kind == "one_quarter":
            hole = beyond_x & beyond_y
        elif kind == "three_quarters":
            hole = beyond_x | beyond_y
        else:
            hole = (beyond_x if f < 0.5 else beyond_y).expand(size, size)
    else:
        low, high = _LITTLE if kind == "all_but_little" else (0.08, 0.6)
        area, stretch = low + (high - low) * a, 2 ** (2 * b - 1)
        width, height = min((area * stretch) ** 0.5, 0.95), min((area / stretch) ** 0.5, 0.95)
        center_x = width / 2 + (1 - width) * c
        center_y = height / 2 + (1 - height) * d
        u, v = (x - center_x) / (width / 2), (y - center_y) / (height / 2)
        hole = (u**2 + v**2 < 1) if kind == "ellipse" else ((u.abs() < 1) & (v.abs() < 1))
        if kind == "all_but_little":
            hole = ~hole
    if not hole.any() or hole.all():  # too thin for this size
        hole = ((x > 0.5) & (y > 0)).expand(size, size)
    return hole.clone()


def _line(share: float, step: float, on_grid: bool) -> float:
    place = 0.25 + 0.5 * share
    return round(place / step) * step if on_grid else place


def _strokes(x: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """One to three broken lines of a thick brush."""
    hole = torch.zeros(len(y), x.shape[1], dtype=torch.bool)
    for _ in range(int(torch.randint(1, 4, (1,), generator=generator))):
        points = torch.rand(3, 2, generator=generator)
        radius = 0.03 + 0.07 * float(torch.rand(1, generator=generator))
        for (x0, y0), (x1, y1) in zip(points[:-1].tolist(), points[1:].tolist(), strict=True):
            along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / (
                (x1 - x0) ** 2 + (y1 - y0) ** 2 + 1e-6
            )
            along = along.clamp(0, 1)
            away = (x - x0 - along * (x1 - x0)) ** 2 + (y - y0 - along * (y1 - y0)) ** 2
            hole |= away < radius**2
    return hole


def draw_crops(shares: Tensor, generator: torch.Generator) -> Tensor:
    """Crops (n, 3): left and top as shares of the picture, and side; `shares` (n,) tell how likely each
    is smaller than the whole."""
    numbers = torch.rand(len(shares), 4, generator=generator)
    smaller = 1 - (1 - _SMALLEST) * numbers[:, 1]
    side = torch.where(numbers[:, 0] < shares, smaller, torch.ones(len(shares)))
    place = numbers[:, 2:] * (1 - side)[:, None]
    return torch.cat((place, side[:, None]), dim=1)


def crop(arrays: Tensor, crops: Tensor, *, smooth: bool) -> Tensor:
    """uint8 (b, …, H, W) cut to its crop (b, 3) and enlarged to the same size; labels are not mixed
    (`smooth` off)."""
    result = arrays.clone()
    for index, (left, top, side) in enumerate(crops.tolist()):
        if side < 1:
            result[index] = _cut(arrays[index], left, top, side, smooth)
    return result


def _cut(array: Tensor, left: float, top: float, side: float, smooth: bool) -> Tensor:
    size = array.shape[-1]
    flat = array.view(1, -1, size, size).float()
    x0, y0, length = round(left * size), round(top * size), max(round(side * size), 1)
    part = flat[..., y0 : y0 + length, x0 : x0 + length]
    if smooth:
        part = F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False)
    else:
        part = F.interpolate(part, size=(size, size), mode="nearest-exact")
    cut: Tensor = part.round().to(array.dtype).view(array.shape)
    return cut
