"""What `nuwa extend` and `nuwa t2i --size` refuse before they load anything, and how amounts are read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.cli.growing.amounts import amount, parse_growth
from nuwa_cli.errors import UsageError

Run = Callable[..., Any]


@pytest.fixture
def photo(work: Path) -> None:
    """A picture of 30x20 in `a.png`."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(work / "a.png")


OUT = ("-o", "b.png")
NOTHING = "nothing to add"
USAGE = [
    (("extend", "a.png", *OUT), NOTHING),
    (("extend", "a.png", "--right", "0", *OUT), NOTHING),
    (("extend", "a.png", "--right", "1x", "--up", "0%", *OUT), NOTHING),
    (("extend", "a.png", "--size", "30x20", *OUT), NOTHING),
    (("extend", "a.png", "--right", "-5", *OUT), "right '-5'"),
    (("extend", "a.png", "--right", "x", *OUT), "right 'x': is no amount"),
    (("extend", "a.png", "--right", "", *OUT), "right ''"),
    (("extend", "a.png", "--right", "1e9x", *OUT), "right '1e9x'"),
    (("extend", "a.png", "--right", "nan%", *OUT), "right 'nan%'"),
    (("extend", "a.png", "--right", "0.5x", *OUT), "less than the input"),
    (("extend", "a.png", "--right", "٣", *OUT), "right '٣'"),
    (("extend", "a.png", "--right", "9" * 5000, *OUT), "is no amount"),
    (("extend", "a.png", "--right", "999999999", *OUT), "too large; a side has at most 1000000"),
    (("extend", "a.png", "--around", "999999", *OUT), "too large; a side has"),
    (("extend", "a.png", "--around", "99999", *OUT), "give at most 1000 million pixels"),
    (("extend", "a.png", "--size", "10x20", *OUT), "the input is 30x20"),
    (("extend", "a.png", "--size", "x", *OUT), "size 'x': is no size"),
    (("extend", "a.png", "--size", "0x9", *OUT), "size '0x9'"),
    (("extend", "a.png", "--size", "99x99", "--right", "9", *OUT), "leave --right out"),
    (("extend", "a.png", "--right", "9", "--prompt-at", "9", *OUT), "prompt-at '9'"),
    (("extend", "a.png", "--right", "9", "--prompt-at", "9:", *OUT), "prompt ''"),
    (("extend", "a.png", "--right", "9", "--prompt-at", ":a dog", *OUT), "prompt-at ':a dog'"),
    (("extend", "a.png", "--right", "9", "--prompt-at", "-9:a dog", *OUT), "prompt-at '-9:a dog'"),
    (("extend", "a.png", "--right", "9", "--prompt-at", "39:a dog", *OUT), "is 39 pixels wide"),
    (("extend", "a.png", "--up", "9", "--prompt-at", "29:a dog", *OUT), "is 29 pixels high"),
    (
        ("extend", "a.png", "--right", "9", "--prompt-at", "3:a", "--prompt-at", "3:b", *OUT),
        "prompt-at '3': is given twice",
    ),
    (("extend", "a.png", "", "--right", "9", *OUT), "prompt ''"),
    (("extend", "a.png", "--right", "9"), "missing option '-o'"),
    (("extend", "a.png", "--right", "9", "-o", "b.mp4"), "no picture format"),
    (("extend", "a.png", "--right", "9", "-n", "0", *OUT), "num '0'"),
    (("extend", "a.png", "--right", "9", "--frames", "9", *OUT), "nuwa predict sets it in motion"),
    (("extend", "a.png", "--right", "9", "--fps", "9", *OUT), "nuwa predict sets it in motion"),
    (("extend", "a.png", "--right", "70000", "-o", "b.jpg"), "at most 65500 pixels a side"),
    (("extend", "a.png", "--right", "17000", "-o", "b.webp"), "at most 16383 pixels a side"),
    (("extend", "a.png", "--size", "9000x9000", "-o", "b.jpg"), "is written from memory"),
    (("t2i", "a dog", "--size", "9", *OUT), "size '9': is no size"),
    (("t2i", "a dog", "--size", "2000000x9", *OUT), "too large"),
    (("t2i", "a dog", "--size", "70000x9", "-o", "b.jpg"), "write a .png"),
]
INPUT = [
    (("extend", "none.png", "--right", "9", *OUT), "none.png"),
    (("extend", "text.png", "--right", "9", *OUT), "text.png"),
]
OUTPUT = [
    (("extend", "a.png", "--right", "9", "-o", "there.png"), "exists; give --force"),
    (("extend", "a.png", "--right", "9", "-o", "folder.png"), "is a folder"),
    (("extend", "a.png", "--right", "9", "-o", "x/b.png"), "mkdir -p 'x'"),
]


@pytest.mark.usefixtures("photo")
@pytest.mark.parametrize(
    ("words", "status", "why"),
    [(words, 2, why) for words, why in USAGE]
    + [(words, 3, why) for words, why in INPUT]
    + [(words, 4, why) for words, why in OUTPUT],
    ids=lambda value: str(value)[:60],
)
def test_refusals_leave_nothing_and_load_nothing(
    tiny: Run,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    why: str,
) -> None:
    (work / "text.png").write_text("no picture")
    (work / "there.png").write_bytes(b"mine")
    (work / "folder.png").mkdir()
    before = sorted(work.rglob("*"))
    monkeypatch.setattr("nuwa_cli.api.engine.load_model", None)
    tiny(*words, "-q").check_refusal(status, why)
    assert sorted(work.rglob("*")) == before


def test_amounts() -> None:
    assert [amount("up", text, 200) for text in ("0", "7", "50%", "4x", "1.5x", "2×", "0.3%")] == [
        *(0, 7, 100, 600, 100, 200, 1)
    ]
    growth = parse_growth({"left": "3x", "right": "3x", "up": None}, None, ["9:b", "0:a"])
    margins = growth.margins(10, 20)
    assert (margins.left, margins.right, margins.top, margins.bottom) == (40, 40, 0, 0)
    assert growth.segments == ((0, "a"), (9, "b"))
    with pytest.raises(UsageError, match="size"):
        parse_growth({}, "5", [])
