"""Clips of every kind: which frames are taken, how they are turned, what is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from nuwa_cli.errors import InputError
from nuwa_cli.media import probe as probe_module
from nuwa_cli.media import reading
from nuwa_cli.media.reading import Clip, ClipOptions, kind_of, read_clip_here
from nuwa_cli.media.reading import read_clip as read_clip_in_a_child
from nuwa_cli.media.video import write_video

Array = np.ndarray[Any, Any]

STEP = 18  # of brightness from frame to frame
NO_OPTIONS: ClipOptions = {"fps": None, "max_frames": None, "start": 0.0, "from_end": False}
KINDS = ("a.mp4", "a.webm", "a.gif", "a.webp", "a.apng", "f/%04d.png")


def read_clip(path: Path, **options: Any) -> Clip:
    """In this process, which is faster and can be looked into."""
    return read_clip_here(path, ClipOptions(**{**NO_OPTIONS, **options}))


def numbered(count: int = 13, height: int = 36, width: int = 52) -> Array:
    """Frames that tell their number by their brightness."""
    levels = (np.arange(count) * STEP).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, height, width, 3)).copy()


def numbers(clip: Clip) -> list[int]:
    levels = clip.frames[:, 4:-4, 4:-4].astype(float).mean(axis=(1, 2, 3)) / STEP
    assert np.abs(levels - np.rint(levels)).max() < 0.3
    return [int(level) for level in np.rint(levels)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip of 13 frames at 6 a second in every format."""
    folder = tmp_path_factory.mktemp("clips")
    for name in KINDS:
        write_video(folder / name, numbered(), 6)
    return folder


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [*range(13)]),
        ({"fps": 6}, [*range(13)]),
        ({"max_frames": 4}, [0, 1, 2, 3]),
        ({"max_frames": 99}, [*range(13)]),
        ({"max_frames": 3, "from_end": True}, [10, 11, 12]),
        ({"fps": 6, "max_frames": 3, "from_end": True}, [10, 11, 12]),
        ({"fps": 6, "max_frames": 99, "from_end": True}, [*range(13)]),
        ({"fps": 6, "max_frames": 99, "from_end": True, "start": 1.5}, [9, 10, 11, 12]),
        ({"fps": 6, "start": 1.0, "max_frames": 4}, [6, 7, 8, 9]),
        ({"fps": 6, "start": 2.0}, [12]),
    ],
)
def test_which_frames(
    folder: Path, name: str, options: dict[str, Any], expected: list[int]
) -> None:
    clip = read_clip(folder / name, **options)
    assert numbers(clip) == expected
    assert clip.frames.dtype == np.uint8 and clip.frames.flags.writeable
    assert kind_of(folder / name) == "clip"


@pytest.mark.parametrize("name", KINDS[:-1])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"fps": 3}, [0, 2, 4, 6, 8, 10, 12]),
        ({"fps": 12, "max_frames": 5}, [0, 0, 1, 1, 2]),
        ({"fps": 4, "max_frames": 5}, [0, 1, 3, 4, 6]),
        ({"fps": 2, "max_frames": 3, "from_end": True}, [6, 9, 12]),
        ({"start": 1.0, "max_frames": 2}, [6, 7]),
        ({"start": 1.05, "max_frames": 2}, [6, 7]),
    ],
)
def test_resampling(folder: Path, name: str, options: dict[str, Any], expected: list[int]) -> None:
    clip = read_clip(folder / name, **options)
    assert numbers(clip) == expected
    assert clip.fps == pytest.approx(options.get("fps", 6), rel=0.02)
    assert ("resampled" in " ".join(clip.notes)) == ("fps" in options)


def test_numbered_pictures_know_no_rate(folder: Path) -> None:
    assert read_clip(folder / "f/%04d.png", fps=7).fps == 7
    assert read_clip(folder / "f/%04d.png", fps=7).notes == ()
    assert read_clip(folder / "f/%04d.png").fps == 24
    assert numbers(read_clip(folder / "f", fps=100)) == [*range(13)]


def test_pictures_are_sorted_by_number(tmp_path: Path) -> None:
    frames = numbered(12)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"img{index}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").write_text("no picture")
    assert numbers(read_clip(tmp_path)) == [*range(12)]
    assert numbers(read_clip(tmp_path / "img%d.png", max_frames=11)) == [*range(11)]
    assert numbers(read_clip(tmp_path / "img%d.png", max_frames=2, from_end=True)) == [10, 11]


def test_folders_that_are_no_clips(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for size, name in ((8, "b/0.png"), (9, "b/1.png")):
        (tmp_path / "b").mkdir(exist_ok=True)
        Image.new("RGB", (size, 8)).save(tmp_path / name)
    for name, why in (
        ("empty", "no pictures"),
        ("empty/%03d.png", "no pictures"),
        ("none/%03d.png", "no such"),
        ("b/%d-%d.png", "number field"),
        ("b", "9x8.*8x8.*one size"),
        ("b/0.png", "one picture"),
    ):
        with pytest.raises(InputError, match=why) as caught:
            read_clip(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", KINDS)
def test_a_start_behind_the_end(folder: Path, name: str) -> None:
    for options in ({}, {"fps": 6}, {"fps": 6, "max_frames": 3, "from_end": True}):
        with pytest.raises(InputError, match="no frame at 50 s"):
            read_clip(folder / name, start=50.0, **options)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
def test_long_clips_are_sought(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of half a minute of film: hardly more is decoded than is asked for."""
    frames = numbered(360, 16, 16)
    frames[:] = (np.arange(360) % 14 * STEP)[:, None, None, None]
    with av.open(str(tmp_path / name), "w") as container:
        codec = "libx264" if name == "a.mp4" else "libvpx-vp9"
        stream: Any = container.add_stream(codec, rate=12, options={"g": "12", "cpu-used": "8"})
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    seen: list[float] = []
    sample = reading._with_next
    monkeypatch.setattr(
        reading,
        "_with_next",
        lambda timed, hold: sample((seen.append(frame[0]) or frame for frame in timed), hold),
    )
    end = read_clip(tmp_path / name, fps=6, max_frames=3, from_end=True)
    assert numbers(end) == [355 % 14, 357 % 14, 359 % 14]
    assert len(seen) < 60
    assert numbers(read_clip(tmp_path / name, start=20.0, max_frames=2)) == [240 % 14, 241 % 14]
    assert len(seen) < 120


def turned(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """A copy of an MP4 with another display matrix (a, b, c, d), as phones write it."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 4 + 20 + 16
    a, b, c, d = (value << 16 for value in matrix)
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    result = path.with_name("turned.mp4")
    result.write_bytes(content)
    return result


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        ((1, 0, 0, 1), lambda p: p),
        ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),  # a phone held upright
        ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
        ((0, -1, 1, 0), lambda p: np.rot90(p)),
        ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
        ((1, 0, 0, -1), lambda p: p[::-1]),
        ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
        ((0, 0, 0, 0), lambda p: p),
    ],
)
def test_phones_film_sideways(tmp_path: Path, matrix: Any, turn: Any) -> None:
    frames = np.zeros((2, 32, 48, 3), dtype=np.uint8)
    frames[:, :16, :24] = (200, 40, 40)
    frames[:, 16:, :24] = (40, 200, 40)
    write_video(tmp_path / "a.mp4", frames, 6)
    clip = read_clip(turned(tmp_path / "a.mp4", matrix))
    expected = turn(frames[0])
    assert clip.frames.shape[1:] == expected.shape
    assert np.abs(clip.frames[0].astype(int) - expected).mean() < 6
    assert bool(clip.notes) == (matrix not in ((1, 0, 0, 1), (0, 0, 0, 0)))


@pytest.mark.parametrize("name", ["a.mp4", "a.webm"])
@pytest.mark.parametrize("size", [(37, 51), (4, 6), (16, 301)])
def test_colours_and_odd_sizes(tmp_path: Path, name: str, size: tuple[int, int]) -> None:
    height, width = size
    frames = np.zeros((2, height, width, 3), dtype=np.uint8)
    half = height // 4 * 2  # colours are stored for two rows together
    frames[:, :half] = (230, 30, 60)
    frames[:, half:] = (20, 160, 220)
    write_video(tmp_path / name, frames, 6)
    shown = read_clip(tmp_path / name).frames
    assert shown.shape[1] - height in (0, 1) and shown.shape[2] - width in (0, 1)
    for row in (0, height - 1):
        assert np.abs(shown[0, row].astype(int) - frames[0, row, 0]).max() <= 12


def test_oblong_pixels(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=6)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.sample_aspect_ratio = 2
        for pixels in numbered(2, 32, 48):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    clip = read_clip(tmp_path / "a.mp4")
    assert clip.frames.shape == (2, 32, 96, 3)
    assert clip.notes == ("oblong pixels made square: 96x32",)


def test_sound_is_no_clip(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.rate = 44100
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    for read in (read_clip, read_clip_in_a_child):
        with pytest.raises(InputError, match="no video frames"):
            read(tmp_path / "a.mp4")


def test_animations_are_shown_on_white(tmp_path: Path) -> None:
    pictures = []
    for index in range(3):
        picture = Image.new("RGBA", (20, 10))
        picture.paste((200, 0, 0, 255), (5 * index, 0, 5 * index + 5, 10))
        pictures.append(picture)
    for name in ("a.webp", "a.png", "a.gif"):
        pictures[0].save(
            tmp_path / name, save_all=True, append_images=pictures[1:], duration=[100, 0, 300],
            disposal=2, lossless=True,
        )  # fmt: skip
        clip = read_clip(tmp_path / name)
        assert clip.frames.shape == (3, 10, 20, 3)
        for index, frame in enumerate(clip.frames):
            red = np.zeros((10, 20), dtype=bool)
            red[:, 5 * index : 5 * index + 5] = True
            assert (frame[red] == (200, 0, 0)).all() and (frame[~red] == 255).all()
        assert clip.notes == ("transparent parts shown on white",)
        assert clip.fps == 10  # a frame that asks for no time is shown for a tenth of a second


def test_the_poster_of_an_apng_is_no_frame(tmp_path: Path) -> None:
    poster, *frames = [Image.fromarray(frame) for frame in numbered(4)]
    poster.save(
        tmp_path / "a.png", save_all=True, append_images=frames, default_image=True, duration=100
    )
    assert numbers(read_clip(tmp_path / "a.png")) == [1, 2, 3]


def test_too_much_to_hold(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_CLIP_PIXELS", 5 * 36 * 52)
    for name in KINDS:
        assert len(read_clip(folder / name, max_frames=5).frames) == 5
        assert len(read_clip(folder / name, max_frames=5, from_end=True).frames) == 5
        with pytest.raises(InputError, match="at most 5 frames of 52x36"):
            read_clip(folder / name)


def test_large_frames_are_refused_before_they_are_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_module, "MAX_PIXELS", 1000)
    for name in KINDS:
        with pytest.raises(InputError, match="too large"):
            read_clip(folder / name)
