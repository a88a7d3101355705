"""Longer clips: chunks that begin with the last frames, and what they are expected to remember."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given as drawn_from
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.api import NuwaPipeline
from nuwa_cli.infinity.clip_memory import ClipMemory, distance_from, move_box, to_and_fro
from nuwa_cli.infinity.clips import chunks, lengthen
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit

SIZE = 32
ROWS, CELL = 8, 8  # of the clips that are remembered


class _Grey:
    """A tokenizer that any frame (T, S, S, 3) is easy to read for: a cell's token is its mean / 4."""

    def picture_tokens(self, frames: Any) -> Tensor:
        cells = frames.reshape(len(frames), ROWS, CELL, ROWS, CELL, 3)
        return torch.from_numpy((cells.mean(axis=(2, 4, 5)) / 4).astype(np.int64))[None]


GREY = cast(Toolkit, _Grey())


def _clip(*columns: int) -> Any:
    """A dark ground (token 5) with a bright cell (token 50) that stands in row 0."""
    frames = np.full((len(columns), ROWS * CELL, ROWS * CELL, 3), 20, dtype=np.uint8)
    for frame, column in zip(frames, columns, strict=True):
        frame[:CELL, column * CELL : (column + 1) * CELL] = 200
    return frames


def _box(column: int, row: int = 0) -> tuple[float, float, float, float]:
    return ((column + 0.5) / ROWS, (row + 0.5) / ROWS, 1 / ROWS, 1 / ROWS)


def _memory(frames: Any, *columns: int) -> ClipMemory:
    tokens = GREY.picture_tokens(frames)[0]
    return ClipMemory(GREY, frames, tokens, [_box(column) for column in columns])


@drawn_from(given=st.integers(1, 12), more=st.integers(1, 60), clip_frames=st.integers(2, 12))
def test_chunks_cover_the_clip(given: int, more: int, clip_frames: int) -> None:
    all_chunks = list(chunks(given, more, clip_frames))
    assert sum(chunk.new for chunk in all_chunks) == more
    assert [chunk.index for chunk in all_chunks] == list(range(len(all_chunks)))
    done = given
    for chunk in all_chunks:
        assert 1 <= chunk.known <= min(3, done) and chunk.known + chunk.new <= clip_frames
        done += chunk.new
    assert all(c.known + c.new == clip_frames for c in all_chunks[:-1])


def test_pictures_follow_each_other_to_and_fro() -> None:
    assert [to_and_fro(later, 4) for later in range(8)] == [3, 2, 1, 0, 1, 2, 3, 2]
    assert [to_and_fro(later, 1) for later in range(3)] == [0, 0, 0]


def test_a_moved_box_shows_what_stood_in_it() -> None:
    frame = _clip(0)[0]
    assert (move_box(frame, _box(0), _box(0)) == frame).all()
    moved = GREY.picture_tokens(move_box(frame, _box(0), _box(2, row=1))[None])[0, 0]
    assert int(moved[1, 2]) == 50 and int(moved[1, 3]) == int(moved[2, 2]) == 5
    larger = move_box(frame, _box(0), (0.125, 0.125, 0.25, 0.25))
    assert (larger[: 2 * CELL - 1, : 2 * CELL - 1] > 150).all()


def test_the_place_is_remembered_where_the_subject_has_left_it() -> None:
    memory = _memory(_clip(0, 0, 6), 0, 0, 6)
    assert (memory.expected(3, None) == 5).all()
    here = memory.expected(3, _box(3))
    assert int(here[0, 3]) == 50  # of the picture before, moved
    assert (here[:2, [2, 4]] == -1).all()  # its shadow may fall there
    assert (here[:, [0, 6]] == 5).all() and (here[2:] == 5).all()


def test_what_was_never_seen_is_left_to_the_model_until_it_is_drawn() -> None:
    memory = _memory(_clip(0, 0), 0, 0)
    assert int(memory.expected(2, _box(6))[0, 0]) == -1
    drawn = torch.full((ROWS, ROWS), 9)
    memory.keep(drawn, _box(6))
    memory.keep(drawn + 1, _box(6))
    assert int(memory.expected(3, _box(6))[0, 0]) == 9
    assert int(memory.expected(3, _box(6))[6, 0]) == 5


def test_what_stood_beside_the_subject_is_not_left_behind() -> None:
    """A shadow two cells from it is expected as long as it stands there, and no longer."""
    frames = _clip(0, 0)
    frames[:, :CELL, 2 * CELL : 3 * CELL] = 120
    memory = _memory(frames, 0, 0)
    assert int(memory.expected(2, _box(0))[0, 2]) == 30
    assert int(memory.expected(2, _box(0, row=4))[0, 2]) == -1


def test_distance_from_a_box() -> None:
    distances = distance_from(_box(0), ROWS, ROWS)
    assert distances[0].tolist() == distances[:, 0].tolist() == [0, 1, 2, 3, 3, 3, 3, 3]
    assert (distance_from(None, ROWS, ROWS) == 3).all()


def test_what_always_changes_goes_on_changing() -> None:
    frames = _clip(0, 0, 0, 0)
    frames[:, -CELL:] = np.array([40, 80, 120, 160], np.uint8)[:, None, None, None]
    memory = _memory(frames, 0, 0, 0, 0)
    shown = [int(memory.expected(4 + later, _box(0))[-1, 2]) for later in range(6)]
    assert shown == [30, 20, 10, 20, 30, 40]


def test_without_its_subject_only_the_place_is_expected() -> None:
    expected = _memory(_clip(0, 0), 0, 0).expected(2, _box(0), has_subject=False)
    assert torch.equal(expected >= 0, distance_from(_box(0), ROWS, ROWS) > 1)


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> NuwaPipeline:
    return NuwaPipeline.load(model_folder, device="cpu", dtype="float32")


class _Drawer:
    """Draws 7 everywhere, with the number of its call in the corner, and keeps all plans."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.seeds: list[int] = []

    def __call__(self, plan: Plan, seed: int) -> Tensor:
        assert plan.known_tokens is not None
        self.plans.append(plan)
        self.seeds.append(seed)
        drawn = torch.full(plan.grid.sides, 7)
        drawn[:, 0, 0] = len(self.plans)
        return torch.where(plan.known_tokens[0] >= 0, plan.known_tokens[0], drawn)


def _lengthened(
    pipeline: NuwaPipeline, given: Any, more: int, prompt: str = "", seed: int = 1
) -> tuple[Iterator[Tensor], _Drawer]:
    drawer = _Drawer()
    model, toolkit = pipeline.model.transformer, pipeline.toolkit
    text = toolkit.optional_prompt_tokens(prompt)
    return lengthen(model, toolkit, given, text, more, draw=drawer, seed=seed), drawer


@pytest.mark.parametrize(("num_given", "prompt"), [(1, ""), (1, "a dog"), (3, ""), (3, "a dog")])
def test_each_chunk_begins_with_the_last_frames(
    pipeline: NuwaPipeline, num_given: int, prompt: str
) -> None:
    given = np.random.default_rng(0).integers(0, 256, (num_given, SIZE, SIZE, 3), dtype=np.uint8)
    frames, drawer = _lengthened(pipeline, given, 7, prompt)
    clip = [*pipeline.toolkit.picture_tokens(given)[0], *frames]
    assert len(clip) == num_given + 7
    end = num_given
    for plan in drawer.plans:
        assert plan.known_tokens is not None and plan.expected is not None
        assert plan.expected.shape == plan.known_tokens.shape == (1, *plan.grid.sides)
        assert plan.has_layout and plan.layout_frames == 3 >= plan.grid.frames
        known = [frame for frame in plan.known_tokens[0] if (frame >= 0).all()]
        assert 1 <= len(known) <= 2 and (plan.known_tokens[0, len(known) :] == -1).all()
        assert torch.equal(torch.stack(known), torch.stack(clip[end - len(known) : end]))
        assert len(plan.boxes) in (0, plan.grid.frames) and plan.nobody == (not plan.boxes)
        end += plan.grid.frames - len(known)
    assert end == len(clip)
    assert len(set(drawer.seeds)) == len(drawer.seeds)


def test_more_frames_change_nothing_before_them(pipeline: NuwaPipeline) -> None:
    given = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)
    short = list(_lengthened(pipeline, given, 4, "a dog")[0])
    long, drawer = _lengthened(pipeline, given, 9, "a dog")
    assert all(map(torch.equal, short, itertools.islice(long, 4)))
    assert len(drawer.plans) == 4  # and no chunk is drawn before its frames are asked for
    list(long)
    again, other = _lengthened(pipeline, given, 9, "a dog", seed=2)
    list(again)
    assert not set(other.seeds) & set(drawer.seeds)
