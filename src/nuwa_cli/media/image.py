"""Pictures to files: one frame of uint8 RGB to PNG, JPEG or WebP, with its recipe inside.

Bytes are a function of pixels and recipe alone: no time stamp, fixed encoder settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nuwa_cli.media.atomic import atomic_write
from nuwa_cli.media.metadata import Recipe, exif_block, png_chunks, xmp_packet
from nuwa_cli.media.naming import check_suffix

Frame = np.ndarray[Any, np.dtype[np.uint8]]
"""uint8 RGB, (H, W, 3)."""


def write_image(
    path: Path, frame: Frame, recipe: Recipe | None = None, *, force: bool = False
) -> None:
    """Write one frame (H, W, 3) in the format of the suffix.

    Raises UsageError for an unknown suffix, OutputError when the file cannot be written.
    """
    from PIL import Image

    settings = _encoder_settings(path, recipe)
    with atomic_write(path, force=force) as pending:
        Image.fromarray(np.ascontiguousarray(frame)).save(pending.file, **settings)


def _encoder_settings(path: Path, recipe: Recipe | None) -> dict[str, Any]:
    check_suffix(path, "image")
    suffix = path.suffix.lower()
    tags: dict[str, Any] = {}
    if suffix == ".png":
        if recipe is not None:
            tags = {"pnginfo": png_chunks(recipe)}
        return {"format": "PNG", "optimize": False, "compress_level": 6, **tags}
    if recipe is not None:
        tags = {"exif": exif_block(recipe), "xmp": xmp_packet(recipe)}
    if suffix in (".jpg", ".jpeg"):
        return {"format": "JPEG", "quality": 95, "subsampling": 0, **tags}
    return {"format": "WEBP", "quality": 95, "method": 4, **tags}
