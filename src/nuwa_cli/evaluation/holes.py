"""Holes for the comparison of engines: every kind that people leave, as a function of (index, seed).

    subject       a box over 30-70 % of the subject's own box, from each of its four sides in turn
    box           a rectangle of 10-60 % of the picture, anywhere
    ellipse       the same, 10-50 %
    stroke        a brush stroke with bends
    half          a half plane of 35-65 %, from each of the four sides in turn
    five percent  everything but a rectangle of 5 % (the article's own example)

Kinds follow one another, so any six neighbouring indices have all of them. After all but the right and
lower half planes something is known right of or below the hole, which a raster decoder cannot see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image, ImageDraw

from nuwa_cli.compositing.shapes import bounds_of, draw_shape
from nuwa_cli.evaluation.bench import Region

HOLE_KINDS = ("subject", "box", "ellipse", "stroke", "half", "five percent")
SIDES = ("left", "top", "right", "bottom")

_SUBJECT_SHARE = (0.3, 0.7)  # of the length of the subject's box
_MARGIN = (0.02, 0.08)  # of the picture, beyond the subject
_BOX_SHARE, _ELLIPSE_SHARE = (0.1, 0.6), (0.1, 0.5)
_HALF_SHARE = (0.35, 0.65)
_KNOWN_SHARE = 0.05
_ASPECT = 2.0  # at most so much longer than wide
_BRUSH = (0.08, 0.2)  # of the picture
_BENDS = 4


@dataclass(frozen=True)
class Hole:
    """Pixels to be drawn, `mask` (H, W), and the kind of hole that they are."""

    kind: str
    mask: Region


def make_hole(index: int, seed: int, subject: Region) -> Hole:
    """The hole of a question in a picture whose subject covers `subject` (H, W), not empty."""
    random = Random(f"hole:{seed}:{index}")
    kind = HOLE_KINDS[index % len(HOLE_KINDS)]
    side = SIDES[index // len(HOLE_KINDS) % len(SIDES)]
    height, width = subject.shape
    if kind == "subject":
        mask = _over_subject(random, subject, side)
    elif kind == "half":
        mask = _half(random, height, width, side)
    elif kind == "stroke":
        mask = _stroke(random, height, width)
    elif kind == "five percent":
        mask = ~_shape(random, "box", height, width, _KNOWN_SHARE)
    else:
        share = random.uniform(*(_BOX_SHARE if kind == "box" else _ELLIPSE_SHARE))
        mask = _shape(random, kind, height, width, share)
    return Hole(kind, mask)


def _over_subject(random: Random, subject: Region, side: str) -> Region:
    """A box that hides one side of the subject's box and a little beyond on the others."""
    height, width = subject.shape
    left, top, right, bottom = bounds_of(subject)
    margin = random.uniform(*_MARGIN) * min(height, width)
    share = random.uniform(*_SUBJECT_SHARE)
    spans = {"x": (left - margin, right + margin), "y": (top - margin, bottom + margin)}
    across = "x" if side in ("left", "right") else "y"
    first, last = (left, right) if across == "x" else (top, bottom)
    length = share * (last - first)
    if side in ("left", "top"):
        spans[across] = (first - margin, first + length)
    else:
        spans[across] = (last - length, last + margin)
    mask = np.zeros_like(subject)
    rows = slice(max(0, round(spans["y"][0])), round(spans["y"][1]))
    columns = slice(max(0, round(spans["x"][0])), round(spans["x"][1]))
    mask[rows, columns] = True
    return mask


def _half(random: Random, height: int, width: int, side: str) -> Region:
    mask = np.zeros((height, width), dtype=np.bool_)
    share = random.uniform(*_HALF_SHARE)
    turned = mask if side in ("top", "bottom") else mask.T
    length = round(share * len(turned))
    turned[slice(0, length) if side in ("left", "top") else slice(len(turned) - length, None)] = (
        True
    )
    return mask


def _shape(random: Random, kind: str, height: int, width: int, share: float) -> Region:
    """A box or ellipse with this share of the picture, wholly inside it."""
    area = share if kind == "box" else share * 4 / math.pi  # of the box around it
    aspect = math.exp(random.uniform(-math.log(_ASPECT), math.log(_ASPECT)))
    across = min(1.0, max(area, math.sqrt(area * aspect)))
    down = area / across
    x, y = random.uniform(0, 1 - across), random.uniform(0, 1 - down)
    text = ",".join(f"{100 * value:.4f}%" for value in (x, y, across, down))
    return draw_shape("box" if kind == "box" else "ellipse", text, height, width)


def _stroke(random: Random, height: int, width: int) -> Region:
    """A round brush, drawn through a few points of one direction or another."""
    brush = random.uniform(*_BRUSH) * min(height, width)
    points = [
        (random.uniform(0.1, 0.9) * width, random.uniform(0.1, 0.9) * height) for _ in range(_BENDS)
    ]
    picture = Image.new("1", (width, height))
    draw = ImageDraw.Draw(picture)
    draw.line(points, fill=1, width=max(1, round(brush)))
    for x, y in points:
        draw.circle((x, y), brush / 2, fill=1)
    return np.asarray(picture, dtype=np.bool_).copy()
