"""Contact sheets: everything has its place, text is cut and drawn where the face can."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nuwa_cli.media.contact_sheet import (
    caption_of,
    contact_sheet,
    drawable,
    shown,
    shrunk,
    tile_side,
)

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

RED, GREEN, BLUE = (220, 0, 0), (0, 200, 0), (0, 0, 220)


def flat(color: tuple[int, int, int], width: int = 64, height: int = 64, count: int = 1) -> Pixels:
    return np.full((count, height, width, 3), color, dtype=np.uint8)


def boxes(sheet: Pixels, color: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of all pixels of exactly this colour."""
    rows, columns = np.nonzero((sheet == color).all(axis=-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def test_nine_pictures_make_a_square() -> None:
    sheet = contact_sheet([(flat(RED), "")] * 8 + [(flat(BLUE), "")])
    assert sheet.dtype == np.uint8
    assert sheet.shape == (2 * 12 + 3 * 64 + 2 * 8, 2 * 12 + 3 * 64 + 2 * 8, 3)
    assert boxes(sheet, RED)[:2] == (12, 12)
    assert boxes(sheet, BLUE) == (12 + 2 * 72, 12 + 2 * 72, 12 + 2 * 72 + 64, 12 + 2 * 72 + 64)


def test_columns_side_and_order() -> None:
    colors = [RED, GREEN, BLUE]
    row = contact_sheet([(flat(color), "") for color in colors], columns=3)
    lefts = [boxes(row, color)[0] for color in colors]
    assert lefts == sorted(lefts)
    assert {boxes(row, color)[1] for color in colors} == {12}
    column = contact_sheet([(flat(color), "") for color in colors], columns=1, side=32)
    assert [boxes(column, color)[1] for color in colors] == [12, 12 + 40, 12 + 80]
    assert column.shape[1] == 12 + 32 + 12


def test_a_clip_is_a_row_of_its_frames() -> None:
    clip = np.concatenate([flat(RED), flat(GREEN, count=19), flat(BLUE)])
    sheet = contact_sheet([(clip, ""), (flat(RED), "")])
    assert sheet.shape == (12 + 64 + 8 + 64 + 12, 12 + 6 * 64 + 5 * 2 + 12, 3)
    assert boxes(sheet[:80], RED) == (12, 12, 76, 76)
    assert boxes(sheet, BLUE) == (12 + 5 * 66, 12, 12 + 5 * 66 + 64, 76)
    assert boxes(sheet[80:], RED)[0] == 12


def test_other_shapes_keep_their_proportions() -> None:
    sheet = contact_sheet([(flat(RED), ""), (flat(GREEN, 128, 32), ""), (flat(BLUE, 20, 60), "")])
    left, top, right, bottom = boxes(sheet, GREEN)
    assert (right - left) / (bottom - top) == pytest.approx(4, rel=0.05)
    left, top, right, bottom = boxes(sheet, BLUE)
    assert (right - left, bottom - top) == (20, 60)  # never enlarged


def test_captions_take_room_only_where_there_are_some() -> None:
    bare = contact_sheet([(flat(RED), "")] * 2)
    named = contact_sheet([(flat(RED), "7"), (flat(RED), "")])
    assert named.shape[0] > bare.shape[0]
    below = named[boxes(named, RED)[3] :]
    dark = (below.max(axis=-1) < 180).any(axis=0)
    assert dark[:40].any()
    assert not dark[90:].any()


def test_long_captions_stay_below_their_picture() -> None:
    words = "many words " * 40
    for labels, width in (((words, "x", ""), 64), ((words, "", "x"), 136), ((words, "", ""), 208)):
        sheet = contact_sheet([(flat(RED), label) for label in labels], columns=3)
        below = sheet[boxes(sheet, RED)[3] :, : 12 + width + 6]
        dark = np.nonzero((below.max(axis=-1) < 200).any(axis=0))[0]
        assert width - 24 < dark.max() < 12 + width


def test_titles_and_coloured_frames() -> None:
    entries = [(flat(RED), "a"), (flat(RED), "b")]
    sheet = contact_sheet(entries, 2, titles=("left", "right"), colors=[GREEN, None])
    assert boxes(sheet, RED)[1] > 12 + 11
    left, top, _, bottom = boxes(sheet, GREEN)
    assert (left, top) == (12 - 3, boxes(sheet, RED)[1] - 3)
    assert bottom - top == 64 + 6


def test_what_cannot_be_drawn_is_left_out() -> None:
    assert drawable("a dog") == "a dog"
    assert drawable("NÜWA, déjà vu") == "NUWA, deja vu"
    assert drawable("a 在 dog\nruns\x1b") == "a dog runs"
    assert caption_of("a dog", 7) == "7 · a dog"
    assert caption_of("在草地上打高尔夫球", 7) == "7"
    assert caption_of("a dog on the 草", 0) == "0 · a dog on the"
    assert caption_of("", None) == ""


def test_frames_shown_begin_and_end_the_clip() -> None:
    frames = np.arange(21, dtype=np.uint8)[:, None, None, None]
    assert shown(frames)[:, 0, 0, 0].tolist() == [0, 4, 8, 12, 16, 20]
    assert shown(frames[:3]).shape[0] == 3
    assert shown(frames, 2)[:, 0, 0, 0].tolist() == [0, 20]


def test_size_is_bounded_for_many_pictures() -> None:
    assert tile_side(1) == 256
    assert 600_000 * tile_side(600_000) ** 2 < 1e9
    for count in (1, 500, 5_000):
        assert count * tile_side(count) ** 2 <= 48_000_000
    assert shrunk(flat(RED, 1000, 10)[0], 100).shape == (1, 100, 3)
    assert contact_sheet([]).shape[2] == 3
