"""The recipe of an output, embedded in the file itself and read back without a model.

A recipe is plain JSON: command, prompt, seed, arguments, options, model name and digest, version, tokens. It
travels in the place that each format has for it, and so does the IPTC mark that a machine made the picture
(`DigitalSourceType`, in XMP):

              recipe                                  mark
    png apng  iTXt `nuwa`                             iTXt `XML:com.adobe.xmp`
    jpg       EXIF UserComment, in several blocks     APP1
              where one of 64 KiB is too small
    webp      EXIF UserComment                        XMP chunk
    gif       comment                                 application extension `XMP Data`
    mp4       tag `nuwa`                              box `uuid` at the end of the file
    webm      tag `nuwa`                              tag `xmp`, for want of a place of its own

Clips also have a tag `comment` with the recipe but for its tokens, which other programs show.

Invariant: the text is canonical (sorted keys, no blanks, no time stamp), so equal runs give equal
bytes.
"""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

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

MAX_TEXT = 1 << 20
"""Bytes of an embedded text that is read; a recipe has some thousand."""

_EXIF_IFD = 0x8769
_USER_COMMENT = 0x9286
_ASCII = b"ASCII\0\0\0"  # EXIF names the encoding of a comment in its first eight bytes
_EXIF_HEAD = b"Exif\0\0"
_APP1 = b"\xff\xe1"
_MARKER_BYTES = 65_533  # what a JPEG marker holds besides its own length

_GIF_TRAILER = b";"
_GIF_XMP_HEAD = b"!\xff\x0bXMP DataXMP"
# A reader that knows no XMP takes every byte of the packet for the length of a block; wherever that
# leads it, these bytes lead it to the terminator.
_GIF_XMP_TAIL = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
_MP4_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # the UUID that XMP has in MP4

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_TRACES = (
    b'"schema":"',
    b"nuwa.recipe/",
    b'"command":"',
    b'"prompt":"',
    b'"digital_source_type":"',
)

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
    """Canonical JSON of a recipe, valid UTF-8 even where the name of an input is not."""
    text = json.dumps(recipe, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return _LONE_SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def frame_recipe(recipe: Recipe | None, index: int) -> Recipe | None:
    """The recipe of one picture of a numbered sequence; only the first carries the tokens."""
    if recipe is None:
        return None
    more = {"frame": index}
    return {**(recipe if index == 0 else _without_tokens(recipe)), **more}


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
    """EXIF block for WebP, and for JPEG by way of `jpeg_tags`; the comment is JSON in pure ASCII."""
    from PIL import Image

    ascii_text = json.dumps(recipe, sort_keys=True, separators=(",", ":")).encode("ascii")
    exif = Image.Exif()
    exif.get_ifd(_EXIF_IFD)[_USER_COMMENT] = _ASCII + ascii_text
    return exif.tobytes()


def jpeg_tags(recipe: Recipe) -> dict[str, bytes]:
    """What Pillow is to save in a JPEG. An EXIF block larger than a marker goes on in the next one,
    as every reader that knows such files puts it together again."""
    block, xmp = exif_block(recipe), xmp_packet(recipe)
    if len(block) <= _MARKER_BYTES:
        return {"exif": block, "xmp": xmp}
    content, step = block.removeprefix(_EXIF_HEAD), _MARKER_BYTES - len(_EXIF_HEAD)
    parts = [_EXIF_HEAD + content[at : at + step] for at in range(0, len(content), step)]
    markers = b"".join(_APP1 + struct.pack(">H", len(part) + 2) + part for part in parts)
    return {"extra": markers, "xmp": xmp}


def gif_comment(recipe: Recipe) -> bytes:
    """The comment of a GIF."""
    return recipe_text(recipe).encode()


def end_gif(file: IO[bytes], recipe: Recipe) -> None:
    """Put the XMP packet in front of the trailer of a GIF that was written to `file`."""
    file.seek(-len(_GIF_TRAILER), 2)
    assert file.read() == _GIF_TRAILER
    file.seek(-len(_GIF_TRAILER), 2)
    file.write(_GIF_XMP_HEAD + xmp_packet(recipe) + _GIF_XMP_TAIL + _GIF_TRAILER)


def container_tags(recipe: Recipe, suffix: str = ".mp4") -> dict[str, str]:
    """Tags for an MP4 or WebM."""
    tags = {RECIPE_KEY: recipe_text(recipe), "comment": recipe_text(_without_tokens(recipe))}
    if suffix == ".webm":
        tags["xmp"] = xmp_packet(recipe).decode()
    return tags


def mp4_xmp_box(recipe: Recipe) -> bytes:
    """The box with the XMP packet that ends an MP4, fragmented or not."""
    packet = _MP4_XMP + xmp_packet(recipe)
    return struct.pack(">I4s", 8 + len(packet), b"uuid") + packet


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
    if not isinstance(text, str | bytes) or len(text) > MAX_TEXT:
        return None
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and str(value.get("schema", "")).startswith("nuwa.recipe/"):
        return value
    return None


def has_traces(content: bytes) -> bool:
    """Whether bytes of a file hold what is left of a recipe of ours, readable or not."""
    return sum(trace in content for trace in _TRACES) >= 2


def require_recipe(recipe: Recipe | None, path: Path) -> Recipe:
    """The recipe, or InputError when the file carries none."""
    if recipe is None:
        raise InputError(
            f"file '{path}': carries no recipe of nuwa; "
            "it was made elsewhere, re-encoded, or written with --no-metadata"
        )
    return recipe


def _without_tokens(recipe: Recipe) -> Recipe:
    return {name: value for name, value in recipe.items() if name != "tokens"}


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
