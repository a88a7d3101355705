"""The suite with a judge that reads colours and artists of known skill."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.evaluation.artists import Frames
from nuwa_cli.evaluation.probes import Probe, known_world, make_probes
from nuwa_cli.evaluation.report import markdown_table
from nuwa_cli.evaluation.samples import Sample, SampleFile, TaskSample
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.evaluation.sheet import sample_sheet
from nuwa_cli.evaluation.suite import evaluate
from nuwa_cli.evaluation.text_tasks import summary
from nuwa_cli.evaluation.tokenizers import tokenizer_figures
from nuwa_cli.model.evaluator import DIRECTIONS, EvaluatorConfig, Judgement, direction_of
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.storybook.world import WorldConfig

CORE = WorldConfig.core()
CONFIG = EvaluatorConfig(subjects=CORE.subjects, places=CORE.places, directions=DIRECTIONS)


class ColourJudge:
    """Reads subject, place and direction from the three channels of the first pixel."""

    config = CONFIG

    def judge_images(self, images: Tensor) -> Judgement:
        code = images[:, :, 0, 0].long()
        return Judgement(code[:, 0], code[:, 1], None, code.float())

    def judge_videos(self, videos: Tensor) -> Judgement:
        code = videos[:, 0, :, 0, 0].long()
        return Judgement(code[:, 0], code[:, 1], code[:, 2], code.float())


def encode(spec: SceneSpec, frames: int) -> Tensor:
    first = spec.subjects[0]
    code = [
        CORE.subjects.index(first.id),
        CORE.places.index(spec.place),
        DIRECTIONS.index(direction_of(first.motion)),
    ]
    return torch.tensor(code, dtype=torch.uint8)[None, :, None, None].expand(frames, 3, 8, 8)


class TrueRenderer:
    def render(self, specs: list[SceneSpec], frames: Any = None) -> SimpleNamespace:
        count = len(frames[0]) if frames else specs[0].num_frames
        return SimpleNamespace(pixels=torch.stack([encode(spec, count) for spec in specs]))


class FakeArtist:
    """Knows the scene behind each prompt; gets the subject wrong on every other call."""

    fingerprint = {"model": "fake"}  # noqa: RUF012

    def __init__(self) -> None:
        self.calls = 0
        self.fail_after: int | None = None

    def draw(self, kind: str, prompt: str, seed: int) -> Frames:
        if self.calls == self.fail_after:
            raise KeyboardInterrupt
        self.calls += 1
        probe = next(p for p in self.known if (p.prompt, p.seed) == (prompt, seed))
        frames = encode(probe.spec, 1 if kind == "image" else 4).permute(0, 2, 3, 1).numpy().copy()
        if seed % 2:
            frames[..., 0] = (frames[..., 0] + 1) % len(CORE.subjects)
        return frames

    def similarity(self, prompt: str, frames: Frames) -> float | None:
        return 0.5 if prompt and len(frames) else None

    known: list[Probe]


SETTINGS = EvaluationSettings(num=12, clips=6, held_out_share=0.5, only=("text",))


@pytest.fixture
def artist() -> FakeArtist:
    world = known_world(CONFIG, 10, 6)
    fake = FakeArtist()
    fake.known = [
        probe
        for _, kind, split, count in SETTINGS.sets()
        for probe in make_probes(world, kind, split, count)
    ]
    return fake


def run(artist: FakeArtist, **more: Any) -> tuple[dict[str, Any], list[Sample | TaskSample]]:
    return evaluate(artist, ColourJudge(), SETTINGS, num_frames=10, fps=6, **more)  # type: ignore[arg-type]


def test_shares_are_those_of_the_artist(artist: FakeArtist) -> None:
    seen: list[tuple[int, int]] = []
    report, samples = run(artist, renderer=TrueRenderer(), on_progress=lambda *x: seen.append(x))
    assert seen[-1] == (27, 27) and len(samples) == 27 == artist.calls
    sets = report["sets"]
    assert [figures["samples"] for figures in sets.values()] == [12, 6, 6, 3]
    for kind, name in (("image", "t2i"), ("video", "t2v")):
        even = [
            s
            for s, p in zip(samples, artist.known, strict=True)
            if s.set_name == name and p.seed % 2 == 0
        ]
        figures = sets[name]
        assert figures["subject"] == pytest.approx(len(even) / figures["samples"], abs=1e-4)
        assert figures["both"] == figures["subject"] and figures["place"] == 1.0
        assert figures["direction"] == (None if kind == "image" else 1.0)
        assert figures["renders"]["both"] == 1.0
        assert figures["frechet"] is None  # too few samples
        assert figures["similarity"] == 0.5


def test_frechet_is_given_when_there_are_enough_samples(artist: FakeArtist) -> None:
    settings = EvaluationSettings(num=60, clips=0, only=("text",))
    artist.known = make_probes(known_world(CONFIG, 10, 6), "image", "train", 60)
    artist.known += make_probes(known_world(CONFIG, 10, 6), "image", "held_out", 12)
    report, _ = evaluate(
        artist,
        ColourJudge(),
        settings,
        num_frames=10,
        fps=6,
        renderer=TrueRenderer(),  # type: ignore[arg-type]
    )
    assert report["sets"]["t2i"]["frechet"] >= 0 <= report["sets"]["t2i"]["renders"]["frechet"]
    assert "t2v" not in report["sets"]


def test_a_stopped_run_goes_on_and_gives_the_same_report(
    artist: FakeArtist, tmp_path: Path
) -> None:
    expected, _ = run(artist)
    partial = tmp_path / "report.partial"
    artist.calls, artist.fail_after = 0, 10
    with pytest.raises(KeyboardInterrupt):
        run(artist, partial=partial)
    with partial.open("a") as file:
        file.write('{"set_name": "t2i", "ind')  # killed while writing
    artist.calls, artist.fail_after = 0, None
    report, samples = run(artist, partial=partial)
    assert artist.calls == 27 - 10 and report["sets"] == expected["sets"]
    assert all(sample.thumbnail for sample in samples)


def test_lines_of_another_model_are_not_used(artist: FakeArtist, tmp_path: Path) -> None:
    partial = tmp_path / "report.partial"
    run(artist, partial=partial)
    assert SampleFile(partial, {"model": "other"}, Sample).samples == {}


def test_without_renders_only_what_needs_them_is_left_out(artist: FakeArtist) -> None:
    report, _ = run(artist)
    assert "renders" not in report["sets"]["t2i"] and report["sets"]["t2i"]["place"] == 1.0


def test_a_tokenizer_that_keeps_everything_is_measured_as_such() -> None:
    class Lossless:
        config = SimpleNamespace(image_size=8, codebook_size=4)
        weight = torch.nn.Parameter(torch.zeros(1))

        def parameters(self) -> Any:
            return iter([self.weight])

        def encode(self, pixels: Tensor) -> Tensor:
            self.pixels = pixels
            return torch.arange(4).view(1, 2, 2).expand(len(pixels), 2, 2)

        def decode(self, tokens: Tensor) -> Tensor:
            return self.pixels[: len(tokens)]

    world = known_world(CONFIG, 10, 6)
    figures = tokenizer_figures(Lossless(), ColourJudge(), TrueRenderer(), world)  # type: ignore[arg-type]
    assert figures["subject_kept"] == figures["place_kept"] == 1.0
    assert figures["psnr_db"] == 100 and figures["perplexity"] == pytest.approx(4)


def test_summary_of_nothing_is_none() -> None:
    assert summary([])["both"] is None


def test_the_table_has_a_row_for_every_set(artist: FakeArtist) -> None:
    report, _ = run(artist, renderer=TrueRenderer())
    report |= {
        "evaluator_accuracy": {"subject": 0.97},
        "tokenizer": {
            "psnr_db": 25.0,
            "ssim": 0.9,
            "codebook_usage": 0.8,
            "perplexity": 900.0,
            "subject_kept": 0.9,
            "place_kept": 1.0,
        },
    }
    table = markdown_table(report)
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 2 * 4 and len({row.count("|") for row in rows}) == 1
    assert "PSNR 25.00 dB" in table and "subject 97.0 %" in table


def test_the_sheet_shows_every_kept_picture(artist: FakeArtist) -> None:
    _, samples = run(artist)
    assert base64.b64decode(samples[0].thumbnail).startswith(b"\x89PNG")
    sheet = sample_sheet(samples)
    assert sheet.shape[1] > 3 * 128
    for border in ((40, 160, 60), (235, 150, 30)):  # all right, some right
        assert (sheet == border).all(-1).any()
    assert sample_sheet([]).dtype == np.uint8
