"""Longer and wider clips through the library."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuwa_cli.api import ClipExtension, Margins, NuwaPipeline
from nuwa_cli.errors import UsageError

SIZE = 32


@pytest.fixture(scope="module")
def pipeline(model_folder: Path) -> NuwaPipeline:
    return NuwaPipeline.load(model_folder, device="cpu", dtype="float32")


def clip(count: int, height: int = SIZE, width: int = SIZE) -> Any:
    """A light square over a still gradient."""
    rows, columns = np.mgrid[:height, :width]
    ground = np.stack((rows * 4, columns * 3, rows + columns), axis=-1) % 256
    frames = np.repeat(ground[None].astype(np.uint8), count, axis=0)
    for number, frame in enumerate(frames):
        frame[8:16, 4 + number : 12 + number] = 250
    return frames


def drawn(extension: ClipExtension) -> Any:
    return np.stack(list(extension.frames()))


@pytest.mark.parametrize(("height", "width"), [(SIZE, SIZE), (50, 90)])
def test_a_longer_clip_begins_as_given_and_keeps_its_size(
    pipeline: NuwaPipeline, height: int, width: int
) -> None:
    given = clip(5, height, width)
    steps: list[tuple[int, int]] = []
    extension = pipeline.start_clip_extension(
        given, 9, prompt="a dog", seed=3, on_progress=lambda *step: steps.append(step)
    )
    frames = drawn(extension)
    assert (extension.num_frames, extension.height, extension.width) == (9, height, width)
    assert frames.shape == (9, height, width, 3) and frames.dtype == np.uint8
    assert (frames[:5] == given).all()
    assert extension.num_steps == 4
    assert steps == [(step, 4) for step in range(1, 5)]
    assert extension.fps == 6
    assert (drawn(extension) == frames).all()  # asked for again, the same again
    other = pipeline.start_clip_extension(given, 9, prompt="a dog", seed=4)
    assert (drawn(other) != frames).any()


def test_who_stops_has_a_shorter_clip(pipeline: NuwaPipeline) -> None:
    extension = pipeline.start_clip_extension(clip(3), 50, seed=1)
    some = list(itertools.islice(extension.frames(), 6))
    whole = drawn(pipeline.start_clip_extension(clip(3), 6, seed=1))
    assert (np.stack(some) == whole).all()


def test_a_still_background_keeps_its_detail(
    pipeline: NuwaPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the tokens are those of the last given frame, its own pixels go on standing."""
    given = clip(3, 40, 64)
    toolkit = pipeline.toolkit

    def repeat(_model: Any, _kit: Any, squares: Any, _text: Any, more: int, **_: Any) -> Any:
        tokens = toolkit.picture_tokens(squares[-1:])[0, 0]
        for _number in range(more):
            changed = tokens.clone()
            changed[:, 0] = (tokens[:, 0] + 1) % 64
            yield changed

    monkeypatch.setattr("nuwa_cli.api.clip_extension.lengthen", repeat)
    frames = drawn(pipeline.start_clip_extension(given, 5))
    assert (frames[3:, :, 32:] == given[-1, :, 32:]).all()
    assert (frames[3:, :, :6] != given[-1, :, :6]).any()


@pytest.mark.parametrize(
    "margins", [Margins(right=20), Margins(left=9), Margins(top=16), Margins(4, 5, 6, 7)]
)
def test_a_wider_clip_holds_the_given_one(pipeline: NuwaPipeline, margins: Margins) -> None:
    given = clip(5, 36, 40)
    steps: list[tuple[int, int]] = []
    extension = pipeline.start_clip_extension(
        given, margins=margins, seed=3, on_progress=lambda *step: steps.append(step)
    )
    frames = drawn(extension)
    height = 36 + margins.top + margins.bottom
    width = 40 + margins.left + margins.right
    assert (extension.num_frames, extension.height, extension.width) == (5, height, width)
    assert frames.shape == (5, height, width, 3)
    top, left = extension.origin
    assert (top, left) == (margins.top, margins.left)
    assert (frames[:, top : top + 36, left : left + 40] == given).all()
    assert steps == [(n, extension.num_steps) for n in range(1, extension.num_steps + 1)]
    assert (drawn(extension) == frames).all()


def test_the_first_frame_grows_as_a_picture_does(pipeline: NuwaPipeline) -> None:
    given, margins = clip(2), Margins(right=24, top=8)
    picture = pipeline.extend(given[0], margins, seed=5)
    frames = drawn(pipeline.start_clip_extension(given, margins=margins, seed=5))
    assert (frames[0] == picture.frames[0]).all()


def test_a_clip_that_goes_on_and_grows(pipeline: NuwaPipeline) -> None:
    """It is made longer first, and then wider."""
    given = clip(3)
    longer = drawn(pipeline.start_clip_extension(given, 6, prompt="a dog", seed=2))
    both = pipeline.start_clip_extension(given, 6, Margins(right=16), "a dog", seed=2)
    frames = drawn(both)
    assert frames.shape == (6, SIZE, SIZE + 16, 3)
    assert (frames[:, :, :SIZE] == longer).all()
    assert both.num_steps == 3 + 1 + 4
    options = both.recipe()["options"]
    assert (options["frames"], options["right"], options["fit"]) == (6, 16, "pad")


def test_frames_may_come_one_by_one(pipeline: NuwaPipeline) -> None:
    given = clip(6)
    margins = Margins(right=8)
    whole = drawn(pipeline.start_clip_extension(given, 8, margins, seed=1))
    stream = pipeline.start_clip_extension(iter(given), 8, margins, num_given=6, seed=1)
    assert (drawn(stream) == whole).all()


@pytest.mark.parametrize("grows", ["longer", "wider"])
def test_memory_does_not_grow_with_the_clip(pipeline: NuwaPipeline, grows: str) -> None:
    """Of the given and of the finished frames, those of a chunk or two are alive at a time."""
    taken: list[weakref.ref[Any]] = []

    def stream(count: int) -> Iterator[Any]:
        for frame in clip(count):
            copy = frame.copy()
            taken.append(weakref.ref(copy))
            yield copy
            del copy

    if grows == "longer":
        extension = pipeline.start_clip_extension(stream(20), 24, num_given=20)
    else:
        margins = Margins(right=8)
        extension = pipeline.start_clip_extension(stream(20), margins=margins, num_given=20)
    alive = []
    gc.freeze()  # what other tests have left need not be looked through for every frame
    for frame in extension.frames():
        taken.append(weakref.ref(frame))
        del frame
        gc.collect()
        alive.append(sum(frame() is not None for frame in taken))
    assert len(alive) == extension.num_frames
    assert max(alive) <= 2 * 3 + 2  # the clips of this model have 3 frames


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({}, "nothing grows"),
        ({"num_frames": 2}, r"frames '2'.*at least 4"),
        ({"num_frames": 3}, r"frames '3'.*at least 4"),
        ({"num_frames": 2, "margins": Margins(right=8)}, r"frames '2'.*at least 4"),
        ({"num_frames": 9, "prompt": "…"}, "says nothing"),
    ],
)
def test_what_cannot_be_asked_for(
    pipeline: NuwaPipeline, arguments: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        pipeline.start_clip_extension(clip(3), **arguments)


def test_frames_that_are_not_what_was_said(pipeline: NuwaPipeline) -> None:
    start = pipeline.start_clip_extension
    with pytest.raises(UsageError, match="num_given"):
        start(iter(clip(3)), 9)
    with pytest.raises(UsageError, match="nothing to go on from"):
        start(iter(()), 9, num_given=0)
    with pytest.raises(UsageError, match="clip of shape"):
        start(np.zeros((3, 4, 4), np.uint8), 9)
    with pytest.raises(UsageError, match="ends after 3 frames; 5"):
        drawn(start(iter(clip(3)), 9, num_given=5))
    with pytest.raises(UsageError, match="frame 3 of shape"):
        drawn(start(iter(clip(3)), 9, num_given=2))
    uneven = [*clip(2), clip(1, 8, 8)[0]]
    with pytest.raises(UsageError, match="frame 3 of shape"):
        drawn(start(iter(uneven), 9, num_given=3))
