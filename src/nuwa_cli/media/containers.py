"""Frames of an MP4 or WebM as upright RGB with square pixels.

Phones record sideways and say so in a display matrix, cameras record with oblong pixels and say so in
an aspect ratio: both are obeyed. The first frame decides the size; a stream that changes it midway is
scaled to that. Only the part that is wanted is decoded, from the key frame before it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nuwa_cli.media.probe import Beat, most_pixels, open_container, refusing, rest, too_large
from nuwa_cli.media.sources import DEFAULT_RATE, Pixels, TimedFrame

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

_TAIL = 10.0  # seconds from the end in which the last frame is looked for first
_SEEK_MARGIN = 1.0  # seconds: seeking aims a little early, times in files are not exact
_SPARE = 1000  # times that are kept beyond those that are asked for
_PLAUSIBLE_ASPECT = 4  # of a pixel; the tag is damaged beyond it
_HD_HEIGHT = 720  # untagged video is BT.709 from this height on, BT.601 below
_UNTAGGED = 2  # ITU-T H.273


class ContainerSource:
    """The video stream of a container. Raises InputError when there is none."""

    def __init__(self, path: Path, beat: Beat = rest) -> None:
        self._beat = beat
        self.notes: list[str] = []
        self._path = path
        self._size: tuple[int, int] | None = None
        self._axes = (1, 0, 0, 1)
        with open_container(path) as (_, stream):
            rate = float(stream.average_rate or 0)
            self.rate = rate if 0.01 < rate < 1000 else DEFAULT_RATE
            self._aspect = float(stream.sample_aspect_ratio or 1)

    def last_times(self, count: int) -> list[float]:
        # Of the end first; of the whole where that is not enough or the file claims a wrong length.
        for tail in (_TAIL, math.inf):
            with open_container(self._path) as (container, stream):
                _seek(container, stream, (container.duration or 0) / 1_000_000 - tail)
                times: set[float] = set()
                for packet in container.demux(stream):
                    self._beat()
                    if packet.pts is not None and packet.size:
                        times.add(_seconds(packet.pts, stream))
                    if len(times) > 2 * count + _SPARE:  # a day of film has millions of times
                        times = set(sorted(times)[-count:])
            if len(times) >= count:
                break
        return sorted(times)[-count:]

    def frames(self, start: float) -> Iterator[TimedFrame]:
        with open_container(self._path) as (container, stream):
            _seek(container, stream, start)
            time = -1 / self.rate
            for frame in container.decode(stream):
                self._beat()
                time = time + 1 / self.rate if frame.pts is None else _seconds(frame.pts, stream)
                yield time, partial(self._load, frame)

    def _load(self, frame: VideoFrame) -> Pixels:
        with refusing(self._path):
            width, height = self._size or self._settle(frame)
            is_hd = frame.colorspace == _UNTAGGED and frame.height >= _HD_HEIGHT
            shown = frame.reformat(
                width=width,
                height=height,
                format="rgb24",
                src_colorspace="ITU709" if is_hd else None,
                src_color_range=frame.color_range,
                interpolation="BICUBIC",
            )
            return _upright(np.asarray(shown.to_ndarray(), dtype=np.uint8), self._axes)

    def _settle(self, frame: VideoFrame) -> tuple[int, int]:
        """The size and the orientation of all frames, from the first one."""
        width, height = frame.width, frame.height
        if self._aspect != 1 and 1 / _PLAUSIBLE_ASPECT <= self._aspect <= _PLAUSIBLE_ASPECT:
            width = max(1, round(width * self._aspect))
            self.notes.append(f"oblong pixels made square: {width}x{height}")
        if width * height > most_pixels(self._path):
            raise too_large(self._path, f"{width}x{height}")
        self._axes = _display_axes(frame)
        if self._axes != (1, 0, 0, 1):
            self.notes.append("turned upright by its orientation tag")
        self._size = (width, height)
        return self._size


def _seconds(pts: int, stream: VideoStream) -> float:
    return float((pts - (stream.start_time or 0)) * (stream.time_base or 1))


def _seek(container: InputContainer, stream: VideoStream, time: float) -> None:
    """Go to the key frame before a time; where a file cannot, reading goes on from its start."""
    import av

    if time > _SEEK_MARGIN and stream.time_base:
        offset = round((time - _SEEK_MARGIN) / stream.time_base) + (stream.start_time or 0)
        with contextlib.suppress(av.FFmpegError):
            container.seek(offset, stream=stream)


def _display_axes(frame: VideoFrame) -> tuple[int, int, int, int]:
    """Where the display matrix sends the x and y axis: (a, b, c, d) of x' = ax + cy, y' = bx + dy,
    each -1, 0 or 1. A slanted matrix is taken for the nearest quarter turn."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return (1, 0, 0, 1)
    a, b, _, c, d = np.frombuffer(memoryview(data), dtype="<i4")[:5].tolist()
    if abs(b) > abs(a):
        return (0, -1 if b < 0 else 1, -1 if c < 0 else 1, 0)
    return (-1 if a < 0 else 1, 0, 0, -1 if d < 0 else 1)


def _upright(pixels: Pixels, axes: tuple[int, int, int, int]) -> Pixels:
    a, b, c, d = axes
    if b:
        pixels = pixels.transpose(1, 0, 2)
    across, down = (c, b) if b else (a, d)
    return np.ascontiguousarray(pixels[::down, ::across])
