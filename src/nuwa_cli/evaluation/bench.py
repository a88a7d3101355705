"""What the sections beyond text share: asking an artist, keeping its answers, summing them up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.artists import Frames, TaskArtist, frames_to_tensor, tensor_to_frames
from nuwa_cli.evaluation.probes import Probe, make_probes
from nuwa_cli.evaluation.samples import OnSample, SampleFile, TaskSample, judge
from nuwa_cli.evaluation.segmentation import Maps, agreement, from_counts
from nuwa_cli.model.convnet import shrink
from nuwa_cli.model.evaluator import Evaluator
from nuwa_cli.model.segmenter import SegmentNet
from nuwa_cli.sketches.palette import CLASS_ID, NUM_SKETCH_CLASSES
from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.tokenizer.vqgan_seg import resize

TASK_SEEDS = 1 << 22
"""Scenes of these sections; like all below `TRAIN_SEEDS`, no training ever sees them."""

MODEL, RENDERS, RESTORED = "model", "renders", "restored"
"""Who answers: the model, the true renders, or the renders after the VQ-GAN. The last two say what
the judge can find at all, and what tokens of unseen scenes leave for it to find."""

_THINGS = (
    "person",
    "animal",
    "bird",
    "sea animal",
    "insect",
    "land vehicle",
    "boat",
    "aircraft",
    "ball",
    "food",
)
MIN_SUBJECT = 0.01
"""Share of a frame that a subject must cover to count as seen."""

Region = NDArray[np.bool_]
Figures = dict[str, float | None]
Judged = Callable[[int, str], TaskSample]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The artist under test, its judge, and where answers are kept."""

    artist: TaskArtist
    evaluator: Evaluator
    world: WorldConfig
    kept: SampleFile[TaskSample]
    on_sample: OnSample = lambda: None

    def collect(
        self, set_name: str, count: int, answer: Callable[[int], TaskSample]
    ) -> list[TaskSample]:
        """Samples 0 … count - 1 of a set; `answer` is asked for what is not kept yet."""
        for index in range(count):
            if (set_name, index) not in self.kept.samples:
                self.kept.add(answer(index))
            self.on_sample()
        return self.kept.of(set_name)

    def measure(
        self, set_name: str, count: int, judged: Judged, rows: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Figures of a set, and beside them those of other `rows` that the set can be judged on."""

        def answer(index: int) -> TaskSample:
            return judged(index, MODEL)

        report = summarize(self.collect(set_name, count, answer))
        for row in rows:
            report[row] = summarize([judged(index, row) for index in range(count)])
        return report

    def subjects(self, frames: Frames) -> list[str]:
        """The subject that the judge sees in each of some frames (T, H, W, 3)."""
        judged = self.evaluator.judge_images(frames_to_tensor(frames))
        return [self.evaluator.config.subjects[index] for index in judged.subject.tolist()]

    def labels_right(self, probe: Probe, frames: Frames) -> Figures:
        """`subject` and `place`, 1.0 where the judge sees what the probe asks for, and `both`."""
        kind = "image" if len(frames) == 1 else "video"
        judged = judge(self.evaluator, kind, frames_to_tensor(frames)[None])
        config = self.evaluator.config
        subject = config.subjects[int(judged.subject[0])] == probe.subject
        place = config.places[int(judged.place[0])] == probe.place
        return {
            "subject": float(subject),
            "place": float(place),
            "both": float(subject and place),
        }


@dataclass(frozen=True)
class RenderedProbe:
    """`frames` (T, H, W, 3), sketch `classes` (T, H, W), `subject` mask (T, H, W) of a scene."""

    frames: Frames
    classes: Maps
    subject: Region


def render_probe(renderer: Renderer, probe: Probe, kind: str) -> RenderedProbe:
    """A probe's scene: all frames of a clip, or any one moment, always the same."""
    spec = probe.spec
    moments = None if kind == "video" else [spec.seed % spec.num_frames]
    rendered = renderer.render([spec], moments)
    return RenderedProbe(
        tensor_to_frames(rendered.pixels[0]),
        rendered.classes[0].cpu().numpy(),
        rendered.subject_mask[0].cpu().numpy() > 0,
    )


def visible_probes(renderer: Renderer, world: WorldConfig, kind: str, count: int) -> list[Probe]:
    """Probes whose subject covers enough of the moment shown; of a clip, of its first frame.

    Raises UsageError if there are too few.
    """
    pool = make_probes(world, kind, "train", 3 * count, TASK_SEEDS)
    visible: list[Probe] = []
    for probe in pool:
        if len(visible) == count:
            break
        moment = 0 if kind == "video" else probe.spec.seed % probe.spec.num_frames
        subject = renderer.render([probe.spec], [moment]).subject_mask
        if float(subject.float().mean()) >= MIN_SUBJECT:
            visible.append(probe)
    if len(visible) < count:
        raise UsageError(f"probes '{kind}': only {len(visible)} show a subject; ask for fewer")
    return visible


def summarize(samples: Sequence[TaskSample]) -> dict[str, Any]:
    """Means of all figures that the samples have, and what their confusion matrices say together."""
    result: dict[str, Any] = {"samples": len(samples)}
    if any(sample.confusion for sample in samples):
        counts = (cell for sample in samples for cell in sample.confusion)
        result |= agreement(from_counts(counts, NUM_SKETCH_CLASSES))
    names = dict.fromkeys(name for sample in samples for name in sample.figures)
    for name in names:
        values = [value for s in samples if (value := s.figures.get(name)) is not None]
        result[name] = round(sum(values) / len(values), 4) if values else None
    return result


def segment(segmenter: SegmentNet, frames: Frames) -> Maps:
    """Sketch classes (T, H, W), ids of `sketches.palette`, of frames (T, H, W, 3)."""
    ids = torch.tensor([CLASS_ID[name] for name in segmenter.config.classes], dtype=torch.uint8)
    maps: Maps = ids[segmenter.segment(frames_to_tensor(frames)).long()].numpy()
    return maps


def things(segmenter: SegmentNet, frames: Frames, subject: str) -> Region:
    """Where frames (T, H, W, 3) show somebody or something that could be the subject: (T, H, W).

    The judge has to name a subject even where nobody is, so a subject counts only where there is
    something to see. Which of the classes that subjects have is found does not matter.
    """
    ids = {CLASS_ID[name] for name in _THINGS} | {load_catalog().subjects[subject].class_id}
    return np.isin(segment(segmenter, frames), sorted(ids))


def only_if(right: Figures, appears: bool) -> Figures:
    """Verdicts on labels where a subject is right only if something `appears`."""
    taken = {} if appears else {"subject": 0.0, "both": 0.0}
    return right | taken | {"appears": float(appears)}


def at_size(frames: Frames, size: int) -> Frames:
    """Frames (T, H, W, 3) resized to squares of `size`, averaging what falls together."""
    if frames.shape[1:3] == (size, size):
        return frames
    small = shrink(frames_to_tensor(frames).float(), size).round().clamp(0, 255)
    return tensor_to_frames(small.to(torch.uint8))


def maps_at_size(maps: NDArray[Any], size: int) -> NDArray[Any]:
    """Class maps or masks (…, H, W) resized to squares: the value at the middle of each pixel."""
    return resize(torch.from_numpy(maps), size).numpy()


def dilated(region: Region, reach: int) -> Region:
    """A region (H, W) and everything within `reach` pixels along both axes."""
    plane: Tensor = torch.from_numpy(region.astype(np.float32))[None, None]
    grown: Region = F.max_pool2d(plane, 2 * reach + 1, stride=1, padding=reach)[0, 0].numpy() > 0
    return grown
