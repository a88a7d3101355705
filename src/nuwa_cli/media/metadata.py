"""The recipe of an output, embedded in the file itself and read back without a model.

A recipe is plain JSON: command, prompt, seed, options, model name and digest, version. It travels
in the place that each format has for it, and pictures also carry the IPTC mark that a machine made
them (`DigitalSourceType`, in XMP):

    png, apng    iTXt `nuwa` + XMP          jpg, webp    EXIF UserComment + XMP
    gif          comment                    mp4, webm    tag `nuwa` (and `comment` for other tools)

Invariant: the text is canonical (sorted keys, no blanks, no time stamp), so equal runs give equal
bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.errors import InputError

if TYPE_CHECKING:
    from PIL import Image, PngImagePlugin

Recipe = dict[str, Any]

RECIPE_KEY = "nuwa"
RECIPE_SCHEMA = "nuwa.recipe/1"

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""Drawn by a trained model."""
ALGORITHMIC = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
"""Drawn by a program without training data (the storybook renderer)."""

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_ASCII = b"ASCII\0\0\0"  # EXIF names the encoding of a comment in its first eight bytes

_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmp:CreatorTool="nuwa {version}" Iptc4xmpExt:DigitalSourceType="{source}"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def recipe_text(recipe: Recipe) -> str:
    """Canonical JSON of a recipe."""
    return json.dumps(recipe, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def xmp_packet(recipe: Recipe) -> bytes:
    """The XMP packet that says who made the picture (UTF-8)."""
    source = recipe.get("digital_source_type", TRAINED)
    return _XMP.format(version=recipe.get("version", ""), source=source).encode()


def png_chunks(recipe: Recipe) -> PngImagePlugin.PngInfo:
    """Text chunks for a PNG or APNG."""
    from PIL import PngImagePlugin

    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("XML:com.adobe.xmp", xmp_packet(recipe).decode())
    chunks.add_itxt(RECIPE_KEY, recipe_text(recipe))
    return chunks


def exif_block(recipe: Recipe) -> bytes:
    """EXIF block for JPEG or WebP; the comment is JSON in pure ASCII."""
    from PIL import Image

    ascii_text = json.dumps(recipe, sort_keys=True, separators=(",", ":")).encode("ascii")
    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _ASCII + ascii_text
    return exif.tobytes()


def container_tags(recipe: Recipe) -> dict[str, str]:
    """Tags for an MP4 or WebM."""
    text = recipe_text(recipe)
    return {RECIPE_KEY: text, "comment": text}


def read_picture_recipe(picture: Image.Image) -> Recipe | None:
    """Recipe of an opened PNG, APNG, JPEG, WebP or GIF; None where there is none."""
    text = getattr(picture, "text", {}).get(RECIPE_KEY)
    if text is None:
        comment = picture.getexif().get_ifd(_EXIF_IFD).get(_USER_COMMENT)
        if isinstance(comment, bytes) and comment.startswith(_ASCII):
            text = comment[len(_ASCII) :]
    if text is None:
        text = picture.info.get("comment")
    return parse_recipe(text)


def read_container_recipe(tags: dict[str, str]) -> Recipe | None:
    """Recipe among the tags of an MP4 or WebM (WebM writes its keys in capitals)."""
    lowered = {key.lower(): value for key, value in tags.items()}
    return parse_recipe(lowered.get(RECIPE_KEY, lowered.get("comment")))


def parse_recipe(text: str | bytes | None) -> Recipe | None:
    """Decode an embedded text; None when it is not a recipe of ours."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and str(value.get("schema", "")).startswith("nuwa.recipe/"):
        return value
    return None


def require_recipe(recipe: Recipe | None, path: Path) -> Recipe:
    """The recipe, or InputError when the file carries none."""
    if recipe is None:
        raise InputError(
            f"file '{path}': carries no recipe of nuwa; "
            "it was made elsewhere, re-encoded, or written with --no-metadata"
        )
    return recipe
