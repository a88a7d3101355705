"""Pictures of every mode, depth, profile and orientation; what is damaged is refused in one line."""

from __future__ import annotations

import os
import random
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from nuwa_cli.errors import InputError
from nuwa_cli.media.probe import probe
from nuwa_cli.media.reading import kind_of, read_clip, read_picture
from nuwa_cli.media.video import write_video

Array = np.ndarray[Any, Any]


def photo(height: int = 40, width: int = 60) -> Array:
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 4, y * 6, 255 - x * 2 - y], axis=-1).clip(0, 255).astype(np.uint8)


def save(path: Path, pixels: Array, mode: str = "RGB", **settings: Any) -> Path:
    Image.fromarray(pixels).convert(mode).save(path, **settings)
    return path


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.webp"])
def test_lossless_pictures_come_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    settings = {"lossless": True} if name == "a.webp" else {}
    read = read_picture(save(tmp_path / name, photo(), **settings))
    assert (read.pixels == photo()).all()
    assert read.alpha is None and read.notes == ()
    assert read.pixels.flags.writeable  # torch shares memory with it
    assert (read.on_white() == photo()).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (20, 10_000), (33, 77)])
def test_any_size(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = photo(*size)
    assert (read_picture(save(tmp_path / "a.png", pixels)).pixels == pixels).all()


@pytest.mark.parametrize(
    ("mode", "suffix", "error"),
    [
        *(("1", suffix, 0) for suffix in ("png", "bmp", "tif")),
        *(("L", suffix, 0) for suffix in ("png", "bmp", "tif")),
        ("L", "jpg", 6),
        ("LA", "png", 0),
        ("P", "png", 0),
        ("P", "gif", 0),
        ("P", "bmp", 0),
        ("P", "tif", 0),
        ("PA", "tif", 0),
        ("RGBA", "png", 0),
        ("RGBA", "tif", 0),
        ("RGBX", "tif", 0),
        ("RGB", "jpg", 25),
        ("YCbCr", "jpg", 25),
        ("YCbCr", "tif", 6),
        ("CMYK", "jpg", 25),
        ("CMYK", "tif", 0),
        ("LAB", "tif", 1),
    ],
)
def test_every_mode(tmp_path: Path, mode: str, suffix: str, error: int) -> None:
    original = Image.fromarray(photo())
    if mode == "LAB":
        lab = ImageCms.createProfile("LAB")
        original = ImageCms.profileToProfile(
            original, ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
        )
    else:
        original = original.convert("P" if mode == "PA" else mode).convert(mode)
    try:
        original.save(tmp_path / f"a.{suffix}", quality=95)
    except (OSError, KeyError):
        pytest.skip("Pillow does not write this")
    expected = np.asarray(original.convert("RGB")).astype(int)
    read = read_picture(tmp_path / f"a.{suffix}")
    assert (read.pixels.dtype, read.pixels.shape) == (np.uint8, (40, 60, 3))
    assert np.abs(read.pixels - expected).max() <= error
    assert read.alpha is None


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits(tmp_path: Path, name: str) -> None:
    grey = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    Image.fromarray(grey).save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert np.abs(read.pixels[..., 1] - grey / 257).max() <= 0.5
    assert read.notes == ("16-bit values reduced to 8",)


def test_dark_pictures_stay_dark(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 100, 200]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").pixels[0, :, 0].tolist() == [0, 0, 1]
    Image.fromarray(np.array([[0, 1, 1]], dtype=np.int32)).save(tmp_path / "a.tif")
    assert read_picture(tmp_path / "a.tif").pixels[0, :, 0].tolist() == [0, 1, 1]


def deep_png(path: Path, pixels: Array) -> Path:
    """A PNG of 16 bits a channel, by hand: Pillow writes none in colour."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )
    return path


@pytest.mark.parametrize("channels", [3, 4])
def test_sixteen_bits_in_colour(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 11, channels))
    read = read_picture(deep_png(tmp_path / "a.png", pixels))
    assert np.abs(read.pixels - pixels[..., :3] / 257).max() <= 1
    assert read.notes == ("16-bit values reduced to 8",)
    assert (read.alpha is not None) == (channels == 4)


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        ([0.0, 0.25, 1.0], [0, 64, 255], ""),
        ([0.0, 100.4, 255.0], [0, 100, 255], ""),
        ([0.0, 32768.0, 65535.0], [0, 128, 255], "16-bit"),
        ([-1.0, 0.0, 3.0], [0, 64, 255], "values -1 … 3 scaled"),
        ([0.0, 1e6, 4e6], [0, 64, 255], "scaled"),
        ([float("nan"), 0.5, float("inf")], [0, 128, 0], ""),
        ([7e30, 7e30, 7e30], [0, 0, 0], "scaled"),
    ],
)
def test_floating_point(
    tmp_path: Path, values: list[float], expected: list[int], note: str
) -> None:
    Image.fromarray(np.array([values], dtype=np.float32)).save(tmp_path / "a.tif")
    read = read_picture(tmp_path / "a.tif")
    assert read.pixels[0, :, 0].tolist() == expected
    assert note in " ".join(read.notes) and bool(note) == bool(read.notes)


def test_integers(tmp_path: Path) -> None:
    for values, expected in (([0, 100, 255], [0, 100, 255]), ([0, 257, 65535], [0, 1, 255])):
        Image.fromarray(np.array([values], dtype=np.int32)).save(tmp_path / "a.tif")
        assert read_picture(tmp_path / "a.tif").pixels[0, :, 2].tolist() == expected


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_transparency_is_kept_apart(tmp_path: Path, name: str) -> None:
    alpha = np.full((40, 60), 255, dtype=np.uint8)
    alpha[10:20, 10:30] = 0
    alpha[30:] = 128
    settings: dict[str, Any] = {"lossless": True, "exact": True} if name == "a.webp" else {}
    save(tmp_path / name, np.concatenate([photo(), alpha[..., None]], axis=-1), "RGBA", **settings)
    read = read_picture(tmp_path / name)
    assert read.alpha is not None and (read.alpha == alpha).all()
    assert (read.pixels == photo()).all()
    shown = read.on_white()
    assert (shown[10:20, 10:30] == 255).all()
    assert (shown[:10] == photo()[:10]).all()
    assert np.abs(shown[30:] - (photo()[30:] / 2 + 127.5)).max() <= 1.5


def test_transparent_colours(tmp_path: Path) -> None:
    """A colour of a palette, or one value of RGB, may stand for nothing."""
    indices = (np.arange(100) % 4).astype(np.uint8).reshape(10, 10)
    picture = Image.fromarray(indices).convert("P")
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    picture.save(tmp_path / "a.png", transparency=2)
    picture.save(tmp_path / "a.gif", transparency=2)
    flat = np.where((indices == 2)[..., None], 9, 200).astype(np.uint8).repeat(3, axis=-1)
    Image.fromarray(flat).save(tmp_path / "b.png", transparency=(9, 9, 9))
    for name in ("a.png", "a.gif", "b.png"):
        read = read_picture(tmp_path / name)
        assert read.alpha is not None and ((read.alpha == 0) == (indices == 2)).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_tags(tmp_path: Path, suffix: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = photo()
    save(tmp_path / f"a.{suffix}", stored, exif=exif.tobytes(), quality=100)
    upright = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }[orientation]
    read = read_picture(tmp_path / f"a.{suffix}")
    assert read.pixels.shape == upright.shape
    assert np.abs(read.pixels.astype(int) - upright).mean() < 4
    assert (read.notes == ()) == (orientation == 1)


def test_broken_tags_do_not_matter(tmp_path: Path) -> None:
    for index, exif in enumerate(
        (b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"\0" * 50)
    ):
        path = save(tmp_path / f"{index}.jpg", photo(), exif=exif, quality=100)
        assert read_picture(path).pixels.shape == photo().shape


def profile(gamma: float) -> bytes:
    """A profile of sRGB's colours with another tone curve, made from Pillow's own sRGB."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", made, 128)[0]
    for index in range(count):
        tag, offset, size = struct.unpack_from(">4sII", made, 132 + 12 * index)
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
            assert size >= len(curve)
            made[offset : offset + len(curve)] = curve
    return bytes(made)


def test_colour_profiles(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = read_picture(save(tmp_path / "s.png", photo(), icc_profile=srgb))
    assert (same.pixels == photo()).all() and same.notes == ()
    linear = read_picture(save(tmp_path / "l.png", photo(), icc_profile=profile(1.0)))
    value = photo() / 255
    brighter = np.where(value < 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055) * 255
    assert np.abs(linear.pixels - brighter).max() <= 3
    assert linear.notes == ("colour profile converted to sRGB",)
    alpha = np.full((40, 60, 1), 100, dtype=np.uint8)
    pixels = np.concatenate([photo(), alpha], axis=-1)
    kept = read_picture(save(tmp_path / "a.png", pixels, "RGBA", icc_profile=profile(1.0)))
    assert (kept.pixels == linear.pixels).all()
    assert kept.alpha is not None and (kept.alpha == 100).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "P"])
def test_profiles_that_do_not_fit(tmp_path: Path, mode: str) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    broken = profile(1.0)[:200]
    read = read_picture(save(tmp_path / f"a.{suffix}", photo(), mode, icc_profile=broken))
    assert "its damaged colour profile was not used" in read.notes
    if mode == "CMYK":  # a profile for screens says nothing about inks
        path = save(tmp_path / "b.tif", photo(), mode, icc_profile=profile(1.0))
        assert read_picture(path).notes == ("CMYK converted to RGB",)


def test_the_first_of_several_is_read(tmp_path: Path) -> None:
    frames = np.stack([photo(), 255 - photo()])
    write_video(tmp_path / "a.apng", frames, 6)
    assert (read_picture(tmp_path / "a.apng").pixels == photo()).all()
    pages = [Image.fromarray(frame) for frame in frames]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    assert (read_picture(tmp_path / "a.tif").pixels == photo()).all()
    pages[0].save(tmp_path / "a.mpo", format="MPO", save_all=True, append_images=pages[1:])
    assert kind_of(tmp_path / "a.tif") == kind_of(tmp_path / "a.mpo") == "picture"
    assert (probe(tmp_path / "a.mpo")["format"], probe(tmp_path / "a.mpo")["frames"]) == ("jpg", 1)


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    save(tmp_path / "a.png", photo())
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    assert kind_of(tmp_path / "a.mp4") == "picture"
    assert (read_picture(tmp_path / "a.mp4").pixels == photo()).all()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "0 bytes"),
        (b"text", "is no picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "cannot be read"),
        (b"II*\0" + bytes(100), "cannot be read"),
        (b"MM\0*" + bytes(100), "cannot be read"),
        (b"BM" + bytes(100), "cannot be read"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIC.*convert"),
        (b"\0\0\0\x18ftypavif" + bytes(100), "AVIF.*convert"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "is no picture"),
    ],
)
def test_foreign_files(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=why) as caught:
        read_picture(tmp_path / "a.png")
    assert "\n" not in str(caught.value)


def test_bombs_and_odd_files(tmp_path: Path) -> None:
    Image.new("1", (9_000, 9_000)).save(tmp_path / "bomb.png", compress_level=1)
    os.mkfifo(tmp_path / "fifo")
    for name, why in (("bomb.png", "million pixels"), ("fifo", "regular"), ("none", "no such")):
        with pytest.raises(InputError, match=why):
            read_picture(tmp_path / name)
        with pytest.raises(InputError, match=why):
            read_clip(tmp_path / name)
    with pytest.raises(InputError, match="regular"):
        read_picture(tmp_path)
    with pytest.raises(InputError):
        read_picture(Path("a\0b"))


def samples(folder: Path) -> list[Path]:
    """One small file of every format."""
    clip = np.stack([photo(), photo()[::-1], photo()[:, ::-1]])
    for name in ("c.mp4", "c.webm", "c.gif", "c.webp", "c.apng"):
        write_video(folder / name, clip, 6)
    exif = Image.Exif()
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_itxt("comment", "x" * 50)
    save(folder / "p.png", photo(), icc_profile=profile(1.0), pnginfo=text, exif=exif)
    save(folder / "p.jpg", photo(), icc_profile=profile(1.0), exif=exif)
    save(folder / "p.webp", photo(), exif=exif)
    save(folder / "p.bmp", photo(), "P")
    save(folder / "p.tif", photo(), compression="tiff_lzw", exif=exif)
    save(folder / "q.tif", photo(), "CMYK", icc_profile=profile(1.0))
    save(folder / "p.gif", photo(), "P")
    return sorted(folder.iterdir())


# The other seed is slow: robustness/test_fuzzing.py tries thousands of a format.
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_damaged_files_give_an_array_or_one_line(tmp_path: Path, seed: int) -> None:
    (tmp_path / "good").mkdir()
    draw = random.Random(seed)
    for path in samples(tmp_path / "good"):
        content = path.read_bytes()
        for _ in range(5):
            damaged = bytearray(content)
            for _ in range(draw.choice((1, 4, 30))):
                damaged[draw.randrange(len(damaged))] = draw.choice((0, 255, draw.randrange(256)))
            if draw.random() < 0.3:
                del damaged[draw.randrange(len(damaged)) :]
            bad = tmp_path / path.name
            bad.write_bytes(damaged)
            for read in (read_picture, read_clip, kind_of, probe):
                try:
                    read(bad)  # type: ignore[operator]
                except InputError as error:
                    assert "\n" not in str(error) and str(bad) in str(error)


def test_decoders_keep_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(save(tmp_path / "a.tif", photo(), compression="tiff_lzw").read_bytes())
    for place in range(8, 3000, 5):
        content[place] = 255
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError):
        read_picture(tmp_path / "a.tif")
    os.write(2, b"heard again")
    assert capfd.readouterr() == ("", "heard again")
