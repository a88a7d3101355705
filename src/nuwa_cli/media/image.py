"""Pictures to files: one frame of uint8 RGB to PNG, JPEG or WebP, with its recipe inside.

Bytes are a function of pixels and recipe alone: no time stamp, fixed encoder settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

import numpy as np

from nuwa_cli.media.atomic import atomic_write
from nuwa_cli.media.metadata import Recipe, exif_block, jpeg_tags, png_chunks, xmp_packet
from nuwa_cli.media.naming import check_suffix

Frame = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""


def write_image(
    path: Path, frame: Frame, recipe: Recipe | None = None, *, force: bool = False
) -> None:
    """Write one frame (H, W, 3) in the format of the suffix.

    Raises UsageError for an unknown suffix, OutputError when the file cannot be written.
    """
    check_suffix(path, "image")
    with atomic_write(path, force=force) as pending:
        save_image(pending.file, frame, path.suffix.lower(), recipe)


def save_image(file: IO[bytes], frame: Frame, suffix: str, recipe: Recipe | None) -> None:
    """Encode one frame (H, W, 3 or 4) as .png, .jpg or .webp into an open file."""
    from PIL import Image

    settings = _encoder_settings(suffix, recipe)
    Image.fromarray(np.ascontiguousarray(frame)).save(file, **settings)


def _encoder_settings(suffix: str, recipe: Recipe | None) -> dict[str, Any]:
    tags: dict[str, Any] = {}
    if suffix == ".png":
        if recipe is not None:
            tags = {"pnginfo": png_chunks(recipe)}
        return {"format": "PNG", "optimize": False, "compress_level": 6, **tags}
    if suffix in (".jpg", ".jpeg"):
        tags = {} if recipe is None else jpeg_tags(recipe)
        return {"format": "JPEG", "quality": 95, "subsampling": 0, **tags}
    if recipe is not None:
        tags = {"exif": exif_block(recipe), "xmp": xmp_packet(recipe)}
    return {"format": "WEBP", "quality": 95, "method": 4, **tags}
