"""Streams that can only be written to: what arrives, when it arrives, and what is left when they break."""

from __future__ import annotations

import errno
import io
import os
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from nuwa_cli.errors import UsageError
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import RECIPE_SCHEMA
from nuwa_cli.media.probe import probe
from nuwa_cli.media.streaming import STREAM_FORMATS, send_clip, send_picture, stream_format
from nuwa_cli.media.video import write_video

RECIPE = {"schema": RECIPE_SCHEMA, "version": "1", "command": "t2v", "prompt": "草地", "seed": 7}
ONE_BY_ONE = ("mp4", "webm", "y4m", "png", "jpg")
FROM_MEMORY = ("gif", "webp", "apng")
CONTAINERS = ("mp4", "webm", "y4m")


def clip(frames: int = 5, height: int = 48, width: int = 64) -> np.ndarray[Any, Any]:
    """Flat fields of changing colours, and a bar that moves."""
    made = np.empty((frames, height, width, 3), dtype=np.uint8)
    for index, frame in enumerate(made):
        frame[:] = (40 * index % 256, 120, 200 - 10 * (index % 20))
        frame[:, 4 * index % width : 4 * index % width + 8] = 250
    return made


class Pipe:
    """Has nothing but what is needed; remembers every write."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.flushed = 0

    def write(self, data: memoryview, /) -> int:
        self.content += data
        return len(data)

    def flush(self) -> None:
        self.flushed = len(self.content)


def decode(content: bytes, form: str) -> list[Any]:
    """RGB frames of a stream."""
    if form in ("png", "jpg"):
        demuxer = {"png": "png_pipe", "jpg": "jpeg_pipe"}[form]
        opened = av.open(io.BytesIO(content), format=demuxer)
    else:
        opened = av.open(io.BytesIO(content))
    with opened as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("form", [*ONE_BY_ONE, *FROM_MEMORY])
def test_what_is_sent_is_seen(form: str) -> None:
    pipe, frames = Pipe(), clip()
    send_clip(pipe, iter(frames), 6, form, RECIPE)
    assert pipe.flushed == len(pipe.content)
    if form in FROM_MEMORY:
        with Image.open(io.BytesIO(pipe.content)) as picture:
            assert picture.n_frames == len(frames)
        return
    seen = decode(pipe.content, form)
    assert len(seen) == len(frames)
    for sent, got in zip(frames, seen, strict=True):
        error = np.abs(sent.astype(int) - got).mean()
        assert error < {"png": 1e-9, "jpg": 2}.get(form, 5), error
    assert form != "png" or np.array_equal(seen, frames)


@pytest.mark.parametrize("form", ["mp4", "webm", "gif", "webp", "apng"])
def test_a_stream_in_a_file_has_its_recipe_speed_and_length(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"a.{form}"
    with path.open("wb") as file:
        send_clip(file, clip(), 6, form, RECIPE)
    facts = probe(path)
    assert facts["recipe"] == RECIPE
    assert facts["frames"] == 5 and facts["width"] == 64
    assert form == "webp" or facts["fps"] == pytest.approx(6, abs=0.4)
    assert b"trainedAlgorithmicMedia" in path.read_bytes()


@pytest.mark.parametrize("form", CONTAINERS)
def test_a_player_reads_it_from_a_real_pipe(form: str) -> None:
    """A pipe that cannot seek on either end, with less room than the clip."""
    frames = clip(12)
    reading, writing = os.pipe()

    def play() -> None:
        with os.fdopen(reading, "rb") as file, av.open(file) as container:
            assert container.streams.video[0].average_rate == 6
            seen.extend(frame.pts for frame in container.decode(video=0))

    seen: list[Any] = []
    player = threading.Thread(target=play)
    player.start()
    with os.fdopen(writing, "wb") as file:
        send_clip(file, iter(frames), 6, form, RECIPE)
    player.join(20)
    assert len(seen) == 12 and seen == sorted(seen)


@pytest.mark.parametrize(("form", "kept"), [("mp4", 1), ("webm", 1), ("y4m", 0), ("png", 0)])
def test_frames_leave_while_later_ones_are_made(form: str, kept: int) -> None:
    """When a frame is asked for, those before it have left and can be shown; a container keeps the
    last of them back."""
    pipe, frames = Pipe(), clip(5)

    def source() -> Iterator[Any]:
        for index, frame in enumerate(frames):
            if index > kept:
                shown = decode(bytes(pipe.content[: pipe.flushed]), form)
                assert len(shown) >= index - kept, (form, index)
            yield frame

    send_clip(pipe, source(), 6, form)


@pytest.mark.parametrize("form", ONE_BY_ONE)
def test_frames_are_let_go(form: str) -> None:
    taken: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def source() -> Iterator[Any]:
        for pixels in clip(12):
            frame = pixels.copy()
            taken.append(weakref.ref(frame))
            yield frame
            del frame
            alive.append(sum(frame() is not None for frame in taken))

    send_clip(Pipe(), source(), 6, form)
    assert len(alive) == 12 and max(alive) <= 3


@pytest.mark.parametrize("form", ONE_BY_ONE)
def test_a_source_that_stops_leaves_a_shorter_clip(form: str) -> None:
    def source() -> Iterator[Any]:
        yield from clip(3)
        raise KeyboardInterrupt

    pipe = Pipe()
    with pytest.raises(KeyboardInterrupt):
        send_clip(pipe, source(), 6, form, RECIPE)
    assert len(decode(pipe.content, form)) == 3


@pytest.mark.parametrize("form", [*ONE_BY_ONE, *FROM_MEMORY])
@pytest.mark.parametrize(
    "failure",
    [BrokenPipeError(errno.EPIPE, "gone"), OSError(errno.ENOSPC, "full"), KeyboardInterrupt()],
    ids=["gone", "full", "ctrl-c"],
)
def test_a_stream_that_breaks(form: str, failure: BaseException) -> None:
    """The failure itself comes out, whatever the muxer thinks of it, and nothing is sent behind it."""

    class Broken(Pipe):
        is_broken = False

        def write(self, data: memoryview, /) -> int:
            assert not self.is_broken
            if self.content:
                self.is_broken = True
                raise failure
            return super().write(data[:10])

    stream = Broken()
    with pytest.raises(type(failure)) as caught:
        send_clip(stream, clip(), 6, form, RECIPE)
    assert caught.value is failure
    assert stream.is_broken


def test_a_ctrl_c_that_reached_the_reader_too_is_a_ctrl_c() -> None:
    """In a terminal it ends the whole pipeline at once: the reader is gone, but that is not the reason."""

    class Gone(Pipe):
        is_gone = False

        def write(self, data: memoryview, /) -> int:
            if self.is_gone:
                raise BrokenPipeError(errno.EPIPE, "gone")
            return super().write(data)

    stream = Gone()

    def source() -> Iterator[Any]:
        yield from clip(3)
        stream.is_gone = True
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_clip(stream, source(), 6, "mp4", RECIPE)


def test_a_stream_that_takes_little_at_a_time() -> None:
    class Narrow(Pipe):
        def write(self, data: memoryview, /) -> int:
            return super().write(data[:7])

    wide, narrow = Pipe(), Narrow()
    for pipe in (wide, narrow):
        send_clip(pipe, clip(), 6, "mp4", RECIPE)
    assert wide.content == narrow.content


@pytest.mark.parametrize("form", [*ONE_BY_ONE, *FROM_MEMORY])
def test_equal_frames_give_equal_bytes(form: str) -> None:
    sent = []
    for frames in (clip(), iter(clip())):
        pipe = Pipe()
        send_clip(pipe, frames, 29.97, form, RECIPE)
        sent.append(bytes(pipe.content))
    assert sent[0] == sent[1]


@pytest.mark.parametrize("form", FROM_MEMORY)
def test_an_animation_is_the_one_that_a_file_would_be(tmp_path: Path, form: str) -> None:
    write_video(tmp_path / f"a.{form}", clip(), 6, RECIPE)
    pipe = Pipe()
    send_clip(pipe, clip(), 6, form, RECIPE)
    assert pipe.content == (tmp_path / f"a.{form}").read_bytes()


@pytest.mark.parametrize("form", STREAM_FORMATS["image"])
def test_a_picture_is_the_one_that_a_file_would_be(tmp_path: Path, form: str) -> None:
    write_image(tmp_path / f"a.{form}", clip(1)[0], RECIPE)
    pipe = Pipe()
    send_picture(pipe, clip(1)[0], form, RECIPE)
    assert pipe.content == (tmp_path / f"a.{form}").read_bytes()


def test_pictures_behind_each_other_carry_their_numbers() -> None:
    pipe = Pipe()
    send_clip(pipe, clip(3), 6, "png", RECIPE)
    parts = bytes(pipe.content).split(b"\x89PNG\r\n\x1a\n")[1:]
    assert [f'"frame":{index}'.encode() in part for index, part in enumerate(parts)] == [True] * 3


@pytest.mark.parametrize(("height", "matrix"), [(48, "ITU601"), (720, "ITU709")])
def test_y4m_has_the_colours_that_readers_expect(height: int, matrix: str) -> None:
    colour = np.array([200, 40, 90], dtype=np.uint8)
    frames = np.broadcast_to(colour, (2, height, 65, 3))  # an odd width is evened
    pipe = Pipe()
    send_clip(pipe, frames, 12.5, "y4m")
    head, _, rest = bytes(pipe.content).partition(b"\n")
    assert head.split()[:5] == [b"YUV4MPEG2", b"W66", b"H%d" % height, b"F25:2", b"Ip"]
    assert b"C420mpeg2" in head and b"XCOLORRANGE=LIMITED" in head
    assert len(rest) == 2 * (len(b"FRAME\n") + height * 66 * 3 // 2)
    with av.open(io.BytesIO(pipe.content)) as container:
        for frame in container.decode(video=0):
            seen = frame.reformat(format="rgb24", src_colorspace=matrix).to_ndarray()
            assert np.abs(seen.astype(int) - colour).max() <= 2


def test_formats() -> None:
    assert stream_format(None, "image") == "png" and stream_format(None, "video") == "mp4"
    assert stream_format(".JPEG", "image") == "jpg" and stream_format("y4m", "video") == "y4m"
    for given, kind in (("mp4", "image"), ("y4m", "image"), ("avi", "video"), ("", "video")):
        if given:
            with pytest.raises(UsageError, match=r"no (picture|clip).*; use (png|mp4)"):
                stream_format(given, kind)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="nothing to write"):
        send_clip(Pipe(), iter(()), 6, "mp4")
