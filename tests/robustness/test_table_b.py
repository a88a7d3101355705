"""Fault table B: pictures and masks of strangers."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_tools import Finished, Run, alarm, times
from pictures import FOREIGN, bombs, encoded, photo
from PIL import Image, ImageCms

from nuwa_cli.errors import InputError
from nuwa_cli.media.reading import read_picture

Refuses = Callable[..., Finished]


def predict(name: str | Path, model: Path) -> tuple[str | Path, ...]:
    """The command line that reads a picture, and draws nothing."""
    return ("predict", name, "-o", "out.mp4", "--dry-run", "--model", model)


@pytest.mark.row("B1")
def test_bombs(refuses: Refuses, refuses_too: Refuses, work: Path, model_folder: Path) -> None:
    """Through the command those of which the size is known; all of them through the reader."""
    for name, content in bombs().items():
        (work / name).write_bytes(content)
    assert len(list(work.iterdir())) >= 12
    why = "400000000 pixels: too large; give at most 4 million pixels in"
    refuses(3, why, *predict("20000.png", model_folder))
    refuses(3, "9000x9000: too large", *predict("9000.png", model_folder))
    for name in ("strips.tif", "text.png", "65535.gif", "zero.png"):
        (refuses if name == "text.png" else refuses_too)(3, name, *predict(name, model_folder))
    for name in sorted(path.name for path in work.iterdir()):
        with pytest.raises(InputError), alarm(5):
            read_picture(work / name)


@pytest.mark.row("B2")
def test_foreign_formats(refuses: Refuses, inside: Run, work: Path, model_folder: Path) -> None:
    for name, content in FOREIGN.items():
        (work / name).write_bytes(content())
        inside(*predict(name, model_folder)).check_refusal(3, name)
    for name in ("a.eps", "a.avif"):
        done = refuses(3, name, *predict(name, model_folder))
        assert "png" in done.stderr
    os.rename(work / "a.eps", work / "b.png")  # content decides, not the name
    refuses(3, "b.png", *predict("b.png", model_folder))


@pytest.mark.row("B3")
def test_animations_are_one_picture_with_a_note(nuwa: Run, work: Path, model_folder: Path) -> None:
    frames = [Image.fromarray(np.full((32, 32, 3), level, np.uint8)) for level in (40, 90)]
    for name in ("a.gif", "a.webp", "a.png"):
        frames[0].save(work / name, save_all=True, append_images=frames[1:], duration=100)
        read = read_picture(work / name)
        assert np.abs(read.pixels.astype(int) - 40).max() <= 3
        assert read.notes[-1] == "moves; only its first frame is used"
    done = nuwa(
        *("edit", "a.gif", "a dog", "--box", "0,0,16,16", "-o", "out.png", "--dry-run"),
        *("--model", model_folder),
    )
    assert done.status == 0, done
    assert done.stderr.count("moves; only its first frame is used") == 1


@pytest.mark.row("B3")
def test_a_hundred_thousand_frames(work: Path) -> None:
    first = encoded("GIF", Image.new("L", (1, 1)))
    start, end = first.index(b","), first.rindex(b";")
    (work / "long.gif").write_bytes(first[:end] + first[start:end] * 100_000 + first[end:])
    with alarm(2):
        assert read_picture(work / "long.gif").pixels.shape == (1, 1, 3)


def modes() -> list[tuple[str, Image.Image, str, Any]]:
    """Name, picture, suffix, expected RGB: the 14 modes of the table."""
    rgb = Image.fromarray(photo())
    grey = np.asarray(rgb.convert("L"))
    three = np.repeat(grey[..., None], 3, axis=-1)
    palette = rgb.quantize(64)
    clear = rgb.copy()
    clear.putalpha(Image.new("L", rgb.size, 128))
    white = np.rint(photo() * (128 / 255) + 255 * (127 / 255))
    wide = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) * 85
    levels = np.repeat(np.rint(wide / 257)[..., None], 3, axis=-1)
    bits = rgb.convert("1")
    lab_profile = ImageCms.createProfile("LAB")
    srgb = ImageCms.createProfile("sRGB")
    lab = ImageCms.profileToProfile(rgb, srgb, lab_profile, outputMode="LAB")
    transparent = palette.copy()
    return [
        ("1", bits, "png", np.repeat(np.asarray(bits.convert("L"))[..., None], 3, -1)),
        ("L", rgb.convert("L"), "png", three),
        ("LA", Image.merge("LA", (rgb.convert("L"), Image.new("L", rgb.size, 255))), "png", three),
        ("P", palette, "png", np.asarray(palette.convert("RGB"))),
        ("P and tRNS", transparent, "gif", np.asarray(palette.convert("RGB"))),
        ("RGB", rgb, "png", photo()),
        ("RGBA", clear, "png", white),
        ("CMYK", rgb.convert("CMYK"), "tif", np.asarray(rgb.convert("CMYK").convert("RGB"))),
        ("YCbCr", rgb.convert("YCbCr"), "tif", photo()),
        ("I;16", Image.fromarray(wide), "png", levels),
        ("I", Image.fromarray(wide.astype(np.int32)), "tif", levels),
        ("F", Image.fromarray((wide / 65535).astype(np.float32)), "tif", levels),
        ("LAB", lab, "tif", np.asarray(lab.convert("RGB"))),
        ("RGBX", rgb.convert("RGBX"), "tif", photo()),
    ]


@pytest.mark.row("B4")
@pytest.mark.parametrize("case", modes(), ids=lambda case: case[0])
def test_modes(tmp_path: Path, case: tuple[str, Image.Image, str, Any]) -> None:
    """Within 1/255 of the reference; YCbCr rounds twice."""
    name, picture, suffix, expected = case
    path = tmp_path / f"a.{suffix}"
    picture.save(path)
    allowed = 6 if name == "YCbCr" else 1
    shown = read_picture(path).on_white().astype(int)
    assert np.abs(shown - expected).max() <= allowed


@pytest.mark.row("B4")
def test_sixteen_bits_keep_all_levels(nuwa: Run, work: Path, model_folder: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (8, 1))
    Image.fromarray(ramp).save(work / "ramp.png")
    assert len(np.unique(read_picture(work / "ramp.png").pixels)) == 256
    done = nuwa(*predict("ramp.png", model_folder))
    assert done.status == 0, done
    assert "16-bit values reduced to 8" in done.stderr


@pytest.mark.row("B5")
def test_orientation(nuwa: Run, work: Path, model_folder: Path) -> None:
    upright = photo()
    turns: list[Callable[[Any], Any]] = [
        lambda p: p,
        lambda p: p[:, ::-1],
        lambda p: p[::-1, ::-1],
        lambda p: p[::-1],
        lambda p: p.transpose(1, 0, 2),
        lambda p: np.rot90(p),
        lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        lambda p: np.rot90(p, -1),
    ]
    for tag, turn in enumerate(turns, 1):
        exif = Image.Exif()
        exif[0x0112] = tag
        Image.fromarray(np.ascontiguousarray(turn(upright))).save(work / f"{tag}.png", exif=exif)
        assert (read_picture(work / f"{tag}.png").pixels == upright).all(), tag
    done = nuwa(*predict("6.png", model_folder))
    assert done.status == 0, done
    assert "turned upright by its orientation tag" in done.stderr


@pytest.mark.row("B5")
def test_damaged_exif_is_ignored(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a description"
    jpeg = encoded("JPEG", exif=exif)
    block = exif.tobytes()
    start, read = jpeg.index(block[6:20]) - 6, 0
    for case in range(times(60, 500, 20_000)):
        luck = random.Random(case)
        content = bytearray(jpeg)
        for _ in range(luck.randint(1, 6)):
            content[start + 6 + luck.randrange(len(block) - 6)] = luck.randrange(256)
        (tmp_path / "a.jpg").write_bytes(content)
        try:
            assert read_picture(tmp_path / "a.jpg").pixels.shape[2] == 3
            read += 1
        except InputError:
            pass
    assert read > case // 2


@pytest.mark.row("B6")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_cut_pictures(tmp_path: Path, form: str) -> None:
    """At many places of the length: refused, or so late that all pixels are there."""
    whole = encoded(form, Image.fromarray(photo(48, 64)))
    path = tmp_path / "a"
    path.write_bytes(whole)
    expected = read_picture(path).pixels
    steps = times(60, 300, 300)
    for step in range(steps):
        path.write_bytes(whole[: len(whole) * step // steps])
        try:
            picture = read_picture(path)
        except InputError:
            continue
        assert step > steps * 2 // 3, step
        assert (picture.pixels == expected).all(), step


@pytest.mark.row("B6")
def test_damaged_pictures_through_the_command(
    refuses: Refuses, work: Path, model_folder: Path
) -> None:
    """20,000 mutations a format: test_fuzzing.py."""
    (work / "half.jpg").write_bytes(encoded("JPEG")[:400])
    damaged = bytearray(encoded("PNG"))
    damaged[41:45] = b"\xff\xff\xff\xff"  # where the compressed rows begin: once read as black
    (work / "damaged.png").write_bytes(damaged)
    for name in ("half.jpg", "damaged.png"):
        refuses(3, f"file '{name}': cannot be read", *predict(name, model_folder))


@pytest.mark.row("B7")
def test_masks(
    refuses: Refuses, refuses_too: Refuses, inside: Run, nuwa: Run, work: Path, model_folder: Path
) -> None:
    Image.fromarray(photo(64, 64)).save(work / "a.png")
    half = np.zeros((64, 64), np.uint8)
    half[:32] = 255
    clear = np.dstack([np.full((64, 64, 3), 255, np.uint8), half])
    for name, mask in {
        "small": np.full((32, 48), 255, np.uint8),
        "black": np.zeros((64, 64), np.uint8),
        "grey": half // 255 * 127,
        "half": half,
        "clear": clear,
        "full": np.full((64, 64), 255, np.uint8),
    }.items():
        Image.fromarray(mask).save(work / f"{name}.png")

    def edit(mask: str) -> tuple[str | Path, ...]:
        words = ("edit", "a.png", "a dog", "--mask", f"{mask}.png", "-o", "out.png", "--dry-run")
        return (*words, "--model", model_folder)

    refuses(2, "is 48x32, the picture is 64x64", *edit("small"))
    refuses_too(2, "white means repaint", *edit("black"))
    refuses_too(2, "white means repaint", *edit("grey"))
    for name in ("half", "clear", "full"):
        assert (nuwa if name == "half" else inside)(*edit(name)).status == 0, name


@pytest.mark.row("B8")
def test_what_is_no_regular_file(
    refuses: Refuses, refuses_too: Refuses, work: Path, tmp_path: Path, model_folder: Path
) -> None:
    (work / "folder.png").mkdir()
    (work / "empty.png").write_bytes(b"")
    os.mkfifo(work / "fifo.png")
    with open(tmp_path / "large.png", "wb") as large:
        large.write(b"\x89PNG\r\n\x1a\n")
        large.truncate(600 << 20)
    (work / "loop.png").symlink_to("loop.png")
    (work / "dangling.png").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(work / "socket.png"))
        for name in ("fifo.png", tmp_path / "large.png", "/dev/zero"):
            refuses(3, str(name), *predict(name, model_folder))
        for name in (
            *("empty.png", "socket.png", "loop.png", "dangling.png", "missing.png"),
            *("/dev/null", "folder.png"),
        ):
            refuses_too(3, name, *predict(name, model_folder))


@pytest.mark.row("B8")
def test_content_decides(nuwa: Run, work: Path, model_folder: Path) -> None:
    (work / "a.mp4").write_bytes(encoded("PNG"))
    assert nuwa(*predict("a.mp4", model_folder)).status == 0
