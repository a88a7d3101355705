"""The classes of a segmentation sketch, and the colour of each.

A sketch is a segmentation map (`papers.md` §1.1): one class id per pixel. This table is the one
place that says which classes exist; the storybook world paints them, the sketch tokenizer reads them
one-hot. Ids are stable: append, never reorder (weights depend on them).

Colours are for people: sky is blue and grass green, white paper is snow, and they were searched so
that the closest two are far apart in CIE Lab, for full colour vision and for the three kinds of
dichromacy. No colour lies on the straight mixture of two others, so that the soft edge between two
areas is never mistaken for a line of a third class. A test measures both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PALETTE_SCHEMA = "nuwa.palette/1"


@dataclass(frozen=True)
class SketchClass:
    """One class of a sketch: stable id (its row), names, colour as (r, g, b)."""

    name: str
    name_zh: str
    rgb: tuple[int, int, int]

    @property
    def hex(self) -> str:
        """The colour as #rrggbb."""
        return "#{:02x}{:02x}{:02x}".format(*self.rgb)


SKETCH_CLASSES: tuple[SketchClass, ...] = (
    SketchClass("sky", "天空", (120, 210, 245)),
    SketchClass("cloud", "云", (196, 208, 225)),
    SketchClass("sun", "太阳", (255, 208, 38)),
    SketchClass("moon", "月亮", (246, 239, 143)),
    SketchClass("star", "星星", (192, 169, 254)),
    SketchClass("grass", "草地", (114, 176, 95)),
    SketchClass("sand", "沙子", (205, 184, 142)),
    SketchClass("snow", "雪", (255, 255, 255)),
    SketchClass("water", "水", (32, 92, 201)),
    SketchClass("soil", "泥土", (114, 56, 0)),
    SketchClass("road", "道路", (100, 89, 91)),
    SketchClass("rock", "岩石", (143, 158, 146)),
    SketchClass("mountain", "山", (140, 113, 163)),
    SketchClass("building", "建筑", (168, 106, 98)),
    SketchClass("tree", "树", (51, 100, 55)),
    SketchClass("plant", "植物", (179, 247, 96)),
    SketchClass("wall", "墙", (242, 171, 180)),
    SketchClass("floor", "地板", (235, 142, 59)),
    SketchClass("furniture", "家具", (79, 54, 28)),
    SketchClass("person", "人", (240, 29, 163)),
    SketchClass("animal", "动物", (243, 99, 10)),
    SketchClass("bird", "鸟", (57, 250, 255)),
    SketchClass("sea animal", "海洋动物", (127, 8, 116)),
    SketchClass("insect", "昆虫", (177, 193, 0)),
    SketchClass("land vehicle", "车辆", (239, 33, 33)),
    SketchClass("boat", "船", (16, 13, 140)),
    SketchClass("aircraft", "飞行器", (108, 66, 228)),
    SketchClass("ball", "球", (201, 93, 209)),
    SketchClass("food", "食物", (255, 140, 190)),
    SketchClass("weather", "雨雪", (44, 126, 127)),
    SketchClass("space", "太空", (51, 12, 65)),
    SketchClass("other", "其他", (0, 0, 0)),
)

NUM_SKETCH_CLASSES = len(SKETCH_CLASSES)
CLASS_ID: dict[str, int] = {entry.name: index for index, entry in enumerate(SKETCH_CLASSES)}


def palette_document() -> dict[str, Any]:
    """The table as one JSON document."""
    rows = [
        {
            "id": index,
            "name": row.name,
            "name_zh": row.name_zh,
            "rgb": list(row.rgb),
            "hex": row.hex,
        }
        for index, row in enumerate(SKETCH_CLASSES)
    ]
    return {"schema": PALETTE_SCHEMA, "classes": rows}


def gimp_palette() -> str:
    """The table as a palette file of GIMP, Krita, Inkscape and Aseprite."""
    head = "GIMP Palette\nName: nuwa sketch\nColumns: 8\n#\n"
    return head + "".join(
        "{:3d} {:3d} {:3d}\t".format(*row.rgb) + f"{row.name} {row.name_zh}\n"
        for row in SKETCH_CLASSES
    )
