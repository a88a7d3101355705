"""Prompts: which words a patch is told, and where their subject is drawn."""

from __future__ import annotations

import pytest
import torch

from nuwa_cli.errors import UsageError
from nuwa_cli.infinity.controller import Controller
from nuwa_cli.infinity.geometry import Margins, plan_canvas
from nuwa_cli.infinity.words import Segment, plan_segments, teller


def told(
    margins: Margins, prompt: str, *later: Segment, has_subject: bool = True
) -> list[tuple[str, bool]]:
    """What each step is told, and whether the subject is there, for a source of 256 x 256."""
    canvas = plan_canvas(256, 256, margins, side=16, cell=16)
    texts: list[str] = []

    def encode(prompt: str) -> torch.Tensor:
        texts.append(prompt)
        return torch.tensor([[len(texts) - 1]])

    segments = plan_segments(canvas, prompt, later)
    tell = teller(canvas, segments, encode, has_subject=has_subject)
    words = [tell(step) for step in Controller(canvas)]
    return [(texts[int(word.text)], word.has_subject) for word in words]


def test_a_subject_is_drawn_once() -> None:
    assert told(Margins(right=512), "dog") == [("dog", True)] + [("dog", False)] * 3
    assert told(Margins(right=256), "") == [("", False)] * 2
    assert told(Margins(right=256), "dog", has_subject=False) == [("dog", False)] * 2
    around = told(Margins(300, 300, 300, 300), "dog")
    assert [subject for _, subject in around].count(True) == 1


def test_segments() -> None:
    """Places are counted from the result's left edge, whichever way it grows."""
    cat = Segment(512, "cat")
    right = told(Margins(right=512), "dog", cat)
    assert right == [("dog", True), ("dog", False), ("cat", True), ("cat", False)]
    left = told(Margins(left=1024), "dog", cat)
    assert left == [("cat", True)] + [("cat", False)] * 3 + [("dog", True)] + [("dog", False)] * 3
    assert told(Margins(right=512), "", cat)[:3] == [("", False), ("", False), ("cat", True)]
    down = told(Margins(bottom=512), "dog", cat)
    assert down == right
    assert told(Margins(right=128), "dog", Segment(0, "cat")) == [("cat", True)]


def test_a_sliver_is_no_place_for_a_subject() -> None:
    """The first patch of a segment that is as large as any of its patches."""
    assert [subject for _, subject in told(Margins(bottom=300, right=20), "dog")] == [
        False, True, False, False, False, False, False
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("segments", "why"),
    [
        ([(512, "cat")], "prompt-at '512': the result ends at 512 pixels"),
        ([(9, "cat"), (9, "dog")], "prompt-at '9': is given twice"),
        ([(-1, "cat")], "prompt-at '-1': is negative"),
        ([(3, " ")], "prompt ' ': says nothing"),
    ],
)
def test_refusals(segments: list[tuple[int, str]], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        told(Margins(right=256), "dog", *(Segment(*each) for each in segments))
