"""Any picture of a user as 8-bit sRGB, turned upright: whatever its mode, depth, profile or tags.

What a good viewer does is done here too: the orientation tag is obeyed, an embedded colour profile is
converted, wide values are reduced to 8 bits. Each conversion that changes pixels leaves a note.
Transparency is kept apart, and the colours under it are returned as they are stored.

Invariant: an 8-bit RGB picture without profile and orientation comes back bit for bit.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nuwa_cli.media.probe import is_animation, open_picture

if TYPE_CHECKING:
    from PIL import Image

_Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_STDERR = 2
_ORIENTATION = 0x0112  # the EXIF tag
_FULL_SCALES = (1, 255, 65535)  # what white may be in floating-point and integer pictures
_SAME_COLOUR = 2  # a profile that moves no colour further than this is taken for sRGB
_ONE_FRAME = "moves; only its first frame is used"
_LATTICE = 9  # colours along each axis that are compared for it


@dataclass(frozen=True)
class Picture:
    """Pixels uint8 (H, W, 3), alpha uint8 (H, W) unless all is opaque, and what was converted."""

    pixels: _Pixels
    alpha: _Pixels | None = None
    notes: tuple[str, ...] = ()

    def on_white(self) -> _Pixels:
        """The picture (H, W, 3) as it looks on white paper."""
        if self.alpha is None:
            return self.pixels
        from PIL import Image

        height, width = self.alpha.shape
        paper = Image.new("RGB", (width, height), "white")
        paper.paste(Image.fromarray(self.pixels), mask=Image.fromarray(self.alpha))
        return np.array(paper)


def read_picture(path: Path) -> Picture:
    """Read a png, jpg, webp, gif, bmp or tiff file; of an animation its first frame.

    Raises InputError for anything else, for damaged files and for more than MAX_PIXELS.
    """
    with _silence(), open_picture(path) as picture:
        moves = is_animation(picture)
        read = decode(picture)
    return replace(read, notes=(*read.notes, _ONE_FRAME)) if moves else read


def decode(picture: Image.Image) -> Picture:
    """The current frame of a picture of `open_picture`, to be called inside its block."""
    notes = ["16-bit values reduced to 8"] if _is_deep(picture) else []
    turns_itself = picture.format == "TIFF"  # when it is loaded
    if not turns_itself:
        # First: asking a PNG for its tags loads it, and damage would be taken for one of the tags.
        picture.load()
    orientation = _orientation(picture)
    profile = picture.info.get("icc_profile")
    picture.load()
    picture, alpha = _split(picture, notes)
    if profile:
        picture = _from_profile(picture, profile, notes)
    if picture.mode == "CMYK":
        notes.append("CMYK converted to RGB")
    picture = picture.convert("RGB")
    if orientation is not None:
        notes.append("turned upright by its orientation tag")
        if not turns_itself:
            picture = picture.transpose(orientation)
            alpha = alpha and alpha.transpose(orientation)
    is_opaque = alpha is None or alpha.getextrema()[0] == 255
    return Picture(np.array(picture), None if is_opaque else np.array(alpha), tuple(notes))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep off the terminal what libtiff has to say of a damaged file: it writes to the descriptor
    of stderr, and Pillow offers no handle to it."""
    try:
        kept = os.dup(_STDERR)
    except OSError:  # the process has none
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(nowhere)
        os.close(kept)


def _is_deep(picture: Image.Image) -> bool:
    """Whether the file stores 16 bits a channel; not known any more once it is loaded."""
    tiles = getattr(picture, "tile", None)
    layout = tiles[0].args if tiles else ""
    layout = layout[0] if isinstance(layout, tuple) and layout else layout
    # A BMP of type BGR;16 has 16 bits a pixel.
    return isinstance(layout, str) and ";16" in layout and not layout.startswith("BGR")


def _orientation(picture: Image.Image) -> Image.Transpose | None:
    """What turns the picture upright."""
    from PIL.Image import Transpose

    try:
        tag = picture.getexif().get(_ORIENTATION)
    except Exception:  # damaged tags are no reason to refuse the pixels
        return None
    return {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }.get(tag if isinstance(tag, int) else 1)


def _split(picture: Image.Image, notes: list[str]) -> tuple[Image.Image, Image.Image | None]:
    """Colours as L, RGB, CMYK or LAB, and the alpha channel of a picture of any mode."""
    if picture.mode.startswith(("I", "F")):
        return _from_values(picture, notes), None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        return picture.convert("RGB"), picture.getchannel("A")
    if picture.mode in ("L", "RGB", "CMYK", "LAB"):
        return picture, None
    return picture.convert("L" if picture.mode == "1" else "RGB"), None


def _from_values(picture: Image.Image, notes: list[str]) -> Image.Image:
    """Grey of integers or floats: white is the least full scale that holds all values; if there is
    none, the least value becomes black and the greatest white."""
    from PIL import Image

    values = np.nan_to_num(np.asarray(picture).astype(np.float32), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    scales = _FULL_SCALES[{"F": 0, "I": 1}.get(picture.mode, 2) :]
    black, white = 0.0, next((scale for scale in scales if high <= scale), 0.0)
    if low < 0 or not white:
        black, white = low, max(high, np.nextafter(low, np.inf, dtype=np.float32))
        notes.append(f"values {low:g} … {high:g} scaled to 0 … 255")
    elif white == _FULL_SCALES[-1] and not notes:
        notes.append("16-bit values reduced to 8")
    values = (values - black) * (255 / (white - black))
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _from_profile(picture: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """The picture in sRGB, if its profile says anything else and fits its colours."""
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab": "LAB"}.get(space, "")
        if mode != picture.mode and not (mode == "RGB" and picture.mode == "L"):
            return picture
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
        if mode in ("L", "RGB") and not _changes(transform, mode):
            return picture
        converted = ImageCms.applyTransform(picture.convert(mode), transform)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        notes.append("its damaged colour profile was not used")
        return picture
    notes.append("colour profile converted to sRGB")
    return picture if converted is None else converted


def _changes(transform: Any, mode: str) -> bool:
    """Whether a transform moves any colour visibly."""
    from PIL import Image, ImageCms

    if mode == "L":
        colours = np.arange(256, dtype=np.uint8)[None]
    else:
        axis = np.linspace(0, 255, _LATTICE).astype(np.uint8)
        colours = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(1, -1, 3)
    picture = Image.fromarray(colours)
    after = np.asarray(ImageCms.applyTransform(picture, transform)).astype(int)
    return bool(np.abs(after - np.asarray(picture.convert("RGB"))).max() > _SAME_COLOUR)
