"""S2I and S2V: does the answer show the classes of its sketch, where the sketch has them?

The sketches are the class maps of unseen renders; the segmenter names the classes of the answer. Two
rows stand beside the model: the renders themselves against their own class maps, the ceiling that
the segmenter sets, and the renders after the VQ-GAN, which no sample can be expected to beat.
For clips the report adds the worst frame, and how steady the answer is where the sketch rests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nuwa_cli.evaluation.artists import Frames
from nuwa_cli.evaluation.bench import (
    MODEL,
    RENDERS,
    RESTORED,
    TASK_SEEDS,
    Bench,
    Figures,
    at_size,
    maps_at_size,
    render_probe,
    segment,
)
from nuwa_cli.evaluation.probes import Probe, make_probes
from nuwa_cli.evaluation.samples import SHEET_SAMPLES, TaskSample, thumbnail
from nuwa_cli.evaluation.segmentation import (
    Maps,
    confusion_matrix,
    frame_difference,
    temporal_consistency,
    to_counts,
    unchanged,
)
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.model.segmenter import SegmentNet
from nuwa_cli.sketches.maps import colorize
from nuwa_cli.sketches.palette import NUM_SKETCH_CLASSES
from nuwa_cli.storybook.render import Renderer

GOOD_ACCURACY = 0.7  # of a sample that counts as right on the sheet
SketchSet = tuple[str, str, bool, int]


def sketch_sets(settings: EvaluationSettings) -> list[SketchSet]:
    """(name, kind, is a prompt given too, count) of the sets that have any samples."""
    sets = [
        ("s2i", "image", False, settings.sketches),
        ("s2i_text", "image", True, settings.sketches),
        ("s2v", "video", False, settings.sketch_clips),
    ]
    return [entry for entry in sets if entry[3] > 0 and settings.includes("sketch")]


def measure_sketches(
    bench: Bench, renderer: Renderer, segmenter: SegmentNet, settings: EvaluationSettings
) -> dict[str, Any]:
    """Figures of every sketch set, with the ceilings beside the model's own."""
    results: dict[str, Any] = {}
    for name, kind, has_prompt, count in sketch_sets(settings):
        probes = make_probes(bench.world, kind, "train", count, TASK_SEEDS)
        task = _SketchTask(bench, renderer, segmenter, name, kind, has_prompt, probes)
        results[name] = bench.measure(name, count, task.judged, (RENDERS, RESTORED))
    return results


@dataclass(frozen=True)
class _SketchTask:
    """One set of sketches."""

    bench: Bench
    renderer: Renderer
    segmenter: SegmentNet
    name: str
    kind: str
    has_prompt: bool
    probes: list[Probe]

    def judged(self, index: int, who: str) -> TaskSample:
        """The answer to one sketch, compared with it; with a prompt, subject and place too."""
        probe = self.probes[index]
        rendered = render_probe(self.renderer, probe, self.kind)
        prompt = probe.prompt if self.has_prompt else ""
        frames = rendered.frames
        if who == MODEL:
            frames = self.bench.artist.draw_sketches(rendered.classes, prompt, probe.seed)
        elif who == RESTORED:
            frames = self.bench.artist.restore(frames)
        found = segment(self.segmenter, frames)
        sample = compare(self.name, index, probe, prompt, rendered.classes, frames, found)
        if not self.has_prompt:
            return sample
        right = self.bench.labels_right(probe, frames)
        return replace(
            sample,
            verdicts=[*sample.verdicts, *(value == 1.0 for value in right.values())],
            figures=sample.figures | right,
        )


def compare(
    set_name: str,
    index: int,
    probe: Probe,
    prompt: str,
    sketches: Maps,
    frames: Frames,
    found: Maps,
) -> TaskSample:
    """Sketches (T, H, W) against the classes `found` (T, h, w) in the frames drawn from them."""
    sketches = sketches[: len(frames)]
    aligned = maps_at_size(found, sketches.shape[-1])
    hits = (sketches == aligned).mean(axis=(1, 2))
    figures: Figures = {}
    if len(frames) > 1:
        resting = maps_at_size(unchanged(sketches), frames.shape[2])
        figures = {
            "worst_frame": float(hits.min()),
            "temporal_consistency": temporal_consistency(sketches, aligned),
            "static_difference": frame_difference(frames, resting),
        }
    return TaskSample(
        set_name=set_name,
        index=index,
        prompt=prompt,
        asked=f"{probe.subject}, {probe.place} {hits.mean():.2f}",
        verdicts=[bool(hits.mean() >= GOOD_ACCURACY)],
        figures=figures,
        confusion=to_counts(confusion_matrix(sketches, aligned, NUM_SKETCH_CLASSES)),
        thumbnail=_side_by_side(sketches, frames) if index < SHEET_SAMPLES else "",
    )


def _side_by_side(sketches: Maps, frames: Frames) -> str:
    """Sketches in their colours beside what was drawn of them; of a clip, its first and last."""
    ends = [0] if len(frames) == 1 else [0, len(frames) - 1]
    drawn = at_size(colorize(sketches[ends]), frames.shape[2])
    pairs = np.stack([drawn, frames[ends]], axis=1)
    return thumbnail(pairs.reshape(-1, *frames.shape[1:]))
