"""V2V: does a picture that starts to move keep what it shows?

Given is the first frame of an unseen render whose camera and sky are at rest, so everything but the
subject should stay where it is. Measured of each clip:

    frames_kept  the share of later frames in which the judge names the same subject as in the given
                 one, and the segmenter finds something of at least a tenth of its size
    kept         that is so in most of them
    background   mean absolute difference to the given picture, in 1/255, over all pixels that no
                 subject comes near: neither the true one, nor the one found in the predicted frames
    flicker      the same between neighbouring predicted frames
    motion       how much changes between the given and the last frame where the subject is; a clip
                 that stands still would be perfect otherwise

With a prompt also whether it travels the way it was told. True renders, and true renders after the
VQ-GAN, stand beside the model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nuwa_cli.evaluation.artists import Frames, frames_to_tensor
from nuwa_cli.evaluation.bench import (
    MODEL,
    RENDERS,
    RESTORED,
    Bench,
    Figures,
    Region,
    at_size,
    dilated,
    maps_at_size,
    render_probe,
    things,
    visible_probes,
)
from nuwa_cli.evaluation.probes import Probe
from nuwa_cli.evaluation.samples import SHEET_SAMPLES, TaskSample, judge, thumbnail
from nuwa_cli.evaluation.segmentation import frame_difference
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.model.segmenter import SegmentNet
from nuwa_cli.storybook.render import Renderer

STEADY_BACKGROUND = 10.0  # 1/255; of a sample that counts as right on the sheet
_LEAST_LEFT = 0.1  # of the area of a subject: going away makes it small
_MIN_AREA = 1e-3  # of the frame, whatever the segmenter finds in the given picture
_REACH = 32  # a subject comes near within 1/32 of the frame: its shadow and its ripples


def prediction_sets(settings: EvaluationSettings) -> list[tuple[str, bool, int]]:
    """(name, is a prompt given too, count) of the sets that have any samples."""
    sets = [("v2v", False, settings.predictions), ("v2v_text", True, settings.predictions)]
    return [entry for entry in sets if entry[2] > 0 and settings.includes("predict")]


def measure_predictions(
    bench: Bench, renderer: Renderer, segmenter: SegmentNet, settings: EvaluationSettings
) -> dict[str, Any]:
    """Figures of every prediction set, with the ceilings beside the model's own."""
    results: dict[str, Any] = {}
    clear = replace(bench.world, weather_probability=0.0)
    for name, has_prompt, count in prediction_sets(settings):
        probes = visible_probes(renderer, clear, "video", count)
        task = _PredictionTask(bench, renderer, segmenter, name, has_prompt, probes)
        results[name] = bench.measure(name, count, task.judged, (RENDERS, RESTORED))
    return results


@dataclass(frozen=True)
class _PredictionTask:
    """One set of first frames."""

    bench: Bench
    renderer: Renderer
    segmenter: SegmentNet
    name: str
    has_prompt: bool
    probes: list[Probe]

    def judged(self, index: int, who: str) -> TaskSample:
        """The clip that begins with one given picture, compared with it."""
        probe = self.probes[index]
        truth = render_probe(self.renderer, probe, "video")
        given = truth.frames[:1]
        prompt = probe.prompt if self.has_prompt else ""
        frames = truth.frames
        if who == MODEL:
            frames = self.bench.artist.predict(given[0], prompt, probe.seed)
        elif who == RESTORED:
            frames = self.bench.artist.restore(frames)
        given = at_size(given, frames.shape[2])
        found = things(self.segmenter, frames, probe.subject)
        at_first = things(self.segmenter, given, probe.subject)
        true = maps_at_size(truth.subject, frames.shape[2])
        is_there = found[1:].mean(axis=(1, 2)) >= _LEAST_LEFT * max(at_first.mean(), _MIN_AREA)
        figures = self._kept(given, frames, is_there)
        figures |= background_figures(given[0], frames, found, true)
        background = figures["background"]
        checks = [figures["kept"] == 1.0]
        checks.append(background is not None and background <= STEADY_BACKGROUND)
        if self.has_prompt:
            figures["direction"] = self._direction_right(probe, frames)
            checks.append(figures["direction"] == 1.0)
        return TaskSample(
            set_name=self.name,
            index=index,
            prompt=prompt,
            asked=f"{probe.subject}, {probe.direction} {background or 0:.1f}",
            verdicts=checks,
            figures=figures,
            thumbnail=thumbnail(frames) if index < SHEET_SAMPLES else "",
        )

    def _kept(self, given: Frames, frames: Frames, is_there: Region) -> Figures:
        [at_first] = self.bench.subjects(given)
        same = np.array([name == at_first for name in self.bench.subjects(frames[1:])])
        share = float((same & is_there).mean())
        return {"kept": float(share > 0.5), "frames_kept": share}

    def _direction_right(self, probe: Probe, frames: Frames) -> float:
        judged = judge(self.bench.evaluator, "video", frames_to_tensor(frames)[None])
        assert judged.direction is not None  # clips have one
        directions = self.bench.evaluator.config.directions
        return float(directions[int(judged.direction[0])] == probe.direction)


def background_figures(given: Frames, frames: Frames, found: Region, true: Region) -> Figures:
    """How far frames (T, H, W, 3) stay with the given picture (H, W, 3) where no subject comes near:
    not where one was `found` or is `true` (masks (T, H, W)) in any frame."""
    reach = max(1, len(given) // _REACH)
    near_found = dilated(found.max(axis=0), reach)
    static = ~(near_found | dilated(true.max(axis=0), reach))
    later = frames[1:].astype(np.int16)
    difference = np.abs(later - given.astype(np.int16)).mean(axis=-1)  # (T - 1, H, W)
    return {
        "background": float(difference[:, static].mean()) if static.any() else None,
        "flicker": frame_difference(frames[1:], static),
        "motion": float(difference[-1][near_found].mean()) if near_found.any() else None,
        "static_share": float(static.mean()),
    }
