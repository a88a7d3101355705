"""What one evaluation measures: which sections, and on how many samples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nuwa_cli.errors import UsageError

SECTIONS = (
    *("text", "sketch", "predict", "edit", "pairs"),
    *("completion", "extend", "long"),
    "tokenizer",
)
"""text: T2I and T2V · sketch: S2I and S2V · predict: V2V · edit: TI2I · pairs: subjects where no
training shows them · completion: holes of every kind, with both engines · extend: pictures in four
directions · long: pictures and clips that go on and on · tokenizer: the VQ-GANs."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How many samples of each set, and sampling settings that differ from the model's own."""

    num: int = 150
    clips: int = 50
    held_out_share: float = 0.2  # held-out probes in addition, as a share of `num` and `clips`
    sketches: int = 24  # pictures of sketches; as many again with a prompt besides
    sketch_clips: int = 8
    predictions: int = 10  # clips of a first frame; as many again with a prompt besides
    edits: int = 24
    pairs: int = 8  # seeds of each impossible pair
    completions: int = 200  # holes, each filled by every engine
    extensions: int = 100  # pictures, each extended in every direction: fewer tell little
    long_pictures: int = 3  # of 16 times the width
    long_clips: int = 6  # of 200 frames
    only: tuple[str, ...] = ()  # sections to measure; empty = all
    best_of: int | None = None  # of T2I and T2V
    sampling: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.only if name not in SECTIONS]
        if unknown:
            raise UsageError(f"section '{unknown[0]}': unknown; use {', '.join(SECTIONS)}")

    def includes(self, section: str) -> bool:
        """True if a section is to be measured."""
        return not self.only or section in self.only

    def sets(self) -> list[tuple[str, str, str, int]]:
        """(name, kind, split, count) of the text sets that have any samples."""
        plan = []
        for name, kind, count in (("t2i", "image", self.num), ("t2v", "video", self.clips)):
            held_out = round(count * self.held_out_share)
            plan += [(name, kind, "train", count), (f"{name}_held_out", kind, "held_out", held_out)]
        return [entry for entry in plan if entry[3] > 0 and self.includes("text")]
