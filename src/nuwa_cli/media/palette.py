"""The classes of a segmentation sketch, and the colour of each.

A sketch is a segmentation map (`papers.md` §1.1): one class id per pixel. This table is the one
place that says which classes exist; the storybook world paints them, the sketch tokenizer reads them
one-hot. Ids are stable: append, never reorder (weights depend on them).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SketchClass:
    """One class of a sketch: stable id (its row), names, colour as (r, g, b)."""

    name: str
    name_zh: str
    rgb: tuple[int, int, int]


SKETCH_CLASSES: tuple[SketchClass, ...] = (
    SketchClass("sky", "天空", (135, 206, 250)),
    SketchClass("cloud", "云", (236, 240, 245)),
    SketchClass("sun", "太阳", (255, 214, 0)),
    SketchClass("moon", "月亮", (255, 244, 176)),
    SketchClass("star", "星星", (200, 170, 255)),
    SketchClass("grass", "草地", (76, 160, 60)),
    SketchClass("sand", "沙子", (230, 200, 140)),
    SketchClass("snow", "雪", (214, 228, 255)),
    SketchClass("water", "水", (20, 100, 200)),
    SketchClass("soil", "泥土", (140, 95, 60)),
    SketchClass("road", "道路", (110, 110, 116)),
    SketchClass("rock", "岩石", (150, 140, 130)),
    SketchClass("mountain", "山", (100, 110, 150)),
    SketchClass("building", "建筑", (178, 80, 70)),
    SketchClass("tree", "树", (16, 94, 44)),
    SketchClass("plant", "植物", (150, 205, 50)),
    SketchClass("wall", "墙", (232, 190, 180)),
    SketchClass("floor", "地板", (190, 130, 80)),
    SketchClass("furniture", "家具", (120, 66, 18)),
    SketchClass("person", "人", (255, 64, 129)),
    SketchClass("animal", "动物", (255, 128, 0)),
    SketchClass("bird", "鸟", (0, 206, 209)),
    SketchClass("sea animal", "海洋动物", (128, 0, 160)),
    SketchClass("insect", "昆虫", (190, 190, 0)),
    SketchClass("land vehicle", "车辆", (220, 20, 20)),
    SketchClass("boat", "船", (0, 0, 128)),
    SketchClass("aircraft", "飞行器", (90, 90, 255)),
    SketchClass("ball", "球", (255, 255, 255)),
    SketchClass("food", "食物", (255, 170, 190)),
    SketchClass("weather", "雨雪", (60, 60, 90)),
    SketchClass("space", "太空", (16, 12, 40)),
    SketchClass("other", "其他", (0, 0, 0)),
)

NUM_SKETCH_CLASSES = len(SKETCH_CLASSES)
CLASS_ID: dict[str, int] = {entry.name: index for index, entry in enumerate(SKETCH_CLASSES)}
