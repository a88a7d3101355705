"""Zero-shot pairs: clips of what no training shows, asked for in plain words with many seeds.

Each pair is held out of training by name. The share of accepted clips is the share in which the
judge, which has seen renders of such pairs, finds subject and place, and, where there is a segmenter
to ask, in which something that could be the subject is seen in most frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nuwa_cli.evaluation.bench import MIN_SUBJECT, Bench, only_if, things
from nuwa_cli.evaluation.probes import Probe
from nuwa_cli.evaluation.samples import SHEET_SAMPLES, TaskSample, thumbnail
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.model.segmenter import SegmentNet
from nuwa_cli.storybook.scene import sample_scene

PAIRS = (
    ("play golf on the swimming pool", "golfer", "swimming_pool"),
    ("a horse runs on the beach", "horse", "beach"),
)
"""(prompt, subject, place)."""


def pair_sets(bench: Bench, settings: EvaluationSettings) -> list[tuple[str, Probe, int]]:
    """(name, question, count) of the pairs whose subject and place the judge knows."""
    if settings.pairs == 0 or not settings.includes("pairs"):
        return []
    known = bench.evaluator.config
    return [
        (prompt, _probe(bench, prompt, subject, place), settings.pairs)
        for prompt, subject, place in PAIRS
        if subject in known.subjects and place in known.places
    ]


def measure_pairs(
    bench: Bench, segmenter: SegmentNet | None, settings: EvaluationSettings
) -> dict[str, Any]:
    """Figures of every pair, by its prompt."""
    return {
        prompt: bench.measure(prompt, count, _PairTask(bench, segmenter, prompt, probe).judged)
        for prompt, probe, count in pair_sets(bench, settings)
    }


@dataclass(frozen=True)
class _PairTask:
    """One pair, asked for again and again."""

    bench: Bench
    segmenter: SegmentNet | None
    prompt: str
    probe: Probe

    def judged(self, index: int, _who: str) -> TaskSample:
        """The clip of one seed, judged."""
        frames = self.bench.artist.draw("video", self.prompt, index)
        right = self.bench.labels_right(self.probe, frames)
        if self.segmenter is not None:
            found = things(self.segmenter, frames, self.probe.subject)
            right = only_if(right, bool((found.mean(axis=(1, 2)) >= MIN_SUBJECT).mean() > 0.5))
        return TaskSample(
            set_name=self.prompt,
            index=index,
            prompt=self.prompt,
            asked=f"{self.probe.subject}, {self.probe.place} #{index}",
            verdicts=[right["subject"] == 1.0, right["place"] == 1.0],
            figures=right,
            thumbnail=thumbnail(frames) if index < SHEET_SAMPLES else "",
        )


def _probe(bench: Bench, prompt: str, subject: str, place: str) -> Probe:
    spec = sample_scene(0, bench.world, split="held_out", subject=subject, place=place)
    return Probe(prompt, 0, spec)
