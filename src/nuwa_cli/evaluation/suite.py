"""The evaluation suite: ask, draw, judge, sum up.

Four sets of probes: pictures and clips, each of pairs that training shows and of held-out pairs.
For every set the report says how often subject, place, both, and direction are right, the mean
text-image similarity (CLIPSIM's formula, on our own dual encoder), and the Fréchet distance on
evaluator features to renders of other unseen scenes. Beside the model stands the row `renders`:
true renders of the same probes, judged the same way. It is the ceiling that the judge itself sets.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.evaluation.frechet import frechet_between
from nuwa_cli.evaluation.probes import Probe, known_world, make_probes
from nuwa_cli.evaluation.reconstruction import measure_tokenizer
from nuwa_cli.evaluation.samples import (
    Artist,
    Frames,
    Sample,
    SampleFile,
    answer_probes,
    frames_to_tensor,
    judge,
    verdicts,
)
from nuwa_cli.model.evaluator import Evaluator
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.tokenizer.vqgan import VQGAN

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline

REPORT_SCHEMA = "nuwa.evaluation/1"
OnProgress = Callable[[int, int], None]

_REFERENCE_SEEDS = 1 << 29  # scenes that stand for the true distribution
_MIN_FOR_FRECHET = 50
_TOKENIZER_PICTURES = 256
_CHUNK = 16


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How many samples of each set, and sampling settings that differ from the model's own."""

    num: int = 500
    clips: int = 100
    held_out_share: float = 0.2  # held-out probes in addition, as a share of `num` and `clips`
    best_of: int | None = None
    sampling: dict[str, Any] = field(default_factory=dict)

    def sets(self) -> list[tuple[str, str, str, int]]:
        """(name, kind, split, count) of the sets that have any samples."""
        plan = []
        for name, kind, count in (("t2i", "image", self.num), ("t2v", "video", self.clips)):
            held_out = round(count * self.held_out_share)
            plan += [(name, kind, "train", count), (f"{name}_held_out", kind, "held_out", held_out)]
        return [entry for entry in plan if entry[3] > 0]


class PipelineArtist:
    """The model under test."""

    def __init__(self, pipeline: NuwaPipeline, settings: EvaluationSettings) -> None:
        self.pipeline = pipeline
        self.settings = settings

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"model": self.pipeline.identity, "settings": asdict(self.settings)}

    def draw(self, kind: str, prompt: str, seed: int) -> Frames:
        task = "t2i" if kind == "image" else "t2v"
        drawn = self.pipeline.run(
            task, prompt, seed=seed, best_of=self.settings.best_of, **self.settings.sampling
        )
        return drawn.frames

    def similarity(self, prompt: str, frames: Frames) -> float | None:
        model = self.pipeline.model
        if model.reranker is None:
            return None
        device = next(model.reranker.parameters()).device
        tokens = model.text.encode_batch([prompt], model.reranker.config.max_text_len)
        pixels = frames_to_tensor(frames).to(device).float().div(127.5).sub(1.0)
        return float(model.reranker.score(tokens.to(device), pixels).mean())


def evaluate(
    artist: Artist,
    evaluator: Evaluator,
    settings: EvaluationSettings,
    *,
    num_frames: int,
    fps: int,
    renderer: Renderer | None = None,
    partial: Path | None = None,
    on_progress: OnProgress = lambda _done, _total: None,
) -> tuple[dict[str, Any], list[Sample]]:
    """Run the whole suite; returns the report (plain JSON values) and all samples.

    Without a `renderer` (no sprite pack) everything that needs true renders is left out. With
    `partial`, verdicts are kept in that file and a stopped run goes on where it was.
    """
    started = time.monotonic()
    world = known_world(evaluator.config, num_frames, fps)
    kept = SampleFile(partial, artist.fingerprint)
    total = sum(count for *_, count in settings.sets())
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    results: dict[str, Any] = {}
    samples: list[Sample] = []
    for name, kind, split, count in settings.sets():
        probes = make_probes(world, kind, split, count)
        answers = answer_probes(artist, evaluator, name, kind, probes, kept, advance)
        results[name] = summary(answers)
        samples += answers
        if renderer is not None:
            results[name] |= _compared(
                artist, evaluator, renderer, world, kind, split, probes, answers
            )
    report = {
        "schema": REPORT_SCHEMA,
        **artist.fingerprint,
        "sets": results,
        "seconds": round(time.monotonic() - started, 1),
    }
    return json.loads(json.dumps(report)), samples


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


@torch.inference_mode()
def tokenizer_figures(
    tokenizer: VQGAN, evaluator: Evaluator, renderer: Renderer, world: WorldConfig
) -> dict[str, float]:
    """Reconstruction of unseen renders by the VQ-GAN, the health of its codebook, and how often the
    judge still sees the right subject and place afterwards: no sample can do better."""
    probes = make_probes(world, "image", "train", _TOKENIZER_PICTURES)
    chunks = [probes[start : start + _CHUNK] for start in range(0, len(probes), _CHUNK)]
    size = tokenizer.config.image_size
    device = next(tokenizer.parameters()).device

    def pixels_of(chunk: Sequence[Probe]) -> Tensor:
        frames = _render(renderer, chunk, "image")[:, 0].float()
        resized = torch.nn.functional.interpolate(frames, (size, size), mode="area")
        return resized.div(127.5).sub(1.0).to(device)

    figures = measure_tokenizer(tokenizer, tokenizer.config.codebook_size, map(pixels_of, chunks))
    kept: list[Sample] = []
    for chunk in chunks:
        restored = tokenizer.decode(tokenizer.encode(pixels_of(chunk)))
        images = restored.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
        judged = judge(evaluator, "image", images[:, None])
        kept += verdicts(evaluator, "kept", chunk, judged, [None] * len(chunk), [""] * len(chunk))
    seen = summary(kept)
    return figures | {"subject_kept": seen["subject"], "place_kept": seen["place"]}


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
    others = make_probes(world, kind, split, max(len(probes), _MIN_FOR_FRECHET), _REFERENCE_SEEDS)
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
    for start in range(0, len(probes), _CHUNK):
        chunk = probes[start : start + _CHUNK]
        frames = _render(renderer, chunk, kind)
        similarities = [
            artist.similarity(p.prompt, f.permute(0, 2, 3, 1).numpy()) if artist else None
            for p, f in zip(chunk, frames, strict=True)
        ]
        judged = judge(evaluator, kind, frames)
        samples += verdicts(evaluator, "renders", chunk, judged, similarities, [""] * len(chunk))
    return samples


def _render(renderer: Renderer, probes: Sequence[Probe], kind: str) -> Tensor:
    """Renders (n, T, 3, H, W) uint8: whole clips, or a single moment of each scene."""
    specs = [probe.spec for probe in probes]
    if kind == "video":
        return renderer.render(specs).pixels.cpu()
    moments = [[spec.seed % spec.num_frames] for spec in specs]  # any moment, as in training
    return renderer.render(specs, moments).pixels.cpu()


def _frechet(samples: Sequence[Sample], reference: Sequence[Sample]) -> float | None:
    if len(samples) < _MIN_FOR_FRECHET:
        return None
    mine, theirs = (np.array([s.features for s in group]) for group in (samples, reference))
    return round(frechet_between(mine, theirs), 4)


def _mean(values: Sequence[float | bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
