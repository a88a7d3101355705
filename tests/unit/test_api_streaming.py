"""Clips frame by frame: the same frames as all at once, each as early as it can be."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuwa_cli.api import Given, NuwaPipeline
from nuwa_cli.api.orders import Order
from nuwa_cli.api.streaming import stream_frames
from nuwa_cli.errors import UsageError

SIZE = 32


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> NuwaPipeline:
    return NuwaPipeline.load(model_folder, device="cpu", dtype="bfloat16")


def frames(count: int, height: int = SIZE, width: int = SIZE) -> Any:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def region(height: int = 50, width: int = 70) -> Any:
    mask = np.zeros((1, height, width), dtype=np.bool_)
    mask[:, 10:30, 20:45] = True
    return mask


SKETCH = np.repeat(np.arange(4, dtype=np.uint8)[:, None, None], 40, axis=1).repeat(60, axis=2)
ORDERS = {
    "t2v": Order("t2v", "a dog", None, 5, seed=3, fps=12.5, sampling={"temperature": 0.5}),
    "predict, picture": Order("predict", "a dog", Given(frames=frames(1, 40, 64)), 3, seed=1),
    "predict, clip": Order("predict", "", Given(frames=frames(2)), 5, seed=1),
    "vedit, whole": Order("vedit", "a dog", Given(frames=frames(3, 50, 70), keep_first=1), seed=2),
    "vedit, crop": Order(
        "vedit", "a dog", Given(frames=frames(3, 50, 70), keep_first=2, fit="crop"), seed=2
    ),
    "vedit, region": Order(
        "vedit", "a dog", Given(frames=frames(3, 50, 70), masks=region(), feather=3), seed=2
    ),
    "vedit, both": Order(
        "vedit", "a dog", Given(frames=frames(3, 50, 70), masks=region(), keep_first=1), seed=2
    ),
    "sketch2vid": Order("sketch2vid", "a dog", Given(sketch=SKETCH), seed=4),
    "best of 3": Order("t2v", "a dog", num_frames=3, seed=3, best_of=3),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_stream_is_the_clip_bit_for_bit(pipeline: NuwaPipeline, order: Order) -> None:
    (whole,) = pipeline.run_many([order])
    clip = stream_frames(pipeline, order)
    assert clip.recipe == whole.recipe
    assert (clip.fps, clip.seed) == (whole.fps, whole.seed)
    assert (clip.num_frames, clip.height, clip.width, 3) == whole.frames.shape
    assert np.array_equal(np.stack(list(clip.frames)), whole.frames)


def counted(pipeline: NuwaPipeline, order: Order) -> Iterator[tuple[int, float]]:
    """Number of each frame, and which share of all steps was made when it came."""
    share = 0.0

    def report(done: int, of: int) -> None:
        nonlocal share
        share = done / of

    clip = stream_frames(pipeline, order, on_progress=report)
    for index, _ in enumerate(clip.frames):
        yield index, share
    assert share == 1


def test_frames_come_while_later_ones_are_drawn(pipeline: NuwaPipeline) -> None:
    shares = [share for _, share in counted(pipeline, Order("t2v", "a dog", num_frames=8))]
    assert len(shares) == 8
    assert shares[0] < 0.5
    assert all(earlier < later for earlier, later in itertools.pairwise(shares[:-1]))


def test_given_frames_come_before_anything_is_drawn(pipeline: NuwaPipeline) -> None:
    for name, kept in (("predict, clip", 2), ("vedit, both", 1)):
        early = [index for index, share in counted(pipeline, ORDERS[name]) if share == 0]
        assert early == list(range(kept)), name


def test_taking_less_draws_less(pipeline: NuwaPipeline) -> None:
    steps = []
    clip = stream_frames(
        pipeline,
        Order("t2v", "a dog", num_frames=1000),
        on_progress=lambda done, of: steps.append((done, of)),
    )
    first = next(clip.frames)
    assert np.array_equal(first, pipeline.run("t2v", "a dog", num_frames=3).frames[0])
    assert steps[-1][0] < steps[-1][1] / 10


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (Order("t2i", "a dog"), "makes a picture"),
        (Order("nope"), "unknown"),
        (Order("predict", "", Given(frames=frames(1)), 3, best_of=2), "no prompt to judge by"),
    ],
)
def test_what_cannot_be_streamed(pipeline: NuwaPipeline, order: Order, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        stream_frames(pipeline, order)
