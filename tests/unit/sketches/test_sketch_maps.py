"""Painted sketches become class maps: exactly where they are exact, by vote where they are not."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from nuwa_cli.errors import InputError
from nuwa_cli.media.video import write_video
from nuwa_cli.sketches.maps import classify, colorize, read_sketch, read_sketches
from nuwa_cli.sketches.palette import CLASS_ID, NUM_SKETCH_CLASSES, SKETCH_CLASSES

SKY, GRASS, SUN, ROCK, TREE, BUS = (
    CLASS_ID[name] for name in ("sky", "grass", "sun", "rock", "tree", "land vehicle")
)


def disc(inner: int, outer: int, size: int = 48, zoom: int = 1) -> np.ndarray:
    """A disc of one class in another, `zoom` times as large."""
    y, x = (np.mgrid[: size * zoom, : size * zoom] + 0.5) / zoom - size / 2
    return np.where(np.hypot(y, x) < size / 3, inner, outer).astype(np.uint8)


def painted(inner: int, outer: int, *, linear: bool = False, size: int = 48) -> np.ndarray:
    """The same disc with a smooth edge, mixed as a paint program does, in light or in numbers."""
    share = colorize(disc(inner, outer, size, 4)) / 255
    share = share**2.2 if linear else share
    share = share.reshape(size, 4, size, 4, 3).mean(axis=(1, 3))
    return (255 * (share ** (1 / 2.2) if linear else share)).round().astype(np.uint8)


def pairs(count: int) -> list[tuple[int, int]]:
    """Some pairs of classes, always the same."""
    random = np.random.default_rng(0)
    return [
        tuple(random.choice(NUM_SKETCH_CLASSES, 2, replace=False).tolist()) for _ in range(count)
    ]


@given(arrays(np.uint8, (9, 7), elements=st.integers(0, NUM_SKETCH_CLASSES - 1)))
@settings(max_examples=60, deadline=None)
def test_exact_colours_are_read_exactly(classes: np.ndarray) -> None:
    assert (classify(colorize(classes)) == classes).all()


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "webp", "gif"])
def test_lossless_files_are_read_exactly(tmp_path: Path, suffix: str) -> None:
    classes = np.arange(NUM_SKETCH_CLASSES, dtype=np.uint8).repeat(6).reshape(8, -1).repeat(3, 0)
    path = tmp_path / f"a.{suffix}"
    picture = Image.fromarray(colorize(classes))
    if suffix == "gif":
        picture.quantize(64, dither=Image.Dither.NONE).save(path)
    else:
        picture.save(path, **({"lossless": True} if suffix == "webp" else {}))
    assert (read_sketch(path) == classes).all()


@pytest.mark.parametrize("linear", [False, True])
def test_soft_edges_make_no_third_class(linear: bool) -> None:
    for inner, outer in pairs(60):
        classes = classify(painted(inner, outer, linear=linear))
        assert set(np.unique(classes)) == {inner, outer}, (inner, outer)
        assert (classes == disc(inner, outer)).mean() > 0.97, (inner, outer)


@pytest.mark.parametrize(("quality", "accuracy"), [(90, 0.96), (75, 0.95), (50, 0.9)])
def test_jpeg_noise_makes_no_third_class(quality: int, accuracy: float) -> None:
    for inner, outer in pairs(25):
        file = io.BytesIO()
        Image.fromarray(painted(inner, outer, size=64)).save(file, "JPEG", quality=quality)
        with Image.open(file) as picture:
            classes = classify(np.asarray(picture), snap=quality < 75)
        assert set(np.unique(classes)) == {inner, outer}, (inner, outer)
        assert (classes == disc(inner, outer, 64)).mean() > accuracy, (inner, outer)


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_clips(tmp_path: Path, suffix: str) -> None:
    classes = np.full((5, 64, 64), SKY, np.uint8)
    classes[:, 40:] = GRASS
    for index, frame in enumerate(classes):
        frame[30:48, 4 + 8 * index : 30 + 8 * index] = BUS
    path = tmp_path / f"a{suffix}"
    write_video(path, colorize(classes), 5)
    read, fps = read_sketches(path)
    assert read.shape == classes.shape
    assert fps == pytest.approx(5, rel=0.01)
    assert set(np.unique(read)) == {SKY, GRASS, BUS}
    assert (read == classes).mean() > 0.97
    assert len(read_sketches(path, max_frames=2)[0]) == 2


def test_fine_details_stay() -> None:
    """A line of one pixel and single stars, beside edges that are smooth."""
    pixels = painted(GRASS, SKY)
    pixels[3], pixels[40:43:2, 5:40:7] = colorize(np.uint8(BUS)), colorize(np.uint8(SUN))
    classes = classify(pixels)
    assert (classes[3] == BUS).all()
    assert (classes == SUN).sum() == 10
    assert set(np.unique(classes)) == {GRASS, SKY, SUN, BUS}


def test_an_exact_dot_stays_even_where_a_mixture_could_explain_it() -> None:
    pixels = painted(BUS, SKY)
    pixels[24, 44] = colorize(np.uint8(CLASS_ID["mountain"]))
    classes = classify(pixels)
    assert classes[24, 44] == CLASS_ID["mountain"]
    assert (classes == CLASS_ID["mountain"]).sum() == 1


def test_colours_picked_by_eye_snap_when_close() -> None:
    off = colorize(disc(TREE, SKY)).astype(int) + np.array((4, -5, 3))
    assert (classify(off.astype(np.uint8)) == disc(TREE, SKY)).all()


def test_unknown_colours_are_listed_with_places() -> None:
    pixels = painted(TREE, SKY, size=64)
    pixels[2:8, 50:60] = (0, 255, 0)
    pixels[50:60, 2:22] = (255, 0, 255)
    with pytest.raises(InputError) as caught:
        classify(pixels, name="a.png")
    assert str(caught.value) == (
        "sketch 'a.png': unknown colours #ff00ff 4.9 % at 2,50, #00ff00 1.5 % at 50,2; "
        "paint with those of 'nuwa palette', or give --snap"
    )
    classes = classify(pixels, snap=True)
    assert set(np.unique(classes[50:60, 2:22])) == {CLASS_ID["ball"]}
    assert set(np.unique(classes)) == {SKY, TREE, CLASS_ID["plant"], CLASS_ID["ball"]}


def test_many_unknown_colours_fit_one_line() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(InputError) as caught:
        classify(noise, name="a photograph.jpg")
    assert str(caught.value).count(" at ") == 5
    assert len(str(caught.value)) < 240
    assert classify(noise, snap=True).max() < NUM_SKETCH_CLASSES


def test_places_in_large_pictures_are_those_of_the_file() -> None:
    pixels = colorize(np.full((40, 2400), SKY, np.uint8))
    pixels[6:36, 1500:1560] = (0, 255, 0)
    with pytest.raises(InputError, match="at 1500,6"):
        classify(pixels)
    classes = classify(pixels, snap=True)
    assert classes.shape == (40, 2400)
    assert (classes[6:36, 1500:1560] == CLASS_ID["plant"]).all()


def test_transparent_pixels_are_other(tmp_path: Path) -> None:
    layer = np.dstack([painted(TREE, TREE), np.full((48, 48), 255, np.uint8)])
    layer[:, :20, 3] = 0
    layer[:, 20, 3] = 140  # a soft edge of the layer keeps its own colour
    layer[:, :20, :3] = 77
    Image.fromarray(layer).save(tmp_path / "a.png")
    classes = read_sketch(tmp_path / "a.png")
    assert (classes[:, :20] == CLASS_ID["other"]).all()
    assert (classes[:, 20:] == TREE).all()


def test_pictures_of_class_numbers_are_refused(tmp_path: Path) -> None:
    Image.fromarray(disc(ROCK, TREE)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match="class numbers"):
        read_sketch(tmp_path / "a.png")


def test_refusals_name_the_frame(tmp_path: Path) -> None:
    frames = colorize(np.full((3, 32, 32), SKY, np.uint8))
    frames[1, 25:] = colorize(np.uint8(GRASS))
    frames[2, 5:20, 6:20] = (0, 255, 0)
    write_video(tmp_path / "a.apng", frames, 5)
    with pytest.raises(InputError, match=r"a\.apng, frame 2': unknown colours #00ff00 .* at 6,5"):
        read_sketches(tmp_path / "a.apng")
    assert read_sketches(tmp_path / "a.apng", snap=True)[0].shape == (3, 32, 32)


def test_colorize_keeps_leading_axes() -> None:
    classes = np.zeros((2, 3, 4, 5), np.uint8)
    assert colorize(classes).shape == (2, 3, 4, 5, 3)
    assert tuple(colorize(np.uint8(GRASS))) == SKETCH_CLASSES[GRASS].rgb
