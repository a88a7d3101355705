"""T2I and T2V: does the answer show what its prompt says?

Four sets of probes: pictures and clips, each of pairs that training shows and of held-out pairs.
For every set the report says how often subject, place, both, and direction are right, the mean
text-image similarity (CLIPSIM's formula, on our own dual encoder), and the Fréchet distance on
evaluator features to renders of other unseen scenes. Beside the model stands the row `renders`:
true renders of the same probes, judged the same way. It is the ceiling that the judge itself sets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from nuwa_cli.evaluation.artists import Artist
from nuwa_cli.evaluation.frechet import frechet_between
from nuwa_cli.evaluation.probes import Probe, make_probes
from nuwa_cli.evaluation.samples import (
    OnSample,
    Sample,
    SampleFile,
    answer_probes,
    judge,
    verdicts,
)
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.model.evaluator import Evaluator
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.world import WorldConfig

CHUNK = 16  # scenes rendered at once
_REFERENCE_SEEDS = 1 << 29  # scenes that stand for the true distribution
_MIN_FOR_FRECHET = 50


def measure_texts(
    artist: Artist,
    evaluator: Evaluator,
    settings: EvaluationSettings,
    world: WorldConfig,
    renderer: Renderer | None,
    kept: SampleFile[Sample],
    on_sample: OnSample,
) -> tuple[dict[str, Any], list[Sample]]:
    """Figures by set, and all samples; without a renderer nothing that needs true renders."""
    results: dict[str, Any] = {}
    samples: list[Sample] = []
    for name, kind, split, count in settings.sets():
        probes = make_probes(world, kind, split, count)
        answers = answer_probes(artist, evaluator, name, kind, probes, kept, on_sample)
        results[name] = summary(answers)
        samples += answers
        if renderer is not None:
            results[name] |= _compared(
                artist, evaluator, renderer, world, kind, split, probes, answers
            )
    return results, samples


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Shares and means of one set; a figure that was not measured is None."""
    both = [s.subject_right and s.place_right for s in samples]
    result: dict[str, Any] = {
        "samples": len(samples),
        "subject": _mean([s.subject_right for s in samples]),
        "place": _mean([s.place_right for s in samples]),
        "both": _mean(both),
        "direction": _mean([s.direction_right for s in samples if s.direction_right is not None]),
        "similarity": _mean([s.similarity for s in samples if s.similarity is not None]),
    }
    for language in ("en", "zh"):
        spoken = [right for s, right in zip(samples, both, strict=True) if s.language == language]
        result[f"both_{language}"] = _mean(spoken)
    return result


def _compared(
    artist: Artist,
    evaluator: Evaluator,
    renderer: Renderer,
    world: WorldConfig,
    kind: str,
    split: str,
    probes: Sequence[Probe],
    answers: Sequence[Sample],
) -> dict[str, Any]:
    """The set's row of true renders, and Fréchet distances of both to other renders."""
    truth = _judged_renders(artist, evaluator, renderer, kind, probes)
    if len(answers) < _MIN_FOR_FRECHET:
        return {"frechet": None, "renders": summary(truth) | {"frechet": None}}
    others = make_probes(world, kind, split, len(probes), _REFERENCE_SEEDS)
    reference = _judged_renders(None, evaluator, renderer, kind, others)
    return {
        "frechet": _frechet(answers, reference),
        "renders": summary(truth) | {"frechet": _frechet(truth, reference)},
    }


def _judged_renders(
    artist: Artist | None,
    evaluator: Evaluator,
    renderer: Renderer,
    kind: str,
    probes: Sequence[Probe],
) -> list[Sample]:
    """Verdicts on true renders of probes; similarity only where an artist is given."""
    samples: list[Sample] = []
    for start in range(0, len(probes), CHUNK):
        chunk = probes[start : start + CHUNK]
        frames = render_probes(renderer, chunk, kind)
        similarities = [
            artist.similarity(p.prompt, f.permute(0, 2, 3, 1).numpy()) if artist else None
            for p, f in zip(chunk, frames, strict=True)
        ]
        judged = judge(evaluator, kind, frames)
        samples += verdicts(evaluator, "renders", chunk, judged, similarities, [""] * len(chunk))
    return samples


def render_probes(renderer: Renderer, probes: Sequence[Probe], kind: str) -> Tensor:
    """Renders (n, T, 3, H, W) uint8: whole clips, or a single moment of each scene."""
    specs = [probe.spec for probe in probes]
    if kind == "video":
        return renderer.render(specs).pixels.cpu()
    moments = [[spec.seed % spec.num_frames] for spec in specs]  # any moment, as in training
    return renderer.render(specs, moments).pixels.cpu()


def _frechet(samples: Sequence[Sample], reference: Sequence[Sample]) -> float:
    mine, theirs = (np.array([s.features for s in group]) for group in (samples, reference))
    return round(frechet_between(mine, theirs), 4)


def _mean(values: Sequence[float | bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
