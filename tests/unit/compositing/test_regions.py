"""Regions: texts, masks and transparency to pixels, and every mistake said before it costs time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nuwa_cli.compositing.regions import RegionSpec, build_mask, build_masks, preview
from nuwa_cli.errors import InputError, NuwaError, UsageError
from nuwa_cli.media.video import write_video

Array = np.ndarray[Any, Any]


def box_of(region: Array) -> tuple[int, int, int, int]:
    """x, y, width, height of what is True, which must be a full box."""
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    size = int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1
    assert region.sum() == size[0] * size[1]
    return int(columns[0]), int(rows[0]), *size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10,20,30,15", (10, 20, 30, 15)),
        ("0,0,100%,100%", (0, 0, 100, 60)),
        ("25%,50%,50%,25%", (25, 30, 50, 15)),
        (" 10 , 20 ,30, 15 ", (10, 20, 30, 15)),
        ("-5,-5,10,10", (0, 0, 5, 5)),
        ("90,50,1000,1000", (90, 50, 10, 10)),
        ("10.5,0,1,1", (10, 0, 2, 1)),
        ("7%,0,28%,55%", (7, 0, 28, 33)),
        ("99.99%,0,1,1", (99, 0, 1, 1)),
    ],
)
def test_boxes(text: str, expected: tuple[int, int, int, int]) -> None:
    assert box_of(build_mask(RegionSpec(boxes=(text,)), 60, 100)) == expected


def test_an_ellipse_fills_its_box() -> None:
    region = build_mask(RegionSpec(ellipses=("10,20,40,30",)), 100, 100)
    assert region.sum() == pytest.approx(np.pi * 20 * 15, rel=0.01)
    assert region[35, 10] and region[35, 49] and region[20, 30] and region[49, 30]
    assert not region[20, 10] and not region[35, 9] and not region[35, 50]
    part = region[20:50, 10:50]
    assert part.sum() == region.sum()
    assert (part == part[::-1]).all() and (part == part[:, ::-1]).all()
    assert build_mask(RegionSpec(ellipses=("3,4,0.1,0.1",)), 9, 9).sum() == 1


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("10,10 50,10 50,30 10,30", 40 * 20),
        ("0,0 100%,0 0,100%", 100 * 60 / 2),
        ("0 , 0  100%,0  0,  100%", 100 * 60 / 2),
        ("-1000,-1000 1000,-1000 1000,1000 -1000,1000", 100 * 60),
        ("0,0 40,40 40,0 0,40", 40 * 40 / 2),  # an hourglass
        ("10,10 50,10 50,30 10,30 10,10 50,10 50,30 10,30 20,20", 50),  # twice over is nothing
    ],
)
def test_polygons(text: str, area: float) -> None:
    region = build_mask(RegionSpec(polygons=(text,)), 60, 100)
    assert region.sum() == pytest.approx(area, abs=60 if area > 60 else 100)


def test_a_polygon_with_corners_on_pixels_is_the_box() -> None:
    spec = RegionSpec(polygons=("10,10 50,10 50,30 10,30",))
    assert box_of(build_mask(spec, 60, 100)) == (10, 10, 40, 20)
    spec = RegionSpec(polygons=("10.4,9.6 50.4,9.6 50.4,29.6 10.4,29.6",))  # by pixel centres
    assert box_of(build_mask(spec, 60, 100)) == (10, 10, 40, 20)


def test_all_that_is_given_is_united_then_inverted() -> None:
    spec = RegionSpec(boxes=("0,0,10,10", "20,0,5,5"), ellipses=("40,0,20,20",), invert=True)
    parts = [
        build_mask(RegionSpec(boxes=spec.boxes), 60, 100),
        build_mask(RegionSpec(ellipses=spec.ellipses), 60, 100),
    ]
    assert (build_mask(spec, 60, 100) == ~(parts[0] | parts[1])).all()


def test_only_a_named_region_counts() -> None:
    assert RegionSpec().is_empty
    assert RegionSpec(invert=True, feather=3).is_empty
    assert not RegionSpec(use_alpha=True).is_empty
    assert not RegionSpec(mask=Path("m.png")).is_empty


BAD_BOXES = ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "1,2,3,4px", "1;2;3;4"]
BAD_BOXES += ["nan,0,1,1", "1e9,0,1,1", "inf,0,1,1", "1,2,3%%,4", "٣,1,2,3", "9" * 99 + ",0,1,1"]
BAD_POLYGONS = ["", "1,1", "1,1 2,2", "1,1 2,2 3", "1,1 2,2 3,3,3", "a,b c,d e,f"]


@pytest.mark.parametrize("text", BAD_BOXES)
@pytest.mark.parametrize("kind", ["boxes", "ellipses"])
def test_texts_that_are_no_boxes(kind: str, text: str) -> None:
    spec = RegionSpec(**{kind: (text,)})
    with pytest.raises(UsageError, match=r"is not x,y,width,height; give .* as in") as caught:
        spec.check()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", BAD_POLYGONS)
def test_texts_that_are_no_polygons(text: str) -> None:
    with pytest.raises(UsageError, match="three or more points"):
        RegionSpec(polygons=(text,)).check()


@pytest.mark.parametrize("feather", [-1, float("nan"), float("inf"), 1e9])
def test_feathers_that_are_no_length(feather: float) -> None:
    with pytest.raises(UsageError, match="feather"):
        RegionSpec(boxes=("0,0,1,1",), feather=feather).check()


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="0123456789,.-+% e\n", max_size=24), st.integers(1, 9), st.integers(1, 9))
def test_any_text_is_a_region_or_a_usage_error(text: str, height: int, width: int) -> None:
    for spec in (RegionSpec(boxes=(text,)), RegionSpec(polygons=(text,), ellipses=("0,0,1,1",))):
        try:
            spec.check()
            region = build_mask(spec, height, width)
        except UsageError:
            continue
        assert region.shape == (height, width) and region.any()


@pytest.mark.parametrize(
    "spec",
    [
        RegionSpec(boxes=("100,0,5,5",)),
        RegionSpec(boxes=("0,0,5,5", "0,60,5,5")),
        RegionSpec(ellipses=("-50,0,40,40",)),
        RegionSpec(polygons=("0,-1 50,-1 25,-9",)),
        RegionSpec(polygons=("0,0 10,10 20,20",)),
    ],
)
def test_a_shape_outside_is_refused_with_both_sizes(spec: RegionSpec) -> None:
    with pytest.raises(UsageError, match="100x60"):
        build_mask(spec, 60, 100)


def test_a_region_of_nothing_is_refused(tmp_path: Path) -> None:
    Image.new("L", (100, 60)).save(tmp_path / "black.png")
    with pytest.raises(UsageError, match="covers no pixel"):
        build_mask(RegionSpec(mask=tmp_path / "black.png"), 60, 100)
    with pytest.raises(UsageError, match="inverted nothing"):
        build_mask(RegionSpec(boxes=("0,0,100%,100%",), invert=True), 60, 100)


def disc() -> Array:
    y, x = np.mgrid[:60, :100]
    return (y - 30) ** 2 + (x - 40) ** 2 < 400


@pytest.mark.parametrize("kind", ["1", "L", "RGB", "P", "I;16", "LA", "white", "black", "jpg"])
def test_masks_of_every_kind(tmp_path: Path, kind: str) -> None:
    grey = np.where(disc(), 200, 40).astype(np.uint8)
    painted = np.where(disc(), 255, 0).astype(np.uint8)
    path = tmp_path / ("m.jpg" if kind == "jpg" else "m.png")
    if kind == "I;16":
        picture = Image.fromarray(grey.astype(np.uint16) * 257)
    elif kind == "LA":  # transparent white is not painted
        picture = Image.fromarray(np.stack([np.full_like(grey, 255), painted], axis=-1))
    elif kind in ("white", "black"):  # painted in one colour on nothing
        colour = np.full((60, 100, 3), 255 if kind == "white" else 0, dtype=np.uint8)
        picture = Image.fromarray(np.concatenate([colour, painted[..., None]], axis=-1))
    else:
        picture = Image.fromarray(grey).convert(
            "L" if kind == "jpg" else kind, dither=Image.Dither.NONE
        )
    picture.save(path)
    region = build_mask(RegionSpec(mask=path), 60, 100)
    assert (region != disc()).sum() <= (20 if kind == "jpg" else 0)


def test_a_mask_of_another_size_is_refused_with_both(tmp_path: Path) -> None:
    Image.new("L", (99, 60), 255).save(tmp_path / "m.png")
    with pytest.raises(UsageError, match=r"99x60.*100x60"):
        build_mask(RegionSpec(mask=tmp_path / "m.png"), 60, 100)
    with pytest.raises(UsageError, match=r"99x60.*100x60"):
        build_masks(RegionSpec(mask=tmp_path / "m.png"), 60, 100, 3)
    with pytest.raises(InputError, match="no such"):
        build_mask(RegionSpec(mask=tmp_path / "none.png"), 60, 100)


def test_transparency_is_a_region() -> None:
    alpha = np.where(disc(), 10, 250).astype(np.uint8)
    assert (build_mask(RegionSpec(use_alpha=True), 60, 100, alpha) == disc()).all()
    with pytest.raises(UsageError, match="--alpha"):
        build_mask(RegionSpec(use_alpha=True), 60, 100)
    with pytest.raises(UsageError, match="--alpha"):
        build_masks(RegionSpec(use_alpha=True, mask=Path("none.mp4")), 60, 100, 2)


@pytest.mark.parametrize("name", ["m.mp4", "m.gif", "m/%03d.png"])
def test_a_mask_may_move(tmp_path: Path, name: str) -> None:
    frames = np.zeros((4, 32, 48, 3), dtype=np.uint8)
    for index in range(4):
        frames[index, 8:24, 8 * index : 8 * index + 16] = 255
    write_video(tmp_path / name, frames, 6)
    white = frames[..., 0] > 0
    spec = RegionSpec(mask=tmp_path / name)
    assert (build_masks(spec, 32, 48, 4, fps=6) == white).mean() > 0.99
    assert (build_masks(spec, 32, 48, 2, fps=6) == white[:2]).mean() > 0.99
    longer = build_masks(spec, 32, 48, 6, fps=6)
    assert longer.shape == (6, 32, 48) and (longer[5] == longer[3]).all()
    inverted = RegionSpec(boxes=("0,0,4,4",), mask=tmp_path / name, invert=True)
    assert not build_masks(inverted, 32, 48, 4)[:, :4, :4].any()
    with pytest.raises(UsageError, match="48x32"):
        build_masks(spec, 32, 49, 4)


def test_a_still_region_holds_in_every_frame() -> None:
    region = build_masks(RegionSpec(boxes=("1,2,3,4",)), 20, 30, 5)
    assert region.shape == (5, 20, 30)
    assert all(box_of(frame) == (1, 2, 3, 4) for frame in region)


@pytest.mark.parametrize("size", [(1, 1), (2, 900), (60, 100), (700, 600)])
def test_the_preview_marks_the_region_and_nothing_else(size: tuple[int, int]) -> None:
    height, width = size
    pixels = np.full((height, width, 3), (60, 160, 90), dtype=np.uint8)
    region = np.zeros(size, dtype=bool)
    region[height // 3 : 1 + 2 * height // 3, width // 3 : 1 + width // 2] = True
    shown = preview(pixels, region)
    assert (shown.dtype, shown.shape) == (np.uint8, pixels.shape)
    changed = (shown != pixels).any(axis=-1)
    assert changed[region].all()
    rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
    around = np.zeros(size, dtype=bool)
    around[max(rows[0] - 4, 0) : rows[-1] + 5, max(columns[0] - 4, 0) : columns[-1] + 5] = True
    assert not (changed & ~around).any()
    assert (pixels == (60, 160, 90)).all()
    if min(size) > 50:
        middle = shown[height // 2, width // 3 + 5 : width // 2 - 5].astype(int)
        assert (middle[:, 0] > 100).all() and len(np.unique(middle, axis=0)) == 2


def test_errors_have_one_line_and_a_way_out(tmp_path: Path) -> None:
    for spec in (RegionSpec(boxes=("x",)), RegionSpec(mask=tmp_path), RegionSpec(use_alpha=True)):
        with pytest.raises(NuwaError) as caught:
            build_mask(spec, 5, 5)
        assert "\n" not in str(caught.value)
        assert ";" in str(caught.value)
