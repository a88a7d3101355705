"""Animated pictures: GIF, WebP and APNG, all looping for ever.

GIF has 256 colours. One palette is computed over all frames together and no frame is dithered:
a palette a frame flickers, and dither noise crawls over still backgrounds and triples the file.
"""

from __future__ import annotations

import itertools
import math
from typing import IO, Any

import numpy as np

from nuwa_cli.media.metadata import (
    Recipe,
    end_gif,
    exif_block,
    gif_comment,
    png_chunks,
    xmp_packet,
)

_Frames = np.ndarray[Any, np.dtype[np.uint8]]

_PALETTE_COLOURS = 256
_PALETTE_PIXELS = 1 << 21  # pixels the palette is computed from; frames are thinned out beyond


def write_gif(file: IO[bytes], frames: _Frames, fps: float, recipe: Recipe | None) -> None:
    """Frames (T, H, W, 3) as a GIF; frame times are rounded to its hundredths of a second."""
    from PIL import Image

    palette = _shared_palette(frames)
    pictures = [
        Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    tags = {} if recipe is None else {"comment": gif_comment(recipe)}
    pictures[0].save(
        file,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=_durations(len(frames), fps, unit_ms=10),
        loop=0,
        optimize=False,
        **tags,
    )
    if recipe is not None:
        end_gif(file, recipe)


def write_webp(file: IO[bytes], frames: _Frames, fps: float, recipe: Recipe | None) -> None:
    """Frames (T, H, W, 3) as an animated WebP."""
    tags = {} if recipe is None else {"exif": exif_block(recipe), "xmp": xmp_packet(recipe)}
    _write_animation(file, frames, fps, format="WEBP", quality=90, method=4, **tags)


def write_apng(file: IO[bytes], frames: _Frames, fps: float, recipe: Recipe | None) -> None:
    """Frames (T, H, W, 3) as an APNG: lossless, and a plain PNG to programs that know no better."""
    tags = {} if recipe is None else {"pnginfo": png_chunks(recipe)}
    _write_animation(file, frames, fps, format="PNG", compress_level=6, **tags)


def _write_animation(file: IO[bytes], frames: _Frames, fps: float, **settings: Any) -> None:
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(
        file,
        save_all=True,
        append_images=pictures[1:],
        duration=_durations(len(frames), fps, unit_ms=1),
        loop=0,
        **settings,
    )


def _shared_palette(frames: _Frames) -> Any:
    from PIL import Image

    step = max(1, math.ceil(frames[..., 0].size / _PALETTE_PIXELS))
    column = np.concatenate(list(frames[::step]), axis=0)  # the frames below each other
    return Image.fromarray(column).quantize(_PALETTE_COLOURS, Image.Quantize.MEDIANCUT)


def _durations(count: int, fps: float, *, unit_ms: int) -> list[int]:
    """Milliseconds of each frame; rounding errors do not add up over the clip."""
    times = [round(index * 1000 / fps / unit_ms) * unit_ms for index in range(count + 1)]
    return [max(unit_ms, end - start) for start, end in itertools.pairwise(times)]
