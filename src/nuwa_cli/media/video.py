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
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.errors import UsageError
from nuwa_cli.media.animation import write_apng, write_gif, write_webp
from nuwa_cli.media.atomic import Pending, atomic_write, make_folder
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import Recipe, container_tags
from nuwa_cli.media.naming import check_suffix, is_sequence, numbered

Frames = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (T, H, W, 3)."""
Frame = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""

_ENCODER_THREADS = 2
_BT709 = 1  # the code point of BT.709 for matrix, transfer and primaries alike (ITU-T H.273)
_LIMITED_RANGE = 1

_CODECS: dict[str, tuple[str, str, dict[str, str], dict[str, str]]] = {
    # suffix: codec, container, options of the codec, options of the container
    ".mp4": (
        "libx264",
        "mp4",
        {"crf": "17", "preset": "medium"},
        {"movflags": "faststart+use_metadata_tags", "fflags": "+bitexact"},
    ),
    ".webm": (
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
        _write_sequence(path, _some(frames), recipe, force=force)
        return
    suffix = path.suffix.lower()
    with atomic_write(path, force=force) as pending:
        if suffix in _ANIMATIONS:
            clip = frames if isinstance(frames, np.ndarray) else np.stack(list(_some(frames)))
            _ANIMATIONS[suffix](pending.file, clip, fps, recipe)
        else:
            _encode(pending, suffix, _some(frames), fps, recipe)


def _some(frames: Iterable[Frame]) -> Iterator[Frame]:
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
            write_image(path, frame, recipe and {**recipe, "frame": index}, force=force)
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


def _encode(
    pending: Pending, suffix: str, frames: Iterator[Frame], fps: float, recipe: Recipe | None
) -> None:
    # Muxing to the path, not to the open file: moving the index to the front makes the muxer read
    # its own output again, which a Python file object does not offer it.
    import av

    codec, container_format, codec_options, container_options = _CODECS[suffix]
    first = _even_size(next(frames))
    with (
        _quiet(av),
        av.open(
            str(pending.path), "w", format=container_format, options=container_options
        ) as container,
    ):
        if recipe is not None:
            container.metadata.update(container_tags(recipe))
        rate = Fraction(fps).limit_denominator(1001)
        stream = container.add_stream(codec, rate=rate, options=codec_options)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count = _ENCODER_THREADS
        context.colorspace = context.color_trc = context.color_primaries = _BT709
        context.color_range = _LIMITED_RANGE
        for pixels in itertools.chain((first,), map(_even_size, frames)):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


@contextlib.contextmanager
def _quiet(av: Any) -> Iterator[None]:
    """Encoder failures become OSError, which the writer explains; the library stays silent."""
    av.logging.set_level(None)
    try:
        yield
    except av.FFmpegError as error:
        code = getattr(error, "errno", 0)
        raise OSError(code, error.strerror or str(error)) from error


def _even_size(frame: Frame) -> Frame:
    """4:2:0 needs even sizes: repeat the last row or column where one is odd."""
    height, width = frame.shape[:2]
    if height % 2 == 0 and width % 2 == 0:
        return frame
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
