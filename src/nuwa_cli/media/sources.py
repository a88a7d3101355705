"""Where the frames of a clip come from when they are pictures: numbered files or an animation.

A source yields (time, load) in order, seconds from the start of the clip; `load()` makes the pixels,
so that frames which nobody wants cost no conversion. It keeps one frame at most. The source of
containers stands in `containers.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.media.naming import existing_frames, is_template
from nuwa_cli.media.probe import open_picture
from nuwa_cli.media.stills import Picture, decode, read_picture

if TYPE_CHECKING:
    from PIL import Image

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""
TimedFrame = tuple[float, Callable[[], Pixels]]
"""When a frame appears, and what makes its pixels."""

DEFAULT_RATE = 24.0
"""Frames a second of what knows no rate."""

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
_LEAST_DELAY = 0.01  # seconds; browsers show frames that ask for no more …
_DEFAULT_DELAY = 0.1  # … as long as this


class Source(Protocol):
    """Frames of a clip, how many a second there are, and what was converted."""

    rate: float
    notes: list[str]

    def last_times(self, count: int) -> list[float]:
        """When the last `count` frames appear, or all when they are fewer; rising."""
        ...

    def frames(self, start: float) -> Iterator[TimedFrame]:
        """Frames in order, from the one that is shown at `start` or an earlier one."""
        ...


class PictureSource:
    """Pictures in order, one a frame; all must have the size of the first."""

    def __init__(self, pictures: list[Path], rate: float) -> None:
        self.rate = rate
        self.notes: list[str] = []
        self._pictures = pictures
        self._size: tuple[int, int] | None = None

    def last_times(self, count: int) -> list[float]:
        return [index / self.rate for index in range(len(self._pictures))][-count:]

    def frames(self, start: float) -> Iterator[TimedFrame]:
        first = min(max(int(start * self.rate), 0), len(self._pictures) - 1)
        for index in range(first, len(self._pictures)):
            yield index / self.rate, partial(self._load, self._pictures[index])

    def _load(self, path: Path) -> Pixels:
        pixels = _opaque(read_picture(path), self.notes)
        height, width = pixels.shape[:2]
        if self._size is None:
            self._size = (height, width)
        if self._size != (height, width):
            raise InputError(
                f"file '{path}': is {width}x{height}, other frames are "
                f"{self._size[1]}x{self._size[0]}; give frames of one size"
            )
        return pixels


class AnimationSource:
    """A GIF, WebP or APNG; transparent parts are shown on white."""

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self._path = path
        times = [time for time, _ in islice(self._pictures(), 2)]
        self.rate = 1 / (times[-1] - times[0]) if len(times) > 1 else DEFAULT_RATE

    def last_times(self, count: int) -> list[float]:
        return [time for time, _ in self._pictures()][-count:]

    def frames(self, start: float) -> Iterator[TimedFrame]:  # noqa: ARG002
        """All frames: each is painted over the one before it, so none can be left out."""
        for time, picture in self._pictures():
            pixels = _opaque(decode(picture), self.notes)  # now: the next step paints it over
            yield time, partial(np.asarray, pixels)

    def _pictures(self) -> Iterator[tuple[float, Image.Image]]:
        """When each frame appears, and the opened file standing at it."""
        time = 0.0
        with open_picture(self._path) as picture:
            # The first picture of an APNG may be one for programs that know no animations.
            index = 1 if picture.info.get("default_image") else 0
            while True:
                try:
                    picture.seek(index)
                except EOFError:
                    return
                picture.load()  # WebP knows the time of a frame only now
                yield time, picture
                delay = float(picture.info.get("duration") or 0) / 1000
                time += delay if delay > _LEAST_DELAY else _DEFAULT_DELAY
                index += 1


def numbered_pictures(path: Path) -> list[Path] | None:
    """The pictures of a folder or pattern in the order of their numbers; None for a plain file.

    Raises InputError when there are none.
    """
    try:
        if path.is_dir():
            found = [
                entry
                for entry in path.iterdir()
                if entry.suffix.lower() in _SUFFIXES and not entry.name.startswith(".")
            ]
        elif not path.exists() and is_template(path):
            found = existing_frames(path)
        else:
            return None
    except UsageError as error:
        raise InputError(f"frames '{path}': has more than one number field; keep one") from error
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"frames '{path}': {why}; check the name") from error
    if not found:
        raise InputError(f"frames '{path}': there are no pictures; check the name")
    return sorted(found, key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts 2.png before 10.png."""
    parts = re.findall(r"[0-9]+|[^0-9]+", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _opaque(picture: Picture, notes: list[str]) -> Pixels:
    """The picture on white; what was converted is noted once."""
    added = [*picture.notes] if picture.alpha is None else [*picture.notes, _ON_WHITE]
    notes.extend(note for note in added if note not in notes)
    return picture.on_white()


_ON_WHITE = "transparent parts shown on white"
