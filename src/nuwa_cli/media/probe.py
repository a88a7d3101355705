"""What a picture or clip is, and the recipe in it: foreign files, so every limit is ours.

The content decides, not the name. Pictures open only as PNG, JPEG, WebP or GIF with a bounded
number of pixels; containers only as MP4 or WebM, from this one regular file: the demuxer may
otherwise follow a playlist to other files and to the network.
"""

from __future__ import annotations

import stat
import warnings
from pathlib import Path
from typing import Any

from nuwa_cli.errors import InputError
from nuwa_cli.media.metadata import read_container_recipe, read_picture_recipe

MAX_FILE_BYTES = 4 << 30
MAX_PIXELS = 64_000_000

_PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")
_PICTURE_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF", b"GIF8")
_CONTAINER_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm",
    "protocol_whitelist": "file",
    "probesize": "5000000",
    "analyzeduration": "5000000",
}


def probe(path: Path) -> dict[str, Any]:
    """Facts of a file: path, format, width, height, frames, fps (None for a picture), recipe.

    Raises InputError when it is no picture or clip that we read.
    """
    head = _head(path)
    if head.startswith(_PICTURE_MAGIC):
        return {"path": str(path), **_probe_picture(path)}
    return {"path": str(path), **_probe_container(path)}


def _head(path: Path) -> bytes:
    """First bytes of a regular, not empty, not absurdly large file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"file '{path}': is not a regular file; give a picture or clip")
        if not 0 < status.st_size <= MAX_FILE_BYTES:
            raise InputError(
                f"file '{path}': has {status.st_size} bytes; give 1 … {MAX_FILE_BYTES}"
            )
        with path.open("rb") as file:
            return file.read(16)
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise InputError(f"file '{path}': {why}; check the name") from error


def _probe_picture(path: Path) -> dict[str, Any]:
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(path, formats=_PICTURE_FORMATS) as picture:
            warnings.simplefilter("ignore")
            if picture.width * picture.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            frames = getattr(picture, "n_frames", 1)
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
    except Image.DecompressionBombError as error:
        most = MAX_PIXELS // 1_000_000
        raise InputError(f"file '{path}': too large; give at most {most} million pixels") from error
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise _unreadable(path, error) from error


def _probe_container(path: Path) -> dict[str, Any]:
    import av

    av.logging.set_level(None)
    try:
        with av.open(
            f"file:{path}", container_options=_CONTAINER_OPTIONS, timeout=(5, 5)
        ) as container:
            if not container.streams.video:
                raise InputError(f"file '{path}': has no video frames; give a picture or clip")
            stream = container.streams.video[0]
            frames = sum(packet.size > 0 for packet in container.demux(stream))
            rate = stream.average_rate
            return {
                "format": "mp4" if "mp4" in container.format.name else "webm",
                "width": stream.width,
                "height": stream.height,
                "frames": frames,
                "fps": round(float(rate), 3) if rate else None,
                "recipe": read_container_recipe(dict(container.metadata)),
            }
    except InputError:
        raise
    except Exception as error:  # decoders raise whatever a damaged file leads them to
        raise _unreadable(path, error) from error


def _name(picture: Any) -> str:
    return {"JPEG": "jpg"}.get(picture.format, str(picture.format).lower())


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"file '{path}': cannot be read as png, jpg, webp, gif, mp4 or webm "
        f"({type(error).__name__}); check the file"
    )
