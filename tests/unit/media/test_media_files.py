"""Pictures and clips: what is written comes back, with its recipe, and equal input gives equal
bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from nuwa_cli.errors import InputError, OutputError, UsageError
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import RECIPE_SCHEMA, parse_recipe
from nuwa_cli.media.naming import numbered, output_names
from nuwa_cli.media.probe import probe
from nuwa_cli.media.video import write_video

RECIPE = {"schema": RECIPE_SCHEMA, "version": "1", "prompt": '在草地上 "golf" \\ <b>', "seed": 7}
PICTURES = ("png", "jpg", "webp")
CLIPS = ("mp4", "webm", "gif", "webp", "apng")


def clip(height: int = 48, width: int = 64, frames: int = 5) -> np.ndarray[Any, Any]:
    """A red square that moves right over a gradient."""
    y, x = np.mgrid[:height, :width]
    base = np.stack([x * 3, y * 4, np.full_like(x, 120)], axis=-1).clip(0, 255)
    result = np.repeat(base[None], frames, axis=0).astype(np.uint8)
    for index in range(frames):
        result[index, 8:32, 4 * index : 4 * index + 24] = (220, 30, 30)
    return result


def decode(path: Path) -> np.ndarray[Any, Any]:
    if path.suffix in (".mp4", ".webm"):
        with av.open(str(path)) as container:
            return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
    with Image.open(path) as picture:
        frames = []
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            frames.append(np.asarray(picture.convert("RGB")))
        return np.stack(frames)


@pytest.mark.parametrize("suffix", PICTURES)
def test_picture(tmp_path: Path, suffix: str) -> None:
    frame = clip()[0]
    for name in ("a", "b"):
        write_image(tmp_path / f"{name}.{suffix}", frame, RECIPE)
    path = tmp_path / f"a.{suffix}"
    assert path.read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    assert np.abs(decode(path)[0].astype(int) - frame).mean() < (0.01 if suffix == "png" else 4)
    facts = probe(path)
    assert facts["recipe"] == RECIPE
    assert (facts["format"], facts["width"], facts["height"], facts["frames"]) == (
        suffix,
        64,
        48,
        1,
    )
    assert b"trainedAlgorithmicMedia" in path.read_bytes()


@pytest.mark.parametrize("suffix", CLIPS)
def test_clip(tmp_path: Path, suffix: str) -> None:
    frames = clip()
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.{suffix}", frames, 6, RECIPE)
    path = tmp_path / f"a.{suffix}"
    assert path.read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    shown = decode(path)
    assert shown.shape == frames.shape
    # Chroma is halved in size, GIF has 256 colours: flat areas agree, edges need not.
    assert np.abs(shown.astype(int) - frames).mean() < 5
    assert np.abs(shown[0, 20, 15].astype(int) - (220, 30, 30)).max() <= 8
    facts = probe(path)
    assert facts["recipe"] == RECIPE
    assert facts["format"] == suffix
    assert facts["frames"] == len(frames)
    if suffix != "webp":  # Pillow reports no frame time for it
        assert facts["fps"] == pytest.approx(6, rel=0.03)


def test_lossless_clips(tmp_path: Path) -> None:
    write_video(tmp_path / "a.apng", clip(), 6)
    write_video(tmp_path / "f%02d.png", clip(), 6)
    assert (decode(tmp_path / "a.apng") == clip()).all()
    frames = [decode(tmp_path / f"f{index:02d}.png")[0] for index in range(5)]
    assert (np.stack(frames) == clip()).all()


def test_no_recipe_when_none_is_given(tmp_path: Path) -> None:
    for suffix in PICTURES:
        write_image(tmp_path / f"i.{suffix}", clip()[0])
        assert probe(tmp_path / f"i.{suffix}")["recipe"] is None
    for suffix in CLIPS:
        write_video(tmp_path / f"c.{suffix}", clip(), 6)
        assert probe(tmp_path / f"c.{suffix}")["recipe"] is None


def test_mp4_plays_everywhere(tmp_path: Path) -> None:
    """H.264, 4:2:0, even sizes, index in front, colours tagged."""
    path = tmp_path / "a.mp4"
    write_video(path, clip(47, 63), 6)
    content = path.read_bytes()
    assert content[4:8] == b"ftyp"
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        assert (context.width, context.height) == (64, 48)
        assert (context.colorspace, context.color_range) == (1, 1)
        assert float(container.streams.video[0].average_rate or 0) == 6


def test_animations_loop_for_ever(tmp_path: Path) -> None:
    for suffix in ("gif", "webp", "apng"):
        write_video(tmp_path / f"a.{suffix}", clip(), 6)
        with Image.open(tmp_path / f"a.{suffix}") as picture:
            assert picture.info["loop"] == 0


def test_gif_shares_one_palette_and_does_not_dither(tmp_path: Path) -> None:
    """The still background is the same in every frame, and a flat area stays flat."""
    write_video(tmp_path / "a.gif", clip(), 6)
    shown = decode(tmp_path / "a.gif")
    assert (shown[:, 40:] == shown[:1, 40:]).all()
    assert len(np.unique(shown[0, 10:30, 2:20].reshape(-1, 3), axis=0)) == 1


def test_sequence_is_all_or_nothing(tmp_path: Path) -> None:
    (tmp_path / "f03.png").write_bytes(b"taken")
    with pytest.raises(OutputError, match="f03"):
        write_video(tmp_path / "f%02d.png", clip(), 6)
    assert [p.name for p in tmp_path.glob("*.png")] == ["f03.png"]


@pytest.mark.parametrize(
    ("output", "kind", "count", "expected"),
    [
        ("a.png", "image", 1, ["a.png"]),
        ("a.png", "image", 2, ["a-0000.png", "a-0001.png"]),
        ("a-%02d.png", "image", 1, ["a-00.png"]),
        ("a%d.JPG", "image", 2, ["a0.JPG", "a1.JPG"]),
        ("a.mp4", "video", 2, ["a-0000.mp4", "a-0001.mp4"]),
        ("f/%04d.png", "video", 1, ["f/%04d.png"]),
        ("100%.png", "image", 1, ["100%.png"]),
        ("{seed}%s.png", "image", 2, ["{seed}%s-0000.png", "{seed}%s-0001.png"]),
    ],
)
def test_names(output: str, kind: Any, count: int, expected: list[str]) -> None:
    assert output_names(Path(output), kind, count) == [Path(name) for name in expected]


@pytest.mark.parametrize(
    ("output", "kind", "count"),
    [
        ("a", "image", 1),
        ("a.mp4", "image", 1),
        ("a.png", "video", 1),
        ("a.tiff", "image", 1),
        ("-", "image", 1),
        ("%d-%d.png", "image", 1),
        ("f/%04d.png", "video", 2),
    ],
)
def test_names_that_mean_nothing(output: str, kind: Any, count: int) -> None:
    with pytest.raises(UsageError, match="output"):
        output_names(Path(output), kind, count)


def test_numbers_fill_their_field() -> None:
    assert numbered(Path("x/%03d.png"), 12345) == Path("x/12345.png")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"GIF89a",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypisom" + bytes(200),
        b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
        b"ffconcat version 1.0\nfile other.mp4\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 9 RTP/AVP 96\r\n",
        b"II*\0" + bytes(100),
        b"%!PS-Adobe-3.0",
    ],
)
def test_foreign_files_are_refused_with_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        probe(path)
    assert "\n" not in str(caught.value)


def test_bombs_and_odd_files_are_refused(tmp_path: Path) -> None:
    Image.new("1", (9_000, 9_000)).save(tmp_path / "bomb.png", compress_level=1)
    os.mkfifo(tmp_path / "fifo")
    for name, why in (("bomb.png", "million pixels"), ("fifo", "regular"), ("none", "no such")):
        with pytest.raises(InputError, match=why):
            probe(tmp_path / name)


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '{"schema": 3}', "[" * 100_000])
def test_foreign_comments_are_no_recipes(text: str | None) -> None:
    assert parse_recipe(text) is None
