"""Completion: holes in pictures, filled by NÜWA's zero-shot form and by NÜWA-LIP's engine (2202.05009).

The article's claim, measured: what a raster decoder cannot see, because it lies right of or below the
hole, and pixels that tokens lose, make a better completion. Both engines get the same unseen scenes, the
same holes (`holes.py`), captions and seeds. Of every answer:

    subject  the judge sees the subject of the caption; only where the hole hides a part of it
    place    the judge sees the place
    border   mean absolute difference, in 1/255, between the gradients across the hole's border and those
             of the original picture there
    inside   mean absolute difference to the original in the hole, of small holes: a large one has many
             right answers
    frechet  Fréchet distance on evaluator features of all completed pictures to the originals

Beside the engines stand the originals themselves and the originals with their holes as the VQ-GAN keeps
them. `difference` says for each figure how much greater LIP's is, with a 95 % interval over the holes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nuwa_cli.evaluation.artists import Frames, TaskArtist, frames_to_tensor
from nuwa_cli.evaluation.bench import (
    RENDERS,
    RESTORED,
    Bench,
    Figures,
    Region,
    at_size,
    render_probe,
    summarize,
    visible_probes,
)
from nuwa_cli.evaluation.frechet import frechet_between
from nuwa_cli.evaluation.holes import HOLE_KINDS, make_hole
from nuwa_cli.evaluation.paired import frechet_difference, paired_difference
from nuwa_cli.evaluation.probes import Probe
from nuwa_cli.evaluation.samples import SHEET_SAMPLES, TaskSample, thumbnail
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.tasks.inputs import CompletionEngine

ENGINES: tuple[CompletionEngine, ...] = ("nuwa", "lip")
"""The zero-shot raster form, and the completion engine."""

_ENGINE: dict[str, CompletionEngine] = {engine: engine for engine in ENGINES}
_COMPARED = ("subject", "place", "border", "inside")
_HIDDEN = 0.1  # of the subject: less is no part of the question
_SMALL = 0.2  # of the picture
_MIN_FOR_FRECHET = 10
_PAPER = 250  # level of grey of a hole on the sheet


def completion_sets(settings: EvaluationSettings) -> list[tuple[str, str, int]]:
    """(name, engine, count) of the sets that have any samples."""
    if settings.completions == 0 or not settings.includes("completion"):
        return []
    return [(f"completion_{engine}", engine, settings.completions) for engine in ENGINES]


def measure_completions(
    bench: Bench, renderer: Renderer, settings: EvaluationSettings
) -> dict[str, Any]:
    """Figures of both engines and of the originals, all and by kind of hole, and differences."""
    sets = completion_sets(settings)
    if not sets:
        return {}
    count = settings.completions
    probes = visible_probes(renderer, bench.world, "image", count)
    task = _CompletionTask(bench, renderer, probes)
    answers = {
        engine: bench.collect(name, number, partial(task.judged, who=engine))
        for name, engine, number in sets
    }
    for row in (RENDERS, RESTORED):
        answers[row] = [task.judged(index, row) for index in range(count)]
    results: dict[str, Any] = {
        who: _figures(samples, answers[RENDERS]) for who, samples in answers.items()
    }
    results["difference"] = _differences(answers)
    results["by_kind"] = {
        kind: {
            engine: summarize([s for s in answers[engine] if kind_of(s.index) == kind])
            for engine in ENGINES
        }
        for kind in HOLE_KINDS[: min(count, len(HOLE_KINDS))]
    }
    return results


def kind_of(index: int) -> str:
    """Kind of the hole of a question."""
    return HOLE_KINDS[index % len(HOLE_KINDS)]


def border_error(result: Frames, original: Frames, hole: Region) -> float | None:
    """Mean absolute difference, in 1/255, of the gradients of two pictures (H, W, 3) between pixels
    inside and outside a hole (H, W) that touch; None where the hole is everything."""
    off = result.astype(np.int16) - original.astype(np.int16)
    across = hole[:, 1:] != hole[:, :-1]
    down = hole[1:] != hole[:-1]
    errors = np.concatenate(
        [np.abs(np.diff(off, axis=1))[across], np.abs(np.diff(off, axis=0))[down]]
    )
    return float(errors.mean()) if errors.size else None


@dataclass(frozen=True)
class _Question:
    """A picture (H, W, 3), its hole (H, W) and its subject (H, W)."""

    picture: Frames
    hole: Region
    subject: Region


@dataclass(frozen=True)
class _CompletionTask:
    """Scenes with holes."""

    bench: Bench
    renderer: Renderer
    probes: list[Probe]

    def question(self, index: int) -> _Question:
        probe = self.probes[index]
        rendered = render_probe(self.renderer, probe, "image")
        hole = make_hole(index, probe.seed, rendered.subject[0]).mask
        return _Question(rendered.frames[0], hole, rendered.subject[0])

    def judged(self, index: int, who: str) -> TaskSample:
        """The answer of an engine, or of a row beside it, to one hole."""
        probe, asked = self.probes[index], self.question(index)
        original, hole = asked.picture, asked.hole
        answer = original
        if who in _ENGINE:
            engine = _ENGINE[who]
            [answer] = self.bench.artist.complete(original, hole, probe.prompt, probe.seed, engine)
        elif who == RESTORED:
            [restored] = at_size(self.bench.artist.restore(original[None]), len(original))
            answer = np.where(hole[..., None], restored, original)
        right = self.bench.labels_right(probe, answer[None])
        is_hidden = asked.subject[hole].sum() >= _HIDDEN * asked.subject.sum()
        inside = np.abs(answer.astype(np.int16) - original.astype(np.int16))[hole].mean()
        figures: Figures = {
            "subject": right["subject"] if is_hidden else None,
            "place": right["place"],
            "border": border_error(answer, original, hole),
            "inside": float(inside) if hole.mean() <= _SMALL else None,
            "outside_identical": float(np.array_equal(answer[~hole], original[~hole])),
        }
        is_shown = who in _ENGINE and index < SHEET_SAMPLES
        features = self.bench.evaluator.judge_images(frames_to_tensor(answer[None])).features
        return TaskSample(
            set_name=f"completion_{who}",
            index=index,
            prompt=probe.prompt,
            asked=f"{who}: {probe.subject}, {probe.place}",
            verdicts=[
                figures[name] == 1.0 for name in ("subject", "place") if figures[name] is not None
            ],
            figures=figures,
            features=[[round(value, 5) for value in features[0].tolist()]],
            thumbnail=thumbnail(np.stack([damaged(original, hole), answer])) if is_shown else "",
        )


def side_by_side(
    artist: TaskArtist, picture: Frames, hole: Region, prompt: str, seed: int
) -> list[Frames]:
    """A row of `sheet.column_sheet`: a picture (H, W, 3) with its hole (H, W) blank, filled by either
    engine, and as it was."""
    filled = [artist.complete(picture, hole, prompt, seed, engine)[0] for engine in ENGINES]
    return [damaged(picture, hole), *filled, picture]


def damaged(picture: Frames, hole: Region) -> Frames:
    """A picture (H, W, 3) whose hole (H, W) is blank."""
    return np.where(hole[..., None], np.uint8(_PAPER), picture)


def _features(samples: Sequence[TaskSample]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([sample.features[0] for sample in samples])


def _figures(samples: Sequence[TaskSample], originals: Sequence[TaskSample]) -> dict[str, Any]:
    figures = summarize(samples)
    if len(samples) >= _MIN_FOR_FRECHET:
        figures["frechet"] = round(frechet_between(_features(samples), _features(originals)), 4)
    return figures


def _differences(answers: dict[str, list[TaskSample]]) -> dict[str, Any]:
    before, after = (answers[engine] for engine in ENGINES)
    differences: dict[str, Any] = {
        name: paired_difference(
            [s.figures.get(name) for s in before], [s.figures.get(name) for s in after]
        )
        for name in _COMPARED
    }
    if len(before) >= _MIN_FOR_FRECHET:
        reference = _features(answers[RENDERS])
        differences["frechet"] = frechet_difference(_features(before), _features(after), reference)
    return differences
