"""The palette: stable ids, colours that can be told apart, and the files it is written to."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from nuwa_cli.sketches.legend import draw_legend
from nuwa_cli.sketches.maps import NEAR, lab
from nuwa_cli.sketches.palette import CLASS_ID, SKETCH_CLASSES, gimp_palette, palette_document

COLOURS = np.array([entry.rgb for entry in SKETCH_CLASSES])

# Machado, Oliveira & Fernandes 2009, severity 1: what linear sRGB becomes for dichromats.
DICHROMACY = {
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def least_distance(colours: np.ndarray) -> float:
    """CIE Lab distance of the closest two."""
    apart = np.linalg.norm(lab(colours)[:, None] - lab(colours), axis=-1)
    return float(apart[~np.eye(len(colours), dtype=bool)].min())


def as_seen(colours: np.ndarray, matrix: list[list[float]]) -> np.ndarray:
    """sRGB colours as sRGB colours that look to everyone as these look to a dichromat."""
    share = colours / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.array(matrix).T).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_ids_are_stable() -> None:
    names = (
        "sky cloud sun moon star grass sand snow water soil road rock mountain building tree plant "
        "wall floor furniture person animal bird sea_animal insect land_vehicle boat aircraft ball "
        "food weather space other"
    )
    assert [entry.name.replace(" ", "_") for entry in SKETCH_CLASSES] == names.split()
    assert len({entry.name_zh for entry in SKETCH_CLASSES}) == len(SKETCH_CLASSES)


def test_lab_of_known_colours() -> None:
    known = {(255, 255, 255): (100, 0, 0), (255, 0, 0): (53.2, 80.1, 67.2), (0, 0, 0): (0, 0, 0)}
    for rgb, expected in known.items():
        assert lab(np.array(rgb)) == pytest.approx(expected, abs=0.1)


def test_colours_are_far_apart() -> None:
    assert least_distance(COLOURS) > 19
    assert least_distance(COLOURS) > 2 * NEAR  # no colour is near two classes


@pytest.mark.parametrize(
    ("kind", "least"), [("protanopia", 10), ("deuteranopia", 10), ("tritanopia", 13)]
)
def test_colours_are_apart_for_dichromats(kind: str, least: float) -> None:
    assert least_distance(as_seen(COLOURS, DICHROMACY[kind])) > least


def test_no_colour_is_a_mixture_of_two_others() -> None:
    """Distance in RGB to the straight line between any two others."""
    for one, other in combinations(range(len(COLOURS)), 2):
        way = COLOURS[other] - COLOURS[one]
        offset = np.delete(COLOURS, (one, other), axis=0) - COLOURS[one]
        share = (offset @ way / (way @ way)).clip(0, 1)
        least = np.linalg.norm(offset - share[:, None] * way, axis=1).min()
        assert least > 8, (SKETCH_CLASSES[one].name, SKETCH_CLASSES[other].name)


def test_colours_mean_what_they_show() -> None:
    light, red_green, yellow_blue = (
        dict(zip(CLASS_ID, row, strict=True)) for row in lab(COLOURS).T
    )
    assert all(yellow_blue[name] < -15 for name in ("sky", "water", "boat", "aircraft"))
    assert all(
        red_green[name] < -15 < 15 < yellow_blue[name] for name in ("grass", "tree", "plant")
    )
    assert all(yellow_blue[name] > 15 for name in ("sun", "moon", "sand", "soil", "floor"))
    assert red_green["land vehicle"] > 60
    assert abs(red_green["road"]) < 8
    assert light["tree"] < light["grass"] < light["plant"]
    assert light["space"] < 15
    assert SKETCH_CLASSES[CLASS_ID["snow"]].rgb == (255, 255, 255)  # blank paper


def test_gimp_palette() -> None:
    head, rest = gimp_palette().split("#\n")
    assert head.splitlines() == ["GIMP Palette", "Name: nuwa sketch", "Columns: 8"]
    rows = [line.split("\t") for line in rest.splitlines()]
    assert [tuple(map(int, colour.split())) for colour, _ in rows] == [
        entry.rgb for entry in SKETCH_CLASSES
    ]
    assert rows[0][1] == "sky 天空"


def test_document() -> None:
    document = palette_document()
    assert document["schema"] == "nuwa.palette/1"
    assert [row["id"] for row in document["classes"]] == list(range(len(SKETCH_CLASSES)))
    for row in document["classes"]:
        assert row["hex"] == "#" + bytes(row["rgb"]).hex()


def test_legend_shows_every_colour_and_both_names() -> None:
    legend = draw_legend()
    for entry in SKETCH_CLASSES:
        ys, xs = np.nonzero((legend == entry.rgb).all(axis=-1))
        assert len(ys) > 8000, entry.name  # one large flat patch
        patch = legend[ys.min() + 12 : ys.min() + 70, xs.min() + 12 : xs.min() + 110]
        if entry.name not in ("snow", "other"):  # text and corners may show those two
            assert (patch == entry.rgb).all(), entry.name
            beneath = legend[ys.max() + 26 : ys.max() + 50, xs.min() : xs.min() + 60]
            assert (beneath.sum(axis=-1) < 200).sum() > 15, entry.name_zh
