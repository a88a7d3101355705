"""Sketches, predictions, edits and impossible pairs, with judges that read colours and artists of
known skill.

The red of a pixel is its sketch class, its green the subject of the frame, its blue the place.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.artists import Frames
from nuwa_cli.evaluation.bench import dilated, visible_probes
from nuwa_cli.evaluation.editing import region_around
from nuwa_cli.evaluation.prediction import background_figures
from nuwa_cli.evaluation.probes import known_world
from nuwa_cli.evaluation.report import markdown_table
from nuwa_cli.evaluation.run import joined
from nuwa_cli.evaluation.settings import SECTIONS, EvaluationSettings
from nuwa_cli.evaluation.sheet import sample_sheet
from nuwa_cli.evaluation.suite import evaluate, task_lines
from nuwa_cli.model.evaluator import DIRECTIONS, EvaluatorConfig, Judgement, direction_of
from nuwa_cli.sketches.palette import SKETCH_CLASSES
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.storybook.world import WorldConfig

CORE = WorldConfig.core()
CONFIG = EvaluatorConfig(subjects=CORE.subjects, places=CORE.places, directions=DIRECTIONS)
SIZE = 32
SKY, GRASS = 0, 5
SETTINGS = EvaluationSettings(
    num=0,
    clips=0,
    sketches=4,
    sketch_clips=3,
    predictions=3,
    edits=4,
    pairs=4,
    completions=0,
    extensions=0,
    long_pictures=0,
    long_clips=0,
)


class ColourJudge:
    """Reads subject and place from the first pixel; everything goes left."""

    config = CONFIG

    def judge_images(self, images: Tensor) -> Judgement:
        code = images[:, :, 0, 0].long()
        return Judgement(code[:, 1], code[:, 2], None, code.float())

    def judge_videos(self, videos: Tensor) -> Judgement:
        code = videos[:, -1, :, 0, 0].long()
        left = torch.full_like(code[:, 0], DIRECTIONS.index("left"))
        return Judgement(code[:, 1], code[:, 2], left, code.float())


class ColourSegmenter:
    config = SimpleNamespace(classes=tuple(entry.name for entry in SKETCH_CLASSES))

    def segment(self, frames: Tensor) -> Tensor:
        return frames[:, 0]


class BoxRenderer:
    """A box of the subject's class that travels to the right over grass, below the sky."""

    def render(self, specs: list[SceneSpec], frames: Any = None) -> SimpleNamespace:
        [spec] = specs
        indices = frames or list(range(spec.num_frames))
        classes = torch.full((1, len(indices), SIZE, SIZE), SKY, dtype=torch.uint8)
        classes[:, :, 16:] = GRASS
        mask = torch.zeros_like(classes)
        for row, index in enumerate(indices):
            if spec.subjects:
                mask[:, row, 18:26, 2 + index : 8 + index] = 1
                kind = load_catalog().subjects[spec.subjects[0].id].class_id
                classes[mask == 1] = kind
        pixels = classes[:, :, None].repeat(1, 1, 3, 1, 1)
        pixels[:, :, 1] = CORE.subjects.index(spec.subjects[0].id) if spec.subjects else 0
        pixels[:, :, 2] = CORE.places.index(spec.place)
        return SimpleNamespace(pixels=pixels, classes=classes, subject_mask=mask)


class FakeArtist:
    """Draws what the renderer would, spoiled on every other call of a kind."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.fail_after: int | None = None
        self.fingerprint = {
            "model": {"name": "fake"},
            "settings": {"sampling": {}, "best_of": None},
        }

    def _spoils(self, name: str) -> bool:
        if sum(self.calls.values()) == self.fail_after:
            raise KeyboardInterrupt
        self.calls[name] = self.calls.get(name, 0) + 1
        return self.calls[name] % 2 == 0

    def draw(self, kind: str, prompt: str, seed: int) -> Frames:
        assert kind == "video"
        subject, place = ("golfer", "swimming_pool") if "golf" in prompt else ("horse", "beach")
        frames = np.zeros((4, SIZE, SIZE, 3), dtype=np.uint8)
        frames[..., 1] = CORE.subjects.index(subject)
        frames[..., 2] = CORE.places.index(place)
        if seed == 0:
            frames[..., 1] += 1
        return frames

    def similarity(self, prompt: str, frames: Frames) -> float | None:
        raise AssertionError((prompt, len(frames)))

    def draw_sketches(self, sketches: np.ndarray, prompt: str, seed: int) -> Frames:
        assert seed >= 0
        frames = np.repeat(sketches[..., None], 3, axis=-1)
        if self._spoils(f"sketch {len(sketches)} {bool(prompt)}"):
            frames[:, :16] = GRASS  # a meadow instead of the sky
        return frames

    def predict(self, picture: Frames, prompt: str, seed: int) -> Frames:
        assert seed >= 0
        frames = np.repeat(picture[None], 10, axis=0)
        if self._spoils(f"predict {bool(prompt)}"):
            frames[3:, ..., 1] = (frames[3:, ..., 1] + 1) % len(CORE.subjects)
        return frames

    def edit(self, picture: Frames, region: np.ndarray, prompt: str, seed: int) -> Frames:
        assert seed >= 0 and prompt
        result = picture.copy()
        if self._spoils("edit"):
            result[~region] += 1
        return result[None]

    def restore(self, frames: Frames) -> Frames:
        return frames // 2 * 2


def run(artist: FakeArtist, settings: EvaluationSettings = SETTINGS, **more: Any) -> Any:
    judges: dict[str, Any] = {"renderer": BoxRenderer(), "segmenter": ColourSegmenter()}
    return evaluate(
        artist,
        ColourJudge(),  # type: ignore[arg-type]
        settings,
        num_frames=10,
        fps=6,
        **(judges | more),
    )


def test_sketches_are_compared_with_what_was_drawn_of_them() -> None:
    seen: list[tuple[int, int]] = []
    report, samples = run(FakeArtist(), on_progress=lambda *x: seen.append(x))
    assert seen[-1] == (4 + 4 + 3 + 3 + 3 + 4 + 8,) * 2 == (len(samples),) * 2
    tasks = report["tasks"]
    for name, spoiled in (("s2i", 2 / 4), ("s2i_text", 2 / 4), ("s2v", 1 / 3)):
        figures = tasks[name]
        assert figures["pixel_accuracy"] == pytest.approx(1 - spoiled / 2, abs=1e-3)
        assert figures["renders"]["pixel_accuracy"] == figures["renders"]["mean_iou"] == 1.0
        assert figures["restored"]["pixel_accuracy"] < 1.0  # odd classes became even
    assert tasks["s2i_text"]["renders"]["both"] == 1.0 and "both" not in tasks["s2i"]
    clip = tasks["s2v"]
    assert clip["temporal_consistency"] == clip["renders"]["temporal_consistency"] == 1.0
    assert clip["worst_frame"] == clip["pixel_accuracy"] and clip["static_difference"] == 0.0


def test_predictions_keep_their_subject_and_background() -> None:
    report, _ = run(FakeArtist())
    for name in ("v2v", "v2v_text"):
        figures = report["tasks"][name]
        assert figures["kept"] == pytest.approx(2 / 3, abs=1e-3)  # one of three clips changes
        assert figures["frames_kept"] == pytest.approx((1 + 2 / 9 + 1) / 3, abs=1e-3)
        assert figures["renders"]["kept"] == figures["renders"]["frames_kept"] == 1.0
        assert figures["renders"]["background"] == figures["renders"]["flicker"] == 0.0
        assert figures["renders"]["motion"] > figures["motion"]
        assert 0 < figures["background"] < 1  # one level of green, in most frames of one clip
    assert "direction" not in report["tasks"]["v2v"]
    assert 0 <= report["tasks"]["v2v_text"]["direction"] <= 1


def test_who_vanishes_is_not_kept_whatever_the_judge_names() -> None:
    class Vanishing(FakeArtist):
        def predict(self, picture: Frames, prompt: str, seed: int) -> Frames:
            frames = np.repeat(picture[None], 10, axis=0)
            assert seed >= 0 and prompt is not None
            frames[4:, ..., 0] = SKY
            return frames

    report, samples = run(Vanishing(), replace(SETTINGS, only=("predict",)))
    assert report["tasks"]["v2v"]["kept"] == 0.0
    assert report["tasks"]["v2v"]["frames_kept"] == pytest.approx(3 / 9, abs=1e-3)
    assert not any(sample.verdicts[0] for sample in samples)


def test_edits_are_judged_inside_and_outside() -> None:
    report, _ = run(FakeArtist())
    figures = report["tasks"]["ti2i"]
    assert figures["outside_identical"] == 0.5 and figures["appears"] == 0.0
    assert figures["renders"]["both"] == figures["renders"]["appears"] == 1.0
    assert figures["subject"] < 1.0 and "outside_identical" not in figures["renders"]


def test_a_subject_is_right_only_if_something_appears() -> None:
    class Sure(ColourJudge):
        config = replace(CONFIG, subjects=("horse",))

        def judge_images(self, images: Tensor) -> Judgement:
            judged = super().judge_images(images)
            return judged._replace(subject=torch.zeros_like(judged.subject))

    class Painting(FakeArtist):
        def edit(self, picture: Frames, region: np.ndarray, prompt: str, seed: int) -> Frames:
            edited = super().edit(picture, region, prompt, seed)
            if self.calls["edit"] > 1:
                edited[0, region, 0] = load_catalog().subjects["horse"].class_id
            return edited

    report, _ = evaluate(
        Painting(),
        Sure(),  # type: ignore[arg-type]
        replace(SETTINGS, only=("edit",)),
        num_frames=10,
        fps=6,
        renderer=BoxRenderer(),  # type: ignore[arg-type]
        segmenter=ColourSegmenter(),  # type: ignore[arg-type]
    )
    figures = report["tasks"]["ti2i"]
    assert figures["appears"] == figures["subject"] == 0.75
    assert figures["both"] == 0.25  # two of the others stand in another place


def test_impossible_pairs_are_counted_by_seed() -> None:
    seen: list[tuple[int, int]] = []
    report, _ = run(
        FakeArtist(), renderer=None, segmenter=None, on_progress=lambda *x: seen.append(x)
    )
    assert report["tasks"] == {} and seen[-1] == (8, 8)
    golf = report["pairs"]["play golf on the swimming pool"]
    assert golf["samples"] == 4 and golf["subject"] == 0.75 and golf["place"] == 1.0
    assert len(report["pairs"]) == 2 and "appears" not in golf
    report, _ = run(FakeArtist())  # a segmenter that finds nobody in those clips
    golf = report["pairs"]["play golf on the swimming pool"]
    assert golf["appears"] == golf["both"] == 0.0 and golf["place"] == 1.0


@pytest.mark.parametrize("section", SECTIONS)
def test_only_the_chosen_section_runs(section: str) -> None:
    report, _ = run(FakeArtist(), replace(SETTINGS, only=(section,)))
    expected = {
        "sketch": {"s2i", "s2i_text", "s2v"},
        "predict": {"v2v", "v2v_text"},
        "edit": {"ti2i"},
    }
    assert set(report["tasks"]) == expected.get(section, set())
    assert bool(report["pairs"]) == (section == "pairs")


def test_an_unknown_section_is_refused() -> None:
    with pytest.raises(UsageError, match="tokenizer"):
        EvaluationSettings(only=("sketches",))


def test_a_stopped_run_goes_on_and_gives_the_same_report(tmp_path: Path) -> None:
    settings = replace(SETTINGS, only=("edit",))
    expected, _ = run(FakeArtist(), settings)
    partial = tmp_path / "report.partial"
    artist = FakeArtist()
    artist.fail_after = 3
    with pytest.raises(KeyboardInterrupt):
        run(artist, settings, partial=partial)
    artist.fail_after = None
    report, _ = run(artist, settings, partial=partial)
    assert artist.calls == {"edit": 4} and report["tasks"] == expected["tasks"]
    assert len(task_lines(partial).read_text().splitlines()) == 1 + 4


def test_tables_and_sheet_show_every_section() -> None:
    report, samples = run(FakeArtist())
    report |= {
        "segmenter_accuracy": {"pixels": 0.97},
        "sketch_tokenizer": {"pixel_accuracy": 0.9, "fw_iou": 0.8, "mean_iou": 0.7, "sketches": 5},
    }
    text = markdown_table(report)
    tables = [part for part in text.split("\n\n") if part.startswith("|")]
    assert [len(table.splitlines()) for table in tables] == [2 + 9, 2 + 6, 2 + 3, 2 + 2]
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "| S2I | 4 | 75.0 %" in text and "pixels 97.0 %" in text and "80.0 %" in text
    assert sample_sheet(samples).shape[0] > 4 * 128


def test_a_later_report_adds_its_sections_to_an_earlier_one() -> None:
    first, _ = run(FakeArtist(), replace(SETTINGS, only=("edit",)))
    second, _ = run(FakeArtist(), replace(SETTINGS, only=("sketch",)))
    assert set(joined(first, second)["tasks"]) == {"ti2i", "s2i", "s2i_text", "s2v"}
    other = first | {"model": {"name": "another"}}
    assert joined(other, second) == second and joined({}, second) == second


def test_background_leaves_out_what_comes_near() -> None:
    given = np.zeros((64, 64, 3), dtype=np.uint8)
    frames = np.zeros((3, 64, 64, 3), dtype=np.uint8)
    found = np.zeros((3, 64, 64), dtype=bool)
    found[1, 10:20, 10:20] = True
    frames[1, 8:22, 8:22] = 255  # two pixels of shadow around it
    true = np.zeros_like(found)
    true[2, 40:50, 40:50] = True
    frames[2, 40:50, 40:50] = 90
    figures = background_figures(given, frames, found, true)
    assert figures["background"] == figures["flicker"] == 0.0
    frames[1:, 60:] = 64  # 4 of 64 rows
    figures = background_figures(given, frames, found, true)
    static = 64 * 64 - 14 * 14 - 14 * 14
    assert figures["background"] == pytest.approx(64 * 4 * 64 / static)
    assert figures["static_share"] == pytest.approx(static / 64**2)
    everywhere = np.ones_like(found)
    assert background_figures(given, frames, everywhere, true)["background"] is None


def test_regions_surround_their_subject_and_are_never_tiny() -> None:
    subject = np.zeros((100, 100), dtype=bool)
    subject[50:52, 1:3] = True
    region = region_around(subject)
    rows, columns = np.nonzero(region)
    assert region[subject].all() and (rows.min(), rows.max()) == (38, 63)
    assert columns.min() == 0 and region.sum() < 30 * 30
    subject[20:80, 10:90] = True
    assert region_around(subject)[20 - 9 : 80 + 9, 1:99].all()
    assert dilated(subject, 1).sum() > subject.sum()


def test_too_few_visible_subjects_are_refused() -> None:
    class Nobody(BoxRenderer):
        def render(self, specs: list[SceneSpec], frames: Any = None) -> SimpleNamespace:
            rendered = super().render(specs, frames)
            rendered.subject_mask.zero_()
            return rendered

    world = known_world(CONFIG, 10, 6)
    with pytest.raises(UsageError, match="ask for fewer"):
        visible_probes(Nobody(), world, "image", 2)  # type: ignore[arg-type]
    assert direction_of(visible_probes(BoxRenderer(), world, "video", 1)[0].direction)  # type: ignore[arg-type]
