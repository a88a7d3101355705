"""Generate an answer to every probe, judge it, and keep the verdicts.

One line of JSON a sample, appended to a file as soon as it is known: a run that was stopped after
four hundred pictures goes on with the next. The first line says which model and which settings the
lines belong to; a file of another run is started anew.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from torch import Tensor

from nuwa_cli.evaluation.artists import Artist, Frames, frames_to_tensor
from nuwa_cli.evaluation.probes import Probe
from nuwa_cli.model.evaluator import Evaluator, Judgement, pick_frames

SHEET_SAMPLES = 24  # of each set, kept as small pictures
_THUMBNAIL = 128
_STRIP = 4  # frames of a clip that are kept

OnSample = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Verdict on one answer. `features` (c,) of the evaluator; `thumbnail` is a PNG in base64."""

    set_name: str
    index: int
    prompt: str
    language: str
    asked: str
    subject_right: bool
    place_right: bool
    direction_right: bool | None
    similarity: float | None
    features: list[float]
    thumbnail: str = ""

    @property
    def verdicts(self) -> list[bool]:
        """What was asked for, right or wrong."""
        found = [self.subject_right, self.place_right]
        return found if self.direction_right is None else [*found, self.direction_right]


@dataclass(frozen=True, kw_only=True)
class TaskSample:
    """Figures of one answer to more than a prompt; a figure that could not be taken is None.

    `verdicts` are what was asked for, right or wrong. `confusion` are the counts of a confusion
    matrix (see `segmentation.to_counts`) of the answer against its sketch. `features` (n, c) are the
    evaluator's, of one part of the answer each, where distributions are compared.
    """

    set_name: str
    index: int
    prompt: str
    asked: str
    verdicts: list[bool] = field(default_factory=list)
    figures: dict[str, float | None] = field(default_factory=dict)
    confusion: list[list[int]] = field(default_factory=list)
    features: list[list[float]] = field(default_factory=list)
    thumbnail: str = ""


AnySample = TypeVar("AnySample", bound=Sample | TaskSample)


class SampleFile(Generic[AnySample]):
    """The samples of one run, of one type; without a path everything stays in memory."""

    def __init__(
        self, path: Path | None, fingerprint: dict[str, Any], sample_type: type[AnySample]
    ) -> None:
        self.path = path
        self.samples: dict[tuple[str, int], AnySample] = {}
        self._type = sample_type
        header = json.dumps(fingerprint, sort_keys=True, ensure_ascii=False)
        if path is None:
            return
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        if lines and lines[0] == header:
            for line in lines[1:]:
                self._take(line)
        # Written anew: what a kill cut short in the last line is gone, the rest stays.
        kept = [_line(sample) for sample in self.samples.values()]
        path.write_text("\n".join([header, *kept]) + "\n", encoding="utf-8")

    def add(self, sample: AnySample) -> None:
        """Keep a verdict."""
        self.samples[sample.set_name, sample.index] = sample
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(_line(sample) + "\n")

    def of(self, set_name: str) -> list[AnySample]:
        """All samples of a set, in order."""
        return [self.samples[key] for key in sorted(self.samples) if key[0] == set_name]

    def _take(self, line: str) -> None:
        try:
            sample = self._type(**json.loads(line))
        except (ValueError, TypeError):
            return
        self.samples[sample.set_name, sample.index] = sample


def answer_probes(
    artist: Artist,
    evaluator: Evaluator,
    set_name: str,
    kind: str,
    probes: Sequence[Probe],
    kept: SampleFile[Sample],
    on_sample: OnSample = lambda: None,
) -> list[Sample]:
    """Draw and judge what `kept` does not have yet; returns all samples of the set."""
    for index, probe in enumerate(probes):
        if (set_name, index) not in kept.samples:
            frames = artist.draw(kind, probe.prompt, probe.seed)
            judged = judge(evaluator, kind, frames_to_tensor(frames)[None])
            similarity = artist.similarity(probe.prompt, frames)
            picture = thumbnail(frames) if index < SHEET_SAMPLES else ""
            [sample] = verdicts(evaluator, set_name, [probe], judged, [similarity], [picture])
            kept.add(replace(sample, index=index))
        on_sample()
    return kept.of(set_name)


def judge(evaluator: Evaluator, kind: str, frames: Tensor) -> Judgement:
    """Verdicts on frames (n, T, 3, H, W) uint8 of pictures (T = 1) or clips."""
    return (
        evaluator.judge_images(frames[:, 0]) if kind == "image" else evaluator.judge_videos(frames)
    )


def verdicts(
    evaluator: Evaluator,
    set_name: str,
    probes: Sequence[Probe],
    judged: Judgement,
    similarities: Sequence[float | None],
    thumbnails: Sequence[str],
) -> list[Sample]:
    """Compare what was judged with what was asked."""
    config = evaluator.config
    samples = []
    for row, probe in enumerate(probes):
        direction = None
        if judged.direction is not None:
            direction = config.directions[int(judged.direction[row])] == probe.direction
        samples.append(
            Sample(
                set_name=set_name,
                index=row,
                prompt=probe.prompt,
                language=probe.language,
                asked=f"{probe.subject}, {probe.place}",
                subject_right=config.subjects[int(judged.subject[row])] == probe.subject,
                place_right=config.places[int(judged.place[row])] == probe.place,
                direction_right=direction,
                similarity=similarities[row],
                features=[round(value, 5) for value in judged.features[row].tolist()],
                thumbnail=thumbnails[row],
            )
        )
    return samples


def thumbnail(frames: Frames) -> str:
    """A small picture, or a strip of a clip's frames, as PNG in base64."""
    from PIL import Image

    count = min(_STRIP, len(frames))
    chosen = frames if count < 2 else frames[pick_frames(len(frames), count)]
    strip = Image.new("RGB", (_THUMBNAIL * count, _THUMBNAIL))
    for column, frame in enumerate(chosen):
        small = Image.fromarray(frame).resize((_THUMBNAIL, _THUMBNAIL), Image.Resampling.BOX)
        strip.paste(small, (column * _THUMBNAIL, 0))
    buffer = io.BytesIO()
    strip.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _line(sample: Sample | TaskSample) -> str:
    return json.dumps(asdict(sample), ensure_ascii=False)
