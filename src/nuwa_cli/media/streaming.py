"""Pictures and clips to a stream that can only be written to: a pipe, a socket, the standard output.

Nothing is ever sought or read back, and frames leave as they come: encoders have no look-ahead, and each frame
is a fragment (MP4) or a cluster (WebM) of its own. So whoever reads can show a frame while later ones are still
drawn, and what was sent when the source ends early, by a signal for instance, is a shorter clip.

    mp4, webm       H.264 and VP9; the recipe stands in front; a frame leaves when the next one comes
    y4m             raw 4:2:0 for other encoders; has no room for a recipe
    png, jpg        one picture after the other, each with its recipe (`-f image2pipe`)
                    a png of any size row by row
    gif webp apng   are made from all frames at once; all others need the memory of a few frames

Players built on FFmpeg study some twenty frames of H.264 before they show the first, unless told otherwise
(`-fpsprobesize 0`); y4m and webm they show at once.

Invariants: bytes are a function of frames, speed and recipe alone. After a failed write nothing more is sent:
what follows a hole would only confuse the reader.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from nuwa_cli.errors import UsageError
from nuwa_cli.media.image import save_image
from nuwa_cli.media.metadata import Recipe, frame_recipe, mp4_xmp_box
from nuwa_cli.media.naming import Kind
from nuwa_cli.media.png_stream import Rows, png_parts
from nuwa_cli.media.video import (
    Coding,
    Frame,
    encode,
    even_size,
    rate_of,
    some,
    to_yuv,
    write_animation,
)

STREAM_FORMATS: dict[Kind, tuple[str, ...]] = {
    "image": ("png", "jpg", "webp"),
    "video": ("mp4", "webm", "y4m", "gif", "webp", "apng", "png", "jpg"),
}
"""What a picture and what a clip can be sent as; the first of each is the default."""
ALPHA_FORMATS = ("png", "webp")
"""Formats of pictures that hold transparency."""


class ByteStream(Protocol):
    """What is needed of a stream; a file opened for writing has it."""

    def write(self, data: memoryview, /) -> int:
        """Take some of the bytes, or all; returns how many."""
        ...

    def flush(self) -> None:
        """Send what was taken."""
        ...


_CODINGS = {
    "mp4": Coding(
        "libx264",
        "mp4",
        {"crf": "17", "preset": "medium", "tune": "zerolatency"},
        {
            "movflags": "frag_every_frame+empty_moov+default_base_moof+use_metadata_tags",
            "fflags": "+bitexact",
        },
    ),
    "webm": Coding(
        "libvpx-vp9",
        "webm",
        {"crf": "22", "b": "0", "deadline": "good", "cpu-used": "2", "lag-in-frames": "0"},
        {"live": "1", "cluster_time_limit": "0", "fflags": "+bitexact"},
    ),
}
_HD_HEIGHT = 720  # y4m names no matrix: readers take BT.709 from this height on, BT.601 below


def stream_format(given: str | None, kind: Kind) -> str:
    """The format to send a picture or clip in. Raises UsageError for an unknown one."""
    known = STREAM_FORMATS[kind]
    form = (given or known[0]).lower().removeprefix(".")
    form = "jpg" if form == "jpeg" else form
    if form not in known:
        what = "picture" if kind == "image" else "clip"
        raise UsageError(
            f"format '{given}': no {what} is sent to a stream in it; use {' '.join(known)}"
        )
    return form


def send_picture(stream: ByteStream, frame: Frame, form: str, recipe: Recipe | None = None) -> None:
    """Send one picture (H, W, 3), or (H, W, 4) with transparency where the format has it.

    Raises OSError for what the stream refuses.
    """
    content = io.BytesIO()  # an encoder of pictures may seek
    save_image(content, frame, f".{form}", recipe)
    _send(stream, content.getbuffer())


def send_rows(
    stream: ByteStream,
    rows: Iterable[Rows],
    height: int,
    width: int,
    form: str,
    recipe: Recipe | None = None,
) -> None:
    """Send one picture that comes in blocks of rows (k, `width`, 3), `height` rows in all: a png in the
    memory of a few of them, other formats from the whole. Raises OSError for what the stream refuses."""
    if form == "png":
        for part in png_parts(rows, height, width, recipe):
            _send(stream, part)
    else:
        send_picture(stream, np.concatenate(list(rows)), form, recipe)


def send_clip(
    stream: ByteStream,
    frames: Iterable[Frame],
    fps: float,
    form: str,
    recipe: Recipe | None = None,
) -> None:
    """Send frames (H, W, 3), all of one size, as they come, at `fps` frames a second.

    What the iterator raises is passed on, behind a clip of the frames before it. Raises UsageError
    when there is no frame at all, OSError for what the stream refuses.
    """
    if form in _CODINGS:
        _send_container(stream, some(frames), fps, form, recipe)
    elif form == "y4m":
        _send_y4m(stream, some(frames), fps)
    elif form in ("png", "jpg"):
        for index, frame in enumerate(some(frames)):
            send_picture(stream, frame, form, frame_recipe(recipe, index))
    else:
        content = io.BytesIO()
        write_animation(content, frames, fps, f".{form}", recipe)
        _send(stream, content.getbuffer())


def _send(stream: ByteStream, data: bytes | memoryview) -> None:
    """All of the bytes, at once."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]  # an unbuffered stream may take a part
    stream.flush()


class _Outbox:
    """What a muxer wrote and was not sent yet. The muxer sees `list.append` and no more: an exception in
    code of ours, called from the depths of the muxer, would be lost if it is a Ctrl-C, and drowned in a
    second one otherwise."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.write = self._parts.append

    def send(self, stream: ByteStream) -> None:
        """Send it. What cannot be sent is forgotten."""
        data = b"".join(self._parts)
        self._parts.clear()
        _send(stream, data)


def _send_container(
    stream: ByteStream, frames: Iterator[Frame], fps: float, form: str, recipe: Recipe | None
) -> None:
    outbox = _Outbox()
    is_broken = False

    def sent() -> Iterator[Frame]:
        """The frames; before each what the muxer made of those before it."""
        nonlocal is_broken
        for frame in frames:
            yield frame
            is_broken = True
            outbox.send(stream)
            is_broken = False

    def say_who() -> None:
        if recipe is not None and form == "mp4":
            outbox.write(mp4_xmp_box(recipe))

    try:
        encode(outbox, _CODINGS[form], sent(), fps, recipe, on_end=say_who)
    except BaseException:
        if not is_broken:
            with contextlib.suppress(Exception):  # why the clip ends is what is to be told
                outbox.send(stream)
        raise
    outbox.send(stream)


def _send_y4m(stream: ByteStream, frames: Iterator[Frame], fps: float) -> None:
    """YUV4MPEG2: a line of facts, then the planes of each frame."""
    rate = rate_of(fps)
    head = ""
    for frame in map(even_size, frames):
        height, width = frame.shape[:2]
        if not head:
            head = (
                f"YUV4MPEG2 W{width} H{height} F{rate.numerator}:{rate.denominator} Ip A1:1 "
                "C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED\n"
            )
            _send(stream, head.encode())
        planes = to_yuv(frame, "ITU709" if height >= _HD_HEIGHT else "ITU601").to_ndarray()
        _send(stream, b"FRAME\n" + np.ascontiguousarray(planes).tobytes())
