"""Going on and on: pictures of 16 times the width, clips of 200 frames (NUWA-Infinity, 2207.09814).

What could go wrong far from the beginning is drift: every patch is drawn from patches that were drawn.

Pictures: a hill with nobody on it, extended to the right. `seam` and `worst` over all borders between
patches, every border by itself (`borders`), and along the way the probability that the judge gives the
hill in each block as wide as the given picture (`place_by_block`), and the Fréchet distance on evaluator
features between the blocks of each quarter of the way and true hills (`block_fid_by_quarter`; blocks
overlap, so that there are enough of them). `block_fid_of_truth` is that of as many other true hills.

Clips: a clip of a prompt, made longer. Subject and place, as the judge sees them in single frames,
against frames of true renders.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.artists import Frames, frames_to_tensor
from nuwa_cli.evaluation.bench import (
    MODEL,
    RENDERS,
    TASK_SEEDS,
    Bench,
    Figures,
    render_probe,
)
from nuwa_cli.evaluation.extension import (
    block_features,
    empty_scene,
    empty_world,
    features_of,
    summarize_seams,
)
from nuwa_cli.evaluation.frechet import frechet_between
from nuwa_cli.evaluation.probes import Probe, telling_caption
from nuwa_cli.evaluation.samples import TaskSample, thumbnail
from nuwa_cli.evaluation.seams import mean_ratio, seam_score, seam_table
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.model.convnet import shrink
from nuwa_cli.model.evaluator import Evaluator
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import sample_scene

PLACE = "grass_hill"
TIMES_AS_WIDE = 16
CLIP_FRAMES = 200
SHOWN_FRAMES = (50, 100, 200)
"""Frames of a long clip that are judged, counted from one."""

_QUARTERS = 4
_OVERLAPS = 4  # blocks begin at every quarter of a width
_REFERENCES = 200
_REFERENCE_SEEDS = TASK_SEEDS + (3 << 20)
_BORDER, _BLOCK = "border ", "block "  # names of figures, with a position behind


def long_sets(bench: Bench, settings: EvaluationSettings) -> list[tuple[str, int]]:
    """(name, count) of the sets that have any samples and that the judge knows."""
    if not settings.includes("long"):
        return []
    knows_hills = PLACE in bench.evaluator.config.places
    sets = [
        ("long_picture", settings.long_pictures if knows_hills else 0),
        ("long_clip", settings.long_clips),
    ]
    return [entry for entry in sets if entry[1] > 0]


def measure_long(bench: Bench, renderer: Renderer, settings: EvaluationSettings) -> dict[str, Any]:
    """Figures of long pictures and of long clips."""
    counts = dict(long_sets(bench, settings))
    results: dict[str, Any] = {}
    if "long_picture" in counts:
        results["picture"] = _measure_pictures(bench, renderer, counts["long_picture"])
    if "long_clip" in counts:
        task = _ClipTask(bench, renderer, _resting_probes(bench, counts["long_clip"]))
        results["clip"] = bench.measure("long_clip", counts["long_clip"], task.judged, (RENDERS,))
    return results


def place_probabilities(evaluator: Evaluator, blocks: Frames, place: str) -> list[float]:
    """How sure the judge is of a place in each of some pictures (n, H, W, 3)."""
    weight: Tensor = evaluator.frame_net.place.weight
    pixels = to_pixels(frames_to_tensor(blocks).to(weight.device))
    with torch.inference_mode():
        seen = evaluator.frame_net(shrink(pixels, evaluator.config.image_size).to(weight.dtype))
        shares = seen.place.float().softmax(dim=1)[:, evaluator.config.places.index(place)]
    values: list[float] = shares.tolist()
    return values


def blocks_of(picture: Frames, step: int) -> Frames:
    """Squares (n, H, H, 3) of a wide picture (H, W, 3), one every `step` columns."""
    side = len(picture)
    starts = range(0, picture.shape[1] - side + 1, step)
    return np.stack([picture[:, start : start + side] for start in starts])


def _measure_pictures(bench: Bench, renderer: Renderer, count: int) -> dict[str, Any]:
    task = _PictureTask(bench, renderer)
    samples = bench.collect("long_picture", count, task.judged)
    figures = summarize_seams(samples)
    report = {
        name: value for name, value in figures.items() if not name.startswith((_BORDER, _BLOCK))
    }
    report["worst"] = max(sample.figures["worst"] or 0.0 for sample in samples)
    report["place_by_block"] = list(_numbered(figures, _BLOCK).values())
    report["borders"] = _numbered(figures, _BORDER)
    reference = task.true_features(_REFERENCE_SEEDS, _REFERENCES)
    quarters = [features_of(part) for part in _by_quarter(samples)]
    truth = task.true_features(_REFERENCE_SEEDS + _REFERENCES, len(quarters[0]))
    report["block_fid_by_quarter"] = [
        round(frechet_between(features, reference), 4) for features in quarters
    ]
    report["block_fid_of_truth"] = round(frechet_between(truth, reference), 4)
    return report


def _numbered(figures: dict[str, Any], prefix: str) -> dict[str, float]:
    """Figures whose name has a number behind a prefix, by that number, in its order."""
    found = {
        name.removeprefix(prefix): figures[name] for name in figures if name.startswith(prefix)
    }
    return dict(sorted(found.items(), key=lambda entry: int(entry[0])))


def _by_quarter(samples: list[TaskSample]) -> Iterator[list[TaskSample]]:
    for quarter in range(_QUARTERS):
        yield [
            replace(s, features=np.array_split(np.array(s.features), _QUARTERS)[quarter].tolist())
            for s in samples
        ]


@dataclass(frozen=True)
class _PictureTask:
    """Hills to be extended to the right."""

    bench: Bench
    renderer: Renderer

    def hill(self, seed: int) -> Frames:
        """A hill by day (H, W, 3) with nobody on it."""
        by_day = replace(
            empty_world(self.bench.world), sunset_probability=0.0, night_probability=0.0
        )
        probe = Probe("", seed, empty_scene(by_day, seed, PLACE))
        return render_probe(self.renderer, probe, "image").frames[0]

    def judged(self, index: int) -> TaskSample:
        """One long picture; features are those of the blocks that were drawn, from near to far."""
        picture = self.hill(TASK_SEEDS + index)
        side = len(picture)
        added = (TIMES_AS_WIDE - 1) * side
        extended = self.bench.artist.extend(picture, "right", added, TASK_SEEDS + index)
        whole = extended.picture
        seams = seam_table(whole, extended.columns, extended.rows, cell=extended.cell)
        shares = place_probabilities(self.bench.evaluator, blocks_of(whole, side), PLACE)
        figures: Figures = {
            "seam": None,
            "seam_lines": None,
            "worst": None,
            "place": float(np.mean(shares[1:])),
        }
        figures |= {f"{_BLOCK}{number}": share for number, share in enumerate(shares)}
        if seams:
            figures["seam"] = mean_ratio([seam.ratio for seam in seams])
            figures["seam_lines"] = seam_score(whole, extended.columns, extended.rows)
            figures["worst"] = seams[0].ratio
            figures |= {f"{_BORDER}{s.at}": s.ratio for s in seams if s.axis == "column"}
        at = f", worst at {seams[0].at}: {seams[0].ratio:.2f}" if seams else ""
        return TaskSample(
            set_name="long_picture",
            index=index,
            prompt="",
            asked=f"{PLACE}{at}",
            verdicts=[min(shares) > 0.5],
            figures=figures,
            features=block_features(
                self.bench, blocks_of(whole[:, side:], max(1, side // _OVERLAPS))
            ),
            thumbnail=thumbnail(blocks_of(whole, side)),
        )

    def true_features(self, seed: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Features (count, c) of true hills."""
        hills = (self.hill(seed + number)[None] for number in range(count))
        return np.array([row for hill in hills for row in block_features(self.bench, hill)])


@dataclass(frozen=True)
class _ClipTask:
    """Clips to be made longer."""

    bench: Bench
    renderer: Renderer
    probes: list[Probe]

    def judged(self, index: int, who: str) -> TaskSample:
        """One long clip, judged at a few frames; of renders any frames of the scene."""
        probe = self.probes[index]
        if who == MODEL:
            frames = self._long(probe)
        else:
            clip = render_probe(self.renderer, probe, "video").frames
            frames = {number: clip[number % len(clip)] for number in SHOWN_FRAMES}
        figures: Figures = {}
        for number, frame in frames.items():
            right = self.bench.labels_right(probe, frame[None])
            figures |= {f"{name}_{number}": right[name] for name in ("subject", "place")}
        return TaskSample(
            set_name="long_clip",
            index=index,
            prompt=probe.prompt,
            asked=f"{probe.subject}, {probe.place}",
            verdicts=[value == 1.0 for value in figures.values()],
            figures=figures,
            thumbnail=thumbnail(np.stack(list(frames.values()))),
        )

    def _long(self, probe: Probe) -> dict[int, Frames]:
        """The frames that are judged, by their numbers; the others are forgotten as they come."""
        artist = self.bench.artist
        clip = artist.draw("video", probe.prompt, probe.seed)
        every = artist.lengthen(clip, CLIP_FRAMES, probe.prompt, probe.seed)
        return {number: frame for number, frame in enumerate(every, 1) if number in SHOWN_FRAMES}


def _resting_probes(bench: Bench, count: int) -> list[Probe]:
    """Prompts of subjects that stay where they are: who travels has left the frame long before.

    Raises UsageError if there are too few.
    """
    probes: list[Probe] = []
    for seed in range(TASK_SEEDS, TASK_SEEDS + 100 * count):
        spec = sample_scene(seed, bench.world, motion="still")
        prompt = telling_caption(spec, "image")
        if prompt:
            probes.append(Probe(prompt, seed, spec))
        if len(probes) == count:
            return probes
    raise UsageError(f"long clips '{count}': only {len(probes)} prompts found; ask for fewer")
