"""`Preview`: a file that always holds the latest state, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.cli.looking import preview as module
from nuwa_cli.cli.looking.preview import Preview
from nuwa_cli.errors import OutputError, UsageError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

GREY = 200


class Clock:
    """Time that passes when told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def flat(value: int, height: int = 16, width: int = 16) -> Pixels:
    return np.full((height, width, 3), value, dtype=np.uint8)


def read(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def tiles(path: Path, columns: int, side: int = 16) -> list[int]:
    """The grey of every tile, from its corner."""
    sheet = read(path)
    step = side + 2
    rows = (sheet.shape[0] + 2) // step
    assert sheet.shape == (rows * step - 2, columns * step - 2, 3)
    return [int(sheet[r * step, c * step, 0]) for r in range(rows) for c in range(columns)]


def test_a_clip_grows_frame_by_frame(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "now.png"
    preview = Preview(path, num_frames=3)
    assert not path.exists()
    preview.frame(0, 0, flat(10))
    assert tiles(path, 3) == [10, GREY, GREY]
    preview.frame(0, 1, flat(20))
    assert tiles(path, 3) == [10, GREY, GREY]  # too soon
    clock.now += 0.5
    preview.frame(0, 2, flat(30))
    assert tiles(path, 3) == [10, 20, 30]
    preview.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["now.png"]


def test_close_writes_what_is_left_and_nothing_else(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "now.png"
    preview = Preview(path, num_frames=2)
    preview.frame(0, 0, flat(10))
    preview.frame(0, 1, flat(20))
    preview.close()
    assert tiles(path, 2) == [10, 20]
    written = path.stat().st_mtime_ns
    clock.now += 5
    preview.close()
    assert path.stat().st_mtime_ns == written
    Preview(tmp_path / "never.png").close()
    assert not (tmp_path / "never.png").exists()


def test_a_picture_grows_line_by_line(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "now.png"
    preview = Preview(path)
    for lines in (4, 8, 16):
        preview.frame(0, 0, flat(50, height=lines))
        clock.now += 1
        assert read(path).shape == (lines, 16, 3)
    assert (read(path) == 50).all()


def test_pictures_stand_in_a_square_and_clips_in_rows(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "now.png"
    pictures = Preview(path, num_orders=4)
    pictures.frame(0, 0, flat(1))
    pictures.frame(2, 0, flat(3, height=8))  # the upper half of it
    pictures.close()
    assert tiles(path, 2) == [1, GREY, 3, GREY]
    assert read(path)[18 + 12, 0, 0] == GREY
    clips = Preview(path, num_orders=2, num_frames=21, force=True)
    for order in (0, 1):
        for index in range(21):
            clips.frame(order, index, flat(100 * order + index))
    clips.close()
    assert tiles(path, 6) == [0, 4, 8, 12, 16, 20, 100, 104, 108, 112, 116, 120]
    assert clock.now == 100.0


def test_many_outputs_keep_it_small(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "now.png"
    preview = Preview(path, num_orders=1000)
    for order in range(130):
        preview.frame(order, 0, flat(order))
    preview.close()
    assert tiles(path, 8) == list(range(66, 130))
    long = Preview(path, num_frames=None, force=True)
    for index in range(127):
        long.frame(0, index, flat(index))
    long.close()
    assert tiles(path, 8) == list(range(0, 127, 2))
    assert clock.now == 100.0


def test_the_number_of_frames_may_show_later(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "now.png"
    preview = Preview(path, num_orders=2, num_frames=None)
    for index in range(2):
        preview.frame(0, index, flat(10 + index))
        clock.now += 1
    assert tiles(path, 2) == [10, 11, GREY, GREY]
    preview.frame(1, 2, flat(22))
    assert tiles(path, 3) == [10, 11, GREY, GREY, GREY, 22]


def test_large_frames_are_shrunk(tmp_path: Path) -> None:
    path = tmp_path / "now.jpg"
    preview = Preview(path, num_frames=2)
    preview.frame(0, 0, flat(9, height=600, width=1024))
    preview.close()
    assert read(path).shape == (150, 2 * 256 + 2, 3)


def test_names_are_checked_first(tmp_path: Path) -> None:
    taken = tmp_path / "taken.png"
    taken.write_bytes(b"mine")
    with pytest.raises(OutputError, match="exists"):
        Preview(taken)
    assert taken.read_bytes() == b"mine"
    with pytest.raises(UsageError, match="no picture format"):
        Preview(tmp_path / "now.mp4")
    with pytest.raises(UsageError, match="is an output as well"):
        Preview(tmp_path / "out.png", others=[tmp_path / "out.png"])


def test_a_preview_that_fails_later_does_not_end_the_run(tmp_path: Path, clock: Clock) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    preview = Preview(folder / "now.png", num_frames=3)
    preview.frame(0, 0, flat(1))
    (folder / "now.png").unlink()
    folder.rmdir()
    clock.now += 1
    preview.frame(0, 1, flat(2))
    preview.close()
    with pytest.raises(OutputError):
        Preview(folder / "now.png")
