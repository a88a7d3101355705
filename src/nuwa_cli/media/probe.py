"""What a picture or clip is, and the recipe in it: foreign files, so every limit is ours.

The content decides, not the name. Pictures open only as PNG, JPEG, WebP, GIF, BMP or TIFF with a
bounded number of pixels; containers only as MP4 or WebM, from this one regular file: the demuxer
may otherwise follow a playlist to other files and to the network. `open_picture` and
`open_container` are the only doors through which this package lets a foreign file in.

Containers are looked at in a process of their own, see `child.py`.

Invariant: whatever a decoder raises inside such a door leaves it as one InputError.
"""

from __future__ import annotations

import contextlib
import logging
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.errors import InputError, NuwaError
from nuwa_cli.media.child import ask
from nuwa_cli.media.metadata import read_container_recipe, read_picture_recipe

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer
    from PIL import Image

MAX_FILE_BYTES = 4 << 30
MAX_PICTURE_BYTES = 512 << 20  # some decoders take the whole file into memory
MAX_PIXELS = 64_000_000

_SMALL_FILE = 1 << 20
_DECODER_THREADS = 4  # each takes address space, and holds frames
_FREE_PIXELS = 4_000_000
_PIXELS_PER_BYTE = 8_300  # what deflate makes of an empty page with one bit a pixel

_PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_PICTURE_MAGIC = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"RIFF",
    b"GIF8",
    b"BM",
    b"II*\0",
    b"MM\0*",
)
_MP4_BOXES = (
    *(b"ftyp", b"moov", b"mdat", b"styp", b"moof", b"sidx"),
    *(b"free", b"skip", b"wide", b"pnot", b"uuid"),
)
_EBML = b"\x1aE\xdf\xa3"
_STILL_CONTAINERS = {b"heic": "HEIC", b"heix": "HEIC", b"mif1": "HEIC", b"avif": "AVIF"}
_CONTAINER_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm",
    "protocol_whitelist": "file",
    "probesize": "5000000",
    "analyzeduration": "5000000",
}
Beat = Callable[[], None]
"""Called while there is progress."""

_LOG = logging.getLogger("PIL")  # tells on stderr of damage, unless somebody listens
_NO_LOG = logging.NullHandler()


def rest() -> None:
    """The sign of life of a reader that nobody waits for."""


def probe(path: Path) -> dict[str, Any]:
    """Facts of a file: path, format, width, height, frames, fps (None for a picture), recipe.

    Raises InputError when it is no picture or clip that we read.
    """
    if is_picture_file(path):
        return {"path": str(path), **_probe_picture(path)}
    check_container(path)
    facts = ask(path, {"ask": "probe"}).facts
    recipe = facts.get("recipe")
    return {"path": str(path), **facts, "recipe": recipe if isinstance(recipe, dict) else None}


def is_picture_file(path: Path) -> bool:
    """Whether the first bytes are those of a picture format (animations included).

    Raises InputError for what is no regular, not empty, not absurdly large file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"file '{path}': is not a regular file; give a picture or clip")
        head = _head(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    is_picture = head.startswith(_PICTURE_MAGIC)
    most = MAX_PICTURE_BYTES if is_picture else MAX_FILE_BYTES
    if not 0 < status.st_size <= most:
        raise InputError(f"file '{path}': has {status.st_size} bytes; give 1 … {most}")
    brand = _STILL_CONTAINERS.get(head[8:12])
    if head[4:8] == b"ftyp" and brand:
        raise InputError(f"file '{path}': is {brand}, which is not read; convert it to png or jpg")
    return is_picture


def check_container(path: Path) -> None:
    """Refuse what is no picture and does not begin as an MP4, MOV or WebM does; nothing is decoded.

    Raises InputError.
    """
    try:
        head = _head(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if head[4:8] not in _MP4_BOXES and not head.startswith(_EBML):
        raise InputError(
            f"file '{path}': is neither picture nor clip; give a png, jpg, webp, gif, bmp, tiff, "
            "mp4 or webm file"
        )


@contextlib.contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """A picture of at most MAX_PIXELS, nothing decoded yet. Raises InputError, for what the block
    does with the picture too."""
    from PIL import Image

    if not is_picture_file(path):
        raise InputError(
            f"file '{path}': is no picture; give a png, jpg, webp, gif, bmp or tiff file"
        )
    _LOG.addHandler(_NO_LOG)  # a handler is never added twice
    with refusing(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            opened = Image.open(path, formats=_PICTURE_FORMATS)
        except Image.DecompressionBombError as error:  # its message has the number of pixels
            raise too_large(path, re.sub(r"\D+(\d+).*", r"\1 pixels", str(error))) from error
        with opened as picture:
            if picture.width * picture.height > most_pixels(path):
                raise too_large(path, f"{picture.width}x{picture.height}")
            yield picture


@contextlib.contextmanager
def open_container(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """An MP4 or WebM and its video stream, frames of at most MAX_PIXELS. Raises InputError, for
    what the block does with it too."""
    import av

    av.logging.set_level(None)
    with (
        refusing(path),
        av.open(f"file:{path}", container_options=_CONTAINER_OPTIONS, timeout=(5, 5)) as container,
    ):
        stream = container.streams.best("video")  # rather than the cover picture of a song
        if not isinstance(stream, av.VideoStream):
            raise no_frames(path)
        stream.codec_context.thread_count = _DECODER_THREADS
        stream.codec_context.options = {"max_pixels": str(most_pixels(path))}
        if stream.width * stream.height > most_pixels(path):
            raise too_large(path, f"{stream.width}x{stream.height}")
        yield container, stream


@contextlib.contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Make one InputError of whatever a decoder raises inside the block."""
    try:
        yield
    except NuwaError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        # That of FFmpeg stands for a size that cannot be, and so does any that a small file causes.
        if type(error) is MemoryError and path.stat().st_size > _SMALL_FILE:
            raise
        raise InputError(
            f"file '{path}': cannot be read as png, jpg, webp, gif, bmp, tiff, mp4 or webm "
            f"({type(error).__name__}); check the file"
        ) from error


def is_animation(picture: Image.Image) -> bool:
    """Whether an opened picture moves: pages of a TIFF and views of a stereo JPEG do not."""
    return picture.format in ("PNG", "WEBP", "GIF") and bool(getattr(picture, "is_animated", False))


def no_frames(path: Path) -> InputError:
    """The refusal of a container that shows nothing."""
    return InputError(f"file '{path}': has no video frames; give a picture or clip")


def too_large(path: Path, size: str) -> InputError:
    """The refusal of more pixels than `most_pixels`."""
    most, count = most_pixels(path), path.stat().st_size
    limit = f"{most // 10**6} million pixels" + f" in {count} bytes" * (most < MAX_PIXELS)
    return InputError(f"file '{path}': {size}: too large; give at most {limit}")


def most_pixels(path: Path) -> int:
    """How large a picture or frame may be: a small file that claims a giant one is a bomb, since
    decoding takes twenty bytes a pixel."""
    return min(MAX_PIXELS, _FREE_PIXELS + _PIXELS_PER_BYTE * path.stat().st_size)


def _probe_picture(path: Path) -> dict[str, Any]:
    with open_picture(path) as picture:
        frames = getattr(picture, "n_frames", 1) if is_animation(picture) else 1
        duration = picture.info.get("duration") if frames > 1 else None
        if picture.format == "PNG":
            picture.load()  # text chunks may stand behind the pixels
        return {
            "format": "apng" if picture.format == "PNG" and frames > 1 else _name(picture),
            "width": picture.width,
            "height": picture.height,
            "frames": frames,
            "fps": round(1000 / duration, 3) if duration else None,
            "recipe": read_picture_recipe(picture),
        }


def probe_container(path: Path, beat: Beat = rest) -> dict[str, Any]:
    """Facts of an MP4 or WebM, found in this process: for the decoding child. Raises InputError."""
    with open_container(path) as (container, stream):
        frames = 0
        for packet in container.demux(stream):
            frames += packet.size > 0
            beat()
        rate = stream.average_rate
        return {
            "format": "mp4" if "mp4" in container.format.name else "webm",
            "width": stream.width,
            "height": stream.height,
            "frames": frames,
            "fps": round(float(rate), 3) if rate else None,
            "recipe": read_container_recipe(dict(container.metadata)),
        }


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _unreadable(path: Path, error: Exception) -> InputError:
    why = (getattr(error, "strerror", None) or str(error)).lower()
    return InputError(f"file '{path}': {why}; check the name")


def _name(picture: Any) -> str:
    name = str(picture.format).lower()
    return {"jpeg": "jpg", "mpo": "jpg"}.get(name, name)  # MPO: a JPEG with further views behind it
