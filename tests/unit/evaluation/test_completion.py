"""Holes, and the comparison of engines on them, with engines of known skill."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nuwa_cli.compositing.shapes import bounds_of
from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.artists import Frames
from nuwa_cli.evaluation.completion import border_error, damaged, kind_of, side_by_side
from nuwa_cli.evaluation.holes import HOLE_KINDS, SIDES, make_hole
from nuwa_cli.evaluation.paired import frechet_difference, paired_difference
from nuwa_cli.evaluation.report import markdown_table
from nuwa_cli.evaluation.run import joined
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.evaluation.sheet import ENGINE_TITLES, column_sheet
from nuwa_cli.evaluation.suite import evaluate
from nuwa_cli.model.evaluator import DIRECTIONS, EvaluatorConfig, Judgement
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.storybook.world import WorldConfig

CORE = WorldConfig.core()
CONFIG = EvaluatorConfig(subjects=CORE.subjects, places=CORE.places, directions=DIRECTIONS)
SIZE, COUNT = 32, 24
SETTINGS = EvaluationSettings(completions=COUNT, only=("completion",))


class ColourJudge:
    """Reads the subject where it stands, and the place in the corner; features are mean colours."""

    config = CONFIG

    def judge_images(self, images: Tensor) -> Judgement:
        subject = images[:, 0, 20, 12].long()
        place = images[:, 1, 0, 0].long()
        return Judgement(subject, place, None, images.float().mean((2, 3)))


class BoxRenderer:
    """A box with the subject's number as red, in a place with its number as green."""

    def render(self, specs: list[SceneSpec], frames: Any = None) -> SimpleNamespace:
        [spec], [_] = specs, frames  # one moment of one scene
        mask = torch.zeros((1, 1, SIZE, SIZE), dtype=torch.uint8)
        mask[:, :, 16:24, 8:16] = 1
        pixels = torch.full((1, 1, 3, SIZE, SIZE), 40, dtype=torch.uint8)
        pixels[:, :, 0] += mask * (CORE.subjects.index(spec.subjects[0].id) - 40)
        pixels[:, :, 1] = CORE.places.index(spec.place)
        return SimpleNamespace(pixels=pixels, classes=mask, subject_mask=mask)


class Artist:
    """LIP paints the original but for one level of blue; the raster form also misses the subject."""

    fingerprint = {"model": {"name": "fake"}, "settings": {"sampling": {}}}  # noqa: RUF012

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, bytes]] = []
        self.fail_after: int | None = None

    def complete(
        self, picture: Frames, hole: np.ndarray, prompt: str, seed: int, engine: str
    ) -> Frames:
        if len(self.asked) == self.fail_after:
            raise KeyboardInterrupt
        assert prompt
        self.asked.append((engine, seed, hole.tobytes()))
        result = picture.copy()
        result[hole] += np.array((0, 0, 1) if engine == "lip" else (1, 0, 21), dtype=np.uint8)
        return result[None]

    def restore(self, frames: Frames) -> Frames:
        return frames + np.uint8(2)


def run(artist: Artist, settings: EvaluationSettings = SETTINGS, **more: Any) -> Any:
    return evaluate(
        artist,  # type: ignore[arg-type]
        ColourJudge(),  # type: ignore[arg-type]
        settings,
        num_frames=10,
        fps=6,
        renderer=BoxRenderer(),  # type: ignore[arg-type]
        **more,
    )


def subject_mask(height: int = 64, width: int = 64) -> np.ndarray:
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 3 : height // 2, width // 4 : width // 2] = True
    return mask


@given(st.integers(0, 400), st.integers(0, 1 << 40), st.integers(16, 80), st.integers(16, 80))
def test_a_hole_is_neither_nothing_nor_everything(
    index: int, seed: int, height: int, width: int
) -> None:
    hole = make_hole(index, seed, subject_mask(height, width))
    assert hole.kind == HOLE_KINDS[index % 6] == kind_of(index)
    assert hole.mask.shape == (height, width) and hole.mask.dtype == bool
    assert hole.mask.any() and not hole.mask.all()
    assert np.array_equal(hole.mask, make_hole(index, seed, subject_mask(height, width)).mask)


def test_holes_are_as_large_as_their_kind_says() -> None:
    subject = subject_mask(256, 256)
    left, top, right, bottom = bounds_of(subject)
    for index in range(120):
        hole = make_hole(index, index, subject)
        share = hole.mask.mean()
        if hole.kind == "subject":
            assert 0.28 <= hole.mask[top:bottom, left:right].mean() <= 0.72
        elif hole.kind == "five percent":
            assert 0.94 <= share <= 0.96
        elif hole.kind == "half":
            side = SIDES[index // 6 % 4]
            edge = {"left": (128, 0), "right": (128, -1), "top": (0, 128), "bottom": (-1, 128)}
            opposite = SIDES[(SIDES.index(side) + 2) % 4]
            assert hole.mask[edge[side]] and not hole.mask[edge[opposite]]
            assert 0.34 <= share <= 0.66
        else:
            assert 0.04 <= share <= 0.62


def test_what_lies_right_of_and_below_holes_matters_in_most_cases() -> None:
    def has_known_after(mask: np.ndarray) -> bool:
        """Right of the hole in its rows, or below it in its columns, for most of its pixels."""
        known_right = (~mask)[:, ::-1].cumsum(1)[:, ::-1] > 0
        known_below = (~mask)[::-1].cumsum(0)[::-1] > 0
        return bool((known_right | known_below)[mask].mean() > 0.5)

    holes = [make_hole(index, index, subject_mask(256, 256)).mask for index in range(200)]
    assert sum(map(has_known_after, holes)) >= 0.6 * 200


def test_the_border_error_sees_the_border_alone() -> None:
    original = np.random.default_rng(0).integers(0, 200, (32, 32, 3), dtype=np.uint8)
    hole = np.zeros((32, 32), dtype=bool)
    hole[8:20, 10:30] = True
    assert border_error(original, original, hole) == 0.0
    shifted, deep = original.copy(), original.copy()
    shifted[hole] += 10
    deep[10:18, 12:28] += 10
    assert border_error(shifted, original, hole) == 10.0
    assert border_error(deep, original, hole) == 0.0
    assert border_error(shifted, original, np.ones_like(hole)) is None


def test_both_engines_get_the_same_holes_and_the_better_one_wins_every_figure() -> None:
    artist = Artist()
    seen: list[tuple[int, int]] = []
    report, samples = run(artist, on_progress=lambda *x: seen.append(x))
    assert seen[-1] == (2 * COUNT, 2 * COUNT) and len(samples) == 2 * COUNT
    assert [a[1:] for a in artist.asked[:COUNT]] == [a[1:] for a in artist.asked[COUNT:]]
    found = report["completion"]
    nuwa, lip, originals = (found[name] for name in ("nuwa", "lip", "renders"))
    assert lip["subject"] == originals["subject"] == 1.0 > nuwa["subject"]
    assert nuwa["place"] == nuwa["outside_identical"] == 1.0
    assert lip["border"] == lip["inside"] == pytest.approx(1 / 3, abs=1e-3)
    assert nuwa["border"] == pytest.approx(22 / 3, abs=1e-3)
    assert originals["border"] == originals["frechet"] == 0.0
    assert 0 < lip["frechet"] < found["restored"]["frechet"] < nuwa["frechet"]
    difference = found["difference"]
    assert difference["border"]["mean"] == difference["border"]["high"] == -7.0
    assert difference["subject"]["low"] > 0 > difference["frechet"]["high"]
    assert difference["subject"]["pairs"] < COUNT == difference["place"]["pairs"]
    assert list(found["by_kind"]) == list(HOLE_KINDS)
    assert found["by_kind"]["half"]["lip"]["samples"] == COUNT / 6


def test_a_stopped_run_goes_on_and_gives_the_same_report(tmp_path: Path) -> None:
    settings = replace(SETTINGS, completions=10)
    expected, _ = run(Artist(), settings)
    artist = Artist()
    artist.fail_after = 13
    with pytest.raises(KeyboardInterrupt):
        run(artist, settings, partial=tmp_path / "partial")
    artist.fail_after = None
    report, _ = run(artist, settings, partial=tmp_path / "partial")
    assert len(artist.asked) == 2 * 10 and report["completion"] == expected["completion"]


def test_nothing_is_measured_without_renders_or_when_not_asked_for() -> None:
    report, _ = run(Artist(), replace(SETTINGS, only=("text",), num=0, clips=0))
    assert report["completion"] == {}
    report, _ = run(Artist(), replace(SETTINGS, completions=0))
    assert report["completion"] == {}


def test_tables_and_a_later_report_keep_the_section() -> None:
    report, _ = run(Artist(), replace(SETTINGS, completions=12))
    text = markdown_table(report)
    assert "| LIP | 12 | 100.0 % | 100.0 % | 0.3 |" in text
    assert "| five percent | 2 |" in text and "border -7.0 (-7.0 to -7.0)" in text
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert all(len({line.count("|") for line in t.splitlines()}) == 1 for t in tables)
    later = report | {"completion": {}, "extension": {"right": {}}}
    assert joined(report, later)["completion"] == report["completion"]


def test_rows_of_pictures_side_by_side() -> None:
    picture = np.full((SIZE, SIZE, 3), 60, dtype=np.uint8)
    hole = subject_mask(SIZE, SIZE)
    row = side_by_side(Artist(), picture, hole, "a horse", 1)  # type: ignore[arg-type]
    assert len(row) == len(ENGINE_TITLES) and np.array_equal(row[-1], picture)
    assert (row[0] == damaged(picture, hole)).all() and (row[0][hole] == 250).all()
    assert row[1][hole, 2].min() == 81 and row[2][hole, 2].min() == 61
    sheet = column_sheet(ENGINE_TITLES, [("a horse", row), ("again", row)], side=64)
    side = picture.shape[0]
    last = sheet[:, -sheet.shape[1] // 4 :]
    assert (last == 60).all(axis=-1).sum() == 2 * side * side  # the last column, in both rows
    with pytest.raises(UsageError, match="one a column"):
        column_sheet(ENGINE_TITLES, [("short", row[:2])])


def test_differences_are_paired() -> None:
    dice = np.random.default_rng(0)
    hard = dice.normal(0, 100, 50)  # questions differ a lot, the two answers to one do not
    found = paired_difference([*hard, None], [*(hard + 1 + dice.normal(0, 0.1, 50)), 5.0])
    assert found is not None and found["pairs"] == 50
    assert 0.9 < found["low"] < found["mean"] < found["high"] < 1.1
    assert paired_difference([1.0, None], [None, 1.0]) is None
    near, far = (hard[:, None] + shift + np.zeros((50, 2)) for shift in (1.0, 30.0))
    found = frechet_difference(near, far, hard[:, None] + np.zeros((50, 2)))
    assert found["low"] > 0 and found["mean"] == pytest.approx(2 * (900 - 1), abs=1)
