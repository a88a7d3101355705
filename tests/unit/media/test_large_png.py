"""Recipes of pictures that are too large to be opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuwa_cli.errors import InputError
from nuwa_cli.media import large_png, probe
from nuwa_cli.media.image import write_image
from nuwa_cli.media.large_png import probe_any_size
from nuwa_cli.media.metadata import RECIPE_SCHEMA
from nuwa_cli.media.png_stream import write_png

RECIPE: dict[str, Any] = {"schema": RECIPE_SCHEMA, "prompt": "图"}


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A picture of 40x30, where 1000 pixels are too many."""
    for module in (large_png, probe):
        monkeypatch.setattr(module, "MAX_PIXELS", 1000)
    rows = np.zeros((30, 40, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", [rows[:9], rows[9:]], 30, 40, RECIPE)
    write_image(tmp_path / "b.png", rows, RECIPE)
    write_image(tmp_path / "none.png", rows)
    return tmp_path / "a.png"


def test_facts_without_pixels(large: Path) -> None:
    with pytest.raises(InputError, match="too large"):
        probe.probe(large)
    for name in ("a.png", "b.png"):
        facts = probe_any_size(large.with_name(name))
        assert facts["recipe"] == RECIPE
        assert (facts["width"], facts["height"], facts["format"]) == (40, 30, "png")
    assert probe_any_size(large.with_name("none.png"))["recipe"] is None


def test_small_ones_as_ever(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", np.zeros((4, 4, 3), dtype=np.uint8), RECIPE)
    assert probe_any_size(tmp_path / "a.png") == probe.probe(tmp_path / "a.png")


def test_damage(large: Path) -> None:
    content = large.read_bytes()
    for end in (len(content) - 1, content.index(b"IDAT"), 40, 20, 10, 3):
        large.write_bytes(content[:end])
        try:
            recipe = probe_any_size(large)["recipe"]
        except InputError:
            continue
        assert recipe in (None, RECIPE)
    place = content.index("图".encode())
    large.write_bytes(content[:place] + b"?" + content[place + 1 :])  # the checksum is another
    assert probe_any_size(large)["recipe"] is None
    large.write_bytes(content[:8] + b"\xff\xff\xff\xffzzzz" + content[8:])
    with pytest.raises(InputError):
        probe_any_size(large)
    large.write_bytes(b"")
    with pytest.raises(InputError):
        probe_any_size(large)
