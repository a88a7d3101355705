"""Extension in the four directions: seam score and Block-FID (NUWA-Infinity, 2207.09814).

A large picture whose every part is known is a scene, nobody in it, enlarged to 2.5 times its sides. A
window as large as the scene was is given, and extended by its own side to the right, left, down or up;
windows stand anywhere where the true neighbour exists. Of every answer:

    seam       gradient across the borders between patches against that of lines nearby (`seams.py`)
    edge       the same of the one border between given and drawn pixels alone
    place      the judge sees the scene's place in the drawn block alone
    given_identical  every given pixel stands in the answer bit by bit
    block_fid  Fréchet distance on evaluator features between all drawn blocks and the true neighbours
               of other scenes, cut in the same way; no FID of the literature

Directions differ in what there is to draw (up is sky), so beside each stand the true neighbours of the
same windows, measured the same way, and `above_truth` is how many times farther the drawn blocks are.
`against_right` compares the other directions with the first. Few pictures tell little: of the same weights,
40 put left at 1.16 and down at 1.36 of right's distance, 100 both at less than 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from nuwa_cli.evaluation.artists import Extended, Frames, frames_to_tensor, tensor_to_frames
from nuwa_cli.evaluation.bench import MODEL, RENDERS, TASK_SEEDS, Bench, Figures, summarize
from nuwa_cli.evaluation.frechet import frechet_between
from nuwa_cli.evaluation.paired import mean_interval
from nuwa_cli.evaluation.samples import TaskSample, thumbnail
from nuwa_cli.evaluation.seams import mean_ratio, seam_score
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import SceneSpec, sample_scene
from nuwa_cli.storybook.world import WorldConfig

DIRECTIONS = ("right", "left", "down", "up")
"""Right comes first: the others are compared with it."""

_ENLARGED = 2.5  # exactly twice would put every border between up and down on the horizon
_LANDSCAPES = 1 << 16  # training knows the first few of every place only
_REFERENCE_SEEDS = TASK_SEEDS + (1 << 21)
_REFERENCES = 4  # true neighbours of other scenes, for each answer
_MIN_FOR_FRECHET = 2
_SHOWN = 6  # of each direction, on the sheet


def extension_sets(settings: EvaluationSettings) -> list[tuple[str, str, int]]:
    """(name, direction, count) of the sets that have any samples."""
    if settings.extensions == 0 or not settings.includes("extend"):
        return []
    return [(f"extend_{direction}", direction, settings.extensions) for direction in DIRECTIONS]


def measure_extensions(
    bench: Bench, renderer: Renderer, settings: EvaluationSettings
) -> dict[str, Any]:
    """Figures of every direction, with those of the true neighbours, and of each against right."""
    results: dict[str, Any] = {}
    world = empty_world(bench.world)
    for name, direction, count in extension_sets(settings):
        task = _ExtensionTask(bench, renderer, world, name, direction)
        answers = bench.collect(name, count, partial(task.judged, who=MODEL))
        truth = [task.judged(index, RENDERS) for index in range(count)]
        reference = task.reference(_REFERENCES * count)
        drawn, true = (summarize_seams(samples) for samples in (answers, truth))
        for figures, samples in ((drawn, answers), (true, truth)):
            if count >= _MIN_FOR_FRECHET:
                figures["block_fid"] = round(frechet_between(features_of(samples), reference), 4)
        if true.get("block_fid"):
            drawn["above_truth"] = round(drawn["block_fid"] / true["block_fid"], 4)
        results[direction] = drawn | {RENDERS: true}
    if results:
        results["against_right"] = _against(results)
    return results


def empty_world(world: WorldConfig) -> WorldConfig:
    """The world with a clear sky and landscapes that no training shows."""
    return replace(world, weather_probability=0.0, landscape_pool=_LANDSCAPES)


def empty_scene(world: WorldConfig, seed: int, place: str = "") -> SceneSpec:
    """The scene of a seed with nobody in it."""
    return replace(sample_scene(seed, world, place=place), subjects=())


def summarize_seams(samples: list[TaskSample]) -> dict[str, Any]:
    """Means of all figures; of seam scores the geometric mean, and its interval over the pictures."""
    figures = summarize(samples)
    for name in ("seam", "seam_lines", "edge"):
        ratios = [value for s in samples if (value := s.figures.get(name)) is not None]
        if ratios:
            figures[name] = round(mean_ratio(ratios), 4)
            ends = np.exp(mean_interval(np.log(ratios).tolist()))
            figures[f"{name}_interval"] = [round(float(end), 4) for end in ends]
    return figures


def features_of(samples: list[TaskSample]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Features (n, c) of all parts of all samples."""
    return np.array([row for sample in samples for row in sample.features])


def block_features(bench: Bench, blocks: Frames) -> list[list[float]]:
    """Evaluator features of blocks (n, H, W, 3), rounded for the file."""
    features = bench.evaluator.judge_images(frames_to_tensor(blocks)).features
    return [[round(value, 5) for value in row] for row in features.tolist()]


def _against(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Every figure of the other directions as a multiple of that of right, where it has one."""
    first, *others = DIRECTIONS
    names = ("seam", "block_fid", "above_truth")
    return {
        other: {
            name: round(results[other][name] / results[first][name], 4)
            for name in names
            if results[first].get(name) and results[other].get(name) is not None
        }
        for other in others
    }


@dataclass(frozen=True)
class _View:
    """A window (S, S, 3) of a large picture and its true neighbour (S, S, 3) on one side."""

    window: Frames
    neighbor: Frames
    direction: str

    def joined(self) -> Extended:
        """Both, as an extension that could not be better; its borders are where ours would be: at the
        edge, and in the middle of what is new."""
        side = len(self.window)
        parts = [self.window, self.neighbor]
        is_after = self.direction in ("right", "down")
        is_level = self.direction in ("right", "left")
        whole = np.concatenate(parts if is_after else parts[::-1], axis=1 if is_level else 0)
        places = (side, side + side // 2) if is_after else (side // 2, side)
        at = 0 if is_after else side
        return Extended(
            whole,
            (0, at) if is_level else (at, 0),
            places if is_level else (),
            () if is_level else places,
        )


@dataclass(frozen=True)
class _ExtensionTask:
    """Windows to be extended in one direction."""

    bench: Bench
    renderer: Renderer
    world: WorldConfig
    name: str
    direction: str

    def view(self, spec: SceneSpec) -> _View:
        """The window of a scene, the same on every call."""
        moment = [spec.seed % spec.num_frames]
        pixels = self.renderer.render([spec], moment).pixels[0].float()
        side = pixels.shape[-1]
        length = round(_ENLARGED * side)
        large = F.interpolate(pixels, (length, length), mode="bilinear", align_corners=False)
        [picture] = tensor_to_frames(large.round().to(torch.uint8))
        random = Random(f"view:{spec.seed}")
        along, aside = random.randint(0, length - 2 * side), random.randint(0, length - side)
        first, second = slice(along, along + side), slice(along + side, along + 2 * side)
        own, other = (first, second) if self.direction in ("right", "down") else (second, first)
        across = slice(aside, aside + side)
        if self.direction in ("right", "left"):
            return _View(picture[across, own], picture[across, other], self.direction)
        return _View(picture[own, across], picture[other, across], self.direction)

    def judged(self, index: int, who: str) -> TaskSample:
        """One extension, judged."""
        spec = empty_scene(self.world, TASK_SEEDS + index)
        view = self.view(spec)
        side = len(view.window)
        extended = view.joined()
        if who == MODEL:
            extended = self.bench.artist.extend(view.window, self.direction, side, spec.seed)
        block = drawn_block(extended, self.direction, side)
        judged = self.bench.evaluator.judge_images(frames_to_tensor(block[None]))
        place = self.bench.evaluator.config.places[int(judged.place[0])] == spec.place
        is_shown = who == MODEL and index < _SHOWN
        top, left = extended.origin
        kept = extended.picture[top : top + side, left : left + side]
        figures: Figures = {
            "place": float(place),
            "given_identical": float(np.array_equal(kept, view.window)),
        }
        if extended.columns or extended.rows:
            borders = extended.picture, extended.columns, extended.rows
            figures["seam"] = seam_score(*borders, cell=extended.cell)
            figures["seam_lines"] = seam_score(*borders)
        figures["edge"] = _edge_score(extended, self.direction, side)
        return TaskSample(
            set_name=self.name,
            index=index,
            prompt="",
            asked=f"{spec.place}, {self.direction}",
            verdicts=[place],
            figures=figures,
            features=block_features(self.bench, block[None]),
            thumbnail=thumbnail(np.stack([view.window, block])) if is_shown else "",
        )

    def reference(self, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Features (count, c) of true neighbours in other scenes."""
        rows: list[list[float]] = []
        for number in range(count):
            spec = empty_scene(self.world, _REFERENCE_SEEDS + number)
            rows += block_features(self.bench, self.view(spec).neighbor[None])
        return np.array(rows)


def drawn_block(extended: Extended, direction: str, side: int) -> Frames:
    """What was added to a square of `side` pixels, as (side, side, 3)."""
    picture = extended.picture
    return {
        "right": picture[:, side:],
        "left": picture[:, :side],
        "down": picture[side:],
        "up": picture[:side],
    }[direction]


def _edge_score(extended: Extended, direction: str, side: int) -> float:
    """Seam score of the border between what was given and what was drawn: at `side`, on all sides."""
    if direction in ("right", "left"):
        return seam_score(extended.picture, (side,), cell=extended.cell)
    return seam_score(extended.picture, (), (side,), cell=extended.cell)
