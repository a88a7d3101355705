"""The mark that a machine made it, XMP with IPTC `DigitalSourceType`, in every format, where other programs
look for it."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from PIL import Image

from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import ALGORITHMIC, RECIPE_SCHEMA, TRAINED, mp4_xmp_box, xmp_packet
from nuwa_cli.media.streaming import send_clip
from nuwa_cli.media.video import write_video

RECIPE = {"schema": RECIPE_SCHEMA, "version": "1.2", "prompt": "图"}
FRAMES = np.zeros((3, 16, 16, 3), dtype=np.uint8)
FRAMES[1:, 4:8, 4:8] = 200


def check(packet: str | bytes, source: str = TRAINED) -> None:
    text = packet if isinstance(packet, str) else packet.decode()
    assert f'Iptc4xmpExt:DigitalSourceType="{source}"' in text
    assert 'xmp:CreatorTool="nuwa 1.2"' in text
    assert text.startswith("<?xpacket begin=") and text.endswith('<?xpacket end="w"?>')
    ElementTree.fromstring(text)  # well-formed


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_pictures(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"a.{suffix}", FRAMES[1], RECIPE)
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        text = picture.info.get("xmp") or picture.info["XML:com.adobe.xmp"]
        check(text)


def test_a_jpeg_whose_recipe_needs_several_blocks(tmp_path: Path) -> None:
    write_image(tmp_path / "a.jpg", FRAMES[1], {**RECIPE, "prompt": "x" * 150_000})
    with Image.open(tmp_path / "a.jpg") as picture:
        check(picture.info["xmp"])
    content = (tmp_path / "a.jpg").read_bytes()
    assert len(re.findall(rb"\xff\xe1..Exif\0\0", content, re.DOTALL)) == 3


@pytest.mark.parametrize("suffix", ["webp", "apng"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    write_video(tmp_path / f"a.{suffix}", FRAMES, 6, RECIPE)
    with Image.open(tmp_path / f"a.{suffix}") as picture:
        picture.load()
        check(picture.info.get("xmp") or picture.info["XML:com.adobe.xmp"])


def test_gif(tmp_path: Path) -> None:
    """An application extension before the trailer; a reader that walks its blocks finds the end."""
    path = tmp_path / "a.gif"
    write_video(path, FRAMES, 6, RECIPE)
    content = path.read_bytes()
    blocks = extensions(content)
    (packet,) = [
        body for label, body in blocks if label == b"\xff" and body[1:12] == b"XMP DataXMP"
    ]
    start = content.index(b"XMP DataXMP") + 11
    end = content.index(b"\x01\xff\xfe", start)
    check(content[start:end])
    assert len(content) - end == 258 + 1  # the magic trailer, and that of the file
    assert packet.endswith(b"\0")
    with Image.open(path) as picture:
        frames: int = getattr(picture, "n_frames", 1)
        for index in range(frames):
            picture.seek(index)
            picture.load()
        assert frames >= 2


def extensions(content: bytes) -> list[tuple[bytes, bytes]]:
    """(label, sub-blocks with their lengths) of each extension, read as a program that knows none of
    them does; asserts that the file ends in its trailer."""
    flags = content[10]
    place = 13 + (3 << ((flags & 7) + 1) if flags & 128 else 0)
    found = []
    while content[place : place + 1] != b";":
        introducer = content[place : place + 1]
        if introducer == b"!":
            label, start = content[place + 1 : place + 2], place + 2
        else:
            assert introducer == b",", (place, introducer)
            local = content[place + 9]
            start = place + 10 + (3 << ((local & 7) + 1) if local & 128 else 0) + 1
            label = b","
        place = start
        while content[place]:
            place += content[place] + 1
        place += 1
        found.append((label, content[start:place]))
    assert place == len(content) - 1
    return found


def boxes(content: bytes) -> list[tuple[bytes, bytes]]:
    """(type, body) of the boxes of an MP4, from its first byte to its last."""
    found, place = [], 0
    while place < len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        assert size >= 8
        found.append((kind, content[place + 8 : place + size]))
        place += size
    assert place == len(content)
    return found


def test_mp4(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    write_video(path, FRAMES, 6, RECIPE)
    ((_, body),) = [box for box in boxes(path.read_bytes()) if box[0] == b"uuid"]
    check(body[16:])
    # libavformat knows the box, and nothing is lost behind it.
    with av.open(str(path), container_options={"export_xmp": "1"}) as container:
        check(container.metadata["xmp"])
        assert len(list(container.decode(video=0))) == 3


def test_streamed_mp4(tmp_path: Path) -> None:
    with (tmp_path / "a.mp4").open("wb") as file:
        send_clip(file, FRAMES, 6, "mp4", RECIPE)
    content = (tmp_path / "a.mp4").read_bytes()
    assert [body for kind, body in boxes(content) if kind == b"uuid"] == [
        mp4_xmp_box(RECIPE)[8:],
    ]


def test_webm(tmp_path: Path) -> None:
    write_video(tmp_path / "a.webm", FRAMES, 6, RECIPE)
    with av.open(str(tmp_path / "a.webm")) as container:
        check(container.metadata["XMP"])


def test_other_sources_are_named() -> None:
    recipe: dict[str, Any] = {**RECIPE, "digital_source_type": ALGORITHMIC}
    check(xmp_packet(recipe), ALGORITHMIC)
