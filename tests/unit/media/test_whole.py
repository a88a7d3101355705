"""Whatever is cut off a file of ours, it is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import RECIPE_SCHEMA
from nuwa_cli.media.video import write_video
from nuwa_cli.media.whole import is_whole

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 16, 18, 3), dtype=np.uint8)


def box_starts(content: bytes) -> set[int]:
    """Where the boxes of an MP4 begin, but for the first: it is whole there as far as anyone can see."""
    starts, place = set(), 0
    while place < len(content):
        place += int.from_bytes(content[place : place + 4])
        starts.add(place)
    return {start - len(content) * sign for start in starts for sign in (0, 1)}


@pytest.mark.parametrize("recipe", [None, {"schema": RECIPE_SCHEMA, "prompt": "odd"}], ids=bool)
@pytest.mark.parametrize(
    "name",
    ["i.png", "i.jpg", "i.webp", "c.mp4", "c.webm", "c.gif", "c.webp", "c.apng"],
)
def test_any_cut_is_seen(tmp_path: Path, name: str, recipe: dict[str, str] | None) -> None:
    path, form = tmp_path / name, name[2:]
    if name.startswith("i."):
        write_image(path, FRAMES[0], recipe)
    else:
        write_video(path, FRAMES, 6, recipe)
    assert is_whole(path, form)
    content = path.read_bytes()
    ends = [*range(min(40, len(content))), *range(40, len(content), 97), *range(-40, 0)]
    for end in set(ends) - box_starts(content if form == "mp4" else b""):
        path.write_bytes(content[:end])
        assert not is_whole(path, form), end
    path.write_bytes(content + b"x")
    assert not is_whole(path, form)
