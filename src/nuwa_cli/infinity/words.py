"""Which words hold where, and where their subject stands.

Each prompt holds from one place of the result on. Its subject is drawn once, in the first whole patch that
lies there, confined to that patch; everywhere else the same words describe a place with nobody in it. Were
every window told "a dog on the beach" alone, there would be a dog in each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.infinity.controller import Controller, Step
from nuwa_cli.infinity.geometry import Canvas
from nuwa_cli.infinity.plans import Tell, Words
from nuwa_cli.tasks.prompt import check_prompt


@dataclass(frozen=True)
class Segment:
    """From `at` pixels of the result on, counted from its left edge (from its top where it grows up and
    down alone), the prompt is told. Raises UsageError for an unusable prompt or place."""

    at: int
    prompt: str

    def __post_init__(self) -> None:
        check_prompt(self.prompt)
        if self.at < 0:
            raise UsageError(f"prompt-at '{self.at}': is negative; give 0 or more pixels")


def plan_segments(canvas: Canvas, prompt: str, later: Sequence[Segment]) -> tuple[Segment, ...]:
    """All segments in their order: the prompt, if there is one, from the beginning on, then the others.

    Raises UsageError for a segment that begins beyond the result, or where another does.
    """
    length = canvas.height if is_upright(canvas) else canvas.width
    segments = sorted(later, key=lambda segment: segment.at)
    if prompt and not (segments and segments[0].at == 0):
        segments.insert(0, Segment(0, prompt))
    for before, segment in zip((None, *segments), segments, strict=False):
        if segment.at >= length:
            raise UsageError(
                f"prompt-at '{segment.at}': the result ends at {length} pixels; give less"
            )
        if before is not None and before.at == segment.at:
            raise UsageError(f"prompt-at '{segment.at}': is given twice; give one prompt a place")
    return tuple(segments)


def is_upright(canvas: Canvas) -> bool:
    """Whether a canvas grows up and down alone: places are counted along that axis then."""
    return not (canvas.margins.left or canvas.margins.right)


def teller(
    canvas: Canvas,
    segments: Sequence[Segment],
    encode: Callable[[str], Tensor],
    *,
    has_subject: bool,
) -> Tell:
    """The function that tells each step its words.

    Args:
        encode: makes tokens (1, L) of a prompt.
        has_subject: whether the subjects of the prompts are to be drawn at all.
    """

    @cache  # to see where a wordless source is takes a second, and is rarely needed
    def text_of(index: int) -> Tensor:
        return encode("" if index < 0 else segments[index].prompt)

    subjects = _subject_steps(canvas, segments) if has_subject else set()

    def tell(step: Step) -> Words:
        index = _segment_of(canvas, segments, step)
        return Words(text_of(index), step.index in subjects)

    return tell


def _segment_of(canvas: Canvas, segments: Sequence[Segment], step: Step) -> int:
    """The segment that the middle of a step's patch lies in, -1 before the first."""
    place = canvas.result_rect(step.patch)
    start, length = (place.top, place.height) if is_upright(canvas) else (place.left, place.width)
    middle = start + length // 2
    return sum(segment.at <= middle for segment in segments) - 1


def _subject_steps(canvas: Canvas, segments: Sequence[Segment]) -> set[int]:
    """Of each segment the first of its steps with the largest patch."""
    best: dict[int, Step] = {}
    for step in Controller(canvas) if segments else ():
        index = _segment_of(canvas, segments, step)
        if index not in best or step.patch.area > best[index].patch.area:
            best[index] = step
    return {step.index for index, step in best.items() if index >= 0}
