"""TI2I: does a subject appear in the region that was to be repainted, and does the rest stay?

Given are an unseen landscape with nobody in it, the region where a render of the same scene has its
subject, and that scene's prompt. Right is what the judge finds as asked, provided that the segmenter
finds something in the region (`appears`): the judge has to name a subject even where nobody is.
`outside_identical` says in how many answers every pixel outside the region is the given one, bit by
bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nuwa_cli.compositing.shapes import bounds_of
from nuwa_cli.evaluation.artists import Frames
from nuwa_cli.evaluation.bench import (
    MODEL,
    RENDERS,
    RESTORED,
    Bench,
    Figures,
    Region,
    maps_at_size,
    only_if,
    render_probe,
    things,
    visible_probes,
)
from nuwa_cli.evaluation.probes import Probe
from nuwa_cli.evaluation.samples import SHEET_SAMPLES, TaskSample, thumbnail
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.model.segmenter import SegmentNet
from nuwa_cli.storybook.render import Renderer

_MARGIN = 0.15  # of the subject's box, added on every side
_MIN_SIDE = 0.25  # of the frame: a subject needs some cells
_LEAST_SEEN = 0.1  # of the region, by something that could be the subject
_DIMMED = 0.5  # what lies outside the region, on the sheet


def edit_sets(settings: EvaluationSettings) -> list[tuple[str, int]]:
    """(name, count) of the sets that have any samples."""
    if settings.edits > 0 and settings.includes("edit"):
        return [("ti2i", settings.edits)]
    return []


def measure_edits(
    bench: Bench, renderer: Renderer, segmenter: SegmentNet, settings: EvaluationSettings
) -> dict[str, Any]:
    """Figures of the edits; the render with its subject, as it is and after the VQ-GAN, beside."""
    results: dict[str, Any] = {}
    for name, count in edit_sets(settings):
        probes = visible_probes(renderer, bench.world, "image", count)
        task = _EditTask(bench, renderer, segmenter, name, probes)
        results[name] = bench.measure(name, count, task.judged, (RENDERS, RESTORED))
    return results


def region_around(subject: Region) -> Region:
    """The box around a subject mask (H, W), widened by a margin and to a least side."""
    region = np.zeros_like(subject)
    spans = []
    left, top, right, bottom = bounds_of(subject)
    for first, last, side in zip((top, left), (bottom, right), subject.shape, strict=True):
        grow = max((last - first) * _MARGIN, (side * _MIN_SIDE - (last - first)) / 2)
        spans.append(slice(max(0, round(first - grow)), min(side, round(last + grow))))
    region[spans[0], spans[1]] = True
    return region


@dataclass(frozen=True)
class _EditTask:
    """Subjects to be painted into empty landscapes."""

    bench: Bench
    renderer: Renderer
    segmenter: SegmentNet
    name: str
    probes: list[Probe]

    def judged(self, index: int, who: str) -> TaskSample:
        """One edit, judged."""
        probe = self.probes[index]
        full = render_probe(self.renderer, probe, "image")
        nobody = replace(probe, spec=replace(probe.spec, subjects=()))
        picture = render_probe(self.renderer, nobody, "image").frames[0]
        region = region_around(full.subject[0])
        frames = full.frames
        figures: Figures = {}
        if who == MODEL:
            frames = self.bench.artist.edit(picture, region, probe.prompt, probe.seed)
            same = np.array_equal(frames[0][~region], picture[~region])
            figures["outside_identical"] = float(same)
        elif who == RESTORED:
            frames = self.bench.artist.restore(frames)
        inside = maps_at_size(region, frames.shape[2])
        found = things(self.segmenter, frames, probe.subject)[0]
        appears = bool(found[inside].mean() >= _LEAST_SEEN)
        right = only_if(self.bench.labels_right(probe, frames), appears)
        return TaskSample(
            set_name=self.name,
            index=index,
            prompt=probe.prompt,
            asked=f"{probe.subject}, {probe.place}",
            verdicts=[value == 1.0 for value in (*right.values(), *figures.values())],
            figures=right | figures,
            thumbnail=_before_and_after(picture, region, frames) if index < SHEET_SAMPLES else "",
        )


def _before_and_after(picture: Frames, region: Region, frames: Frames) -> str:
    before = np.where(region[..., None], picture, (picture * _DIMMED).astype(np.uint8))
    return thumbnail(np.stack([before, frames[0]])) if before.shape == frames[0].shape else ""
