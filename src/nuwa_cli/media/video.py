"""Clips to files: frames of uint8 RGB to MP4, WebM, GIF, WebP, APNG or a numbered PNG sequence.

MP4 is what every player opens: H.264, 4:2:0, even sizes, index in front. Colours are converted with
the BT.709 matrix and tagged so, because an untagged file is guessed differently by size. The number
of encoder threads is fixed: x264 writes it into the stream, and equal input must give equal bytes.

Frames may come one by one, from an iterator: MP4, WebM and numbered PNGs are written as they come, in the
memory of a few frames. GIF, WebP and APNG are optimised over the whole clip and need all of it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np

from nuwa_cli.errors import UsageError
from nuwa_cli.media.animation import write_apng, write_gif, write_webp
from nuwa_cli.media.atomic import atomic_write, make_folder
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import Recipe, container_tags, frame_recipe, mp4_xmp_box
from nuwa_cli.media.naming import check_suffix, is_sequence, numbered

if TYPE_CHECKING:
    import av

Frames = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (T, H, W, 3)."""
Frame = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""

_ENCODER_THREADS = 2
_BT709 = 1  # the code point of BT.709 for matrix, transfer and primaries alike (ITU-T H.273)
_LIMITED_RANGE = 1


class ByteSink(Protocol):
    """What a muxer needs of a stream that can only be written to."""

    write: Callable[[bytes], None]
    """Takes all of the bytes, and cannot fail."""


@dataclass(frozen=True)
class Coding:
    """An encoder and a container, with the options of each."""

    codec: str
    container: str
    codec_options: dict[str, str]
    container_options: dict[str, str]


_CODINGS = {
    ".mp4": Coding(
        "libx264",
        "mp4",
        # mbtree sums in an order that varies: once in fifty clips of one size the bytes differed
        {"crf": "17", "preset": "medium", "x264-params": "mbtree=0"},
        {"movflags": "faststart+use_metadata_tags", "fflags": "+bitexact"},
    ),
    ".webm": Coding(
        "libvpx-vp9",
        "webm",
        {"crf": "22", "b": "0", "deadline": "good", "cpu-used": "2"},
        {"fflags": "+bitexact"},
    ),
}

_ANIMATIONS = {".gif": write_gif, ".webp": write_webp, ".apng": write_apng}


def write_video(
    path: Path,
    frames: Frames | Iterable[Frame],
    fps: float,
    recipe: Recipe | None = None,
    *,
    force: bool = False,
) -> None:
    """Write frames (T, H, W, 3), or (H, W, 3) one by one, at `fps` frames a second in the format of
    the suffix.

    A name with a number field (`frames/%04d.png`) writes one PNG a frame, counted from 0. What an
    iterator raises is passed on, and nothing is written then.
    Raises UsageError for an unknown suffix or no frame at all, OutputError when a file cannot be
    written.
    """
    check_suffix(path, "video")
    if is_sequence(path):
        _write_sequence(path, some(frames), recipe, force=force)
        return
    suffix = path.suffix.lower()
    with atomic_write(path, force=force) as pending:
        if suffix in _ANIMATIONS:
            write_animation(pending.file, frames, fps, suffix, recipe)
        else:
            # Muxing to the path, not to the open file: moving the index to the front makes the muxer
            # read its own output again, which a Python file object does not offer it.
            encode(str(pending.path), _CODINGS[suffix], some(frames), fps, recipe)
            if suffix == ".mp4" and recipe is not None:
                pending.file.seek(0, os.SEEK_END)
                pending.file.write(mp4_xmp_box(recipe))


def write_animation(
    file: IO[bytes],
    frames: Frames | Iterable[Frame],
    fps: float,
    suffix: str,
    recipe: Recipe | None,
) -> None:
    """Write a .gif, .webp or .apng, which is made from all frames at once. Raises UsageError when
    there are none."""
    clip = frames if isinstance(frames, np.ndarray) else np.stack(list(some(frames)))
    _ANIMATIONS[suffix](file, clip, fps, recipe)


def some(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Frames, of which there is at least one. Raises UsageError."""
    remaining = iter(frames)
    first = next(remaining, None)
    if first is None:
        raise UsageError("clip '0 frames': there is nothing to write; give at least one frame")
    return itertools.chain((first,), remaining)


def _write_sequence(
    template: Path, frames: Iterable[Frame], recipe: Recipe | None, *, force: bool
) -> None:
    """All frames or none: what was newly written is removed when a later one fails. The folder is
    part of the output, and made if need be."""
    written: list[Path] = []
    is_new = not template.parent.exists()
    try:
        make_folder(template.parent)
        for index, frame in enumerate(frames):
            path = numbered(template, index)
            existed = path.exists()
            write_image(path, frame, frame_recipe(recipe, index), force=force)
            if not existed:
                written.append(path)
    except BaseException:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        if is_new:
            with contextlib.suppress(OSError):
                template.parent.rmdir()
        raise


def encode(
    target: str | ByteSink,
    coding: Coding,
    frames: Iterator[Frame],
    fps: float,
    recipe: Recipe | None,
    *,
    on_end: Callable[[], None] | None = None,
) -> None:
    """Encode frames (H, W, 3) as they come, and mux them to a path or a stream; `on_end` is called
    between the last packet and what the container ends with.

    Raises OSError for what the encoder or the target refuses.
    """
    import av

    first = even_size(next(frames))
    with (
        _quiet(av),
        av.open(
            target, "w", format=coding.container, options=coding.container_options
        ) as container,
    ):
        if recipe is not None:
            container.metadata.update(container_tags(recipe, f".{coding.container}"))
        stream = container.add_stream(coding.codec, rate=rate_of(fps), options=coding.codec_options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count = _ENCODER_THREADS
        context.colorspace = context.color_trc = context.color_primaries = _BT709
        context.color_range = _LIMITED_RANGE
        for pixels in itertools.chain((first,), map(even_size, frames)):
            container.mux(stream.encode(to_yuv(pixels, "ITU709")))
        container.mux(stream.encode(None))
        if on_end is not None:
            on_end()


def to_yuv(pixels: Frame, matrix: str) -> av.VideoFrame:
    """A frame (H, W, 3) of even sizes as 4:2:0, limited range, by the matrix ITU601 or ITU709."""
    import av

    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    return picture.reformat(format="yuv420p", dst_colorspace=matrix)


def rate_of(fps: float) -> Fraction:
    """Frames a second as containers store them."""
    return Fraction(fps).limit_denominator(1001)


@contextlib.contextmanager
def _quiet(av: Any) -> Iterator[None]:
    """Encoder failures become OSError, which the writer explains; the library stays silent."""
    av.logging.set_level(None)
    try:
        yield
    except av.FFmpegError as error:
        code = getattr(error, "errno", 0)
        raise OSError(code, error.strerror or str(error)) from error


def even_size(frame: Frame) -> Frame:
    """4:2:0 needs even sizes: repeat the last row or column where one is odd."""
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
