"""Longer clips: chunk after chunk, each beginning with the last frames of the one before.

A chunk is as long as the clips that the model was trained on, so that its time table and its layouts stay
inside what they know. Its first frames are known tokens; where its subject goes is decided for the whole
clip (`clip_path`), and what must not be forgotten is expected of it (`clip_memory`). Nothing but the last few
frames of tokens is kept, so a clip of any length needs the memory of a short one.

Invariant: a frame depends on the given frames, the words, the seed and its number alone; asking for more
frames changes none of the earlier ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.infinity.clip_memory import ClipMemory
from nuwa_cli.infinity.clip_path import ClipPath, find_path, is_like, told_motion
from nuwa_cli.infinity.plans import step_seed
from nuwa_cli.infinity.strips import decode_cells
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.tasks.holes import pad_frames
from nuwa_cli.tasks.inputs import Bytes
from nuwa_cli.tasks.plan import Box, Plan
from nuwa_cli.tasks.toolkit import Toolkit

EXPECTED_NATS = 4.0
"""How strongly what is remembered is favored."""

Draw = Callable[[Plan, int], Tensor]
"""(plan, seed) → tokens (t, h, w)."""

_CONTEXT = 3  # frames that a chunk begins with: the reach of 3DNA in time, and one more


@dataclass(frozen=True)
class Chunk:
    """Frames that are drawn together, after `known` ones."""

    index: int
    known: int
    new: int


def context_of(clip_frames: int) -> int:
    """How many known frames a chunk begins with at most."""
    return min(_CONTEXT, clip_frames - 1)


def chunks(given: int, more: int, clip_frames: int) -> Iterator[Chunk]:
    """The chunks that `more` frames after `given` ones are drawn in."""
    context = context_of(clip_frames)
    done = 0
    for index in itertools.count():
        known = min(context, given + done)
        new = min(clip_frames - known, more - done)
        if new <= 0:
            return
        yield Chunk(index, known, new)
        done += new


def lengthen(
    model: Nuwa,
    toolkit: Toolkit,
    given: Bytes,
    text: Tensor,
    more: int,
    *,
    draw: Draw,
    seed: int,
) -> Iterator[Tensor]:
    """Tokens int64 (h, w) of each of the `more` frames that follow on the given ones.

    Args:
        given: the last frames of a clip, (k, S, S, 3); at most as many as the model's clips have.
        text: int64 (1, L), all zeros = nothing is said.
    """
    clip_frames = model.config.clip_frames
    tokens = toolkit.picture_tokens(given)[0]
    path = _path(model, toolkit, tokens, text, step_seed(seed, -1))
    memory = ClipMemory(toolkit, given, tokens, _boxes(path, range(len(given))))
    number = len(given)
    has_subject = 2 * len(given) >= clip_frames  # else it is not known how it moves
    for chunk in chunks(len(given), more, clip_frames):
        numbers = range(number - chunk.known, number + chunk.new)
        boxes = _boxes(path, numbers)
        known = tokens[-chunk.known :]
        expected = [
            memory.expected(number + later, box, has_subject=has_subject)
            for later, box in enumerate(boxes[chunk.known :])
        ]
        plan = Plan(
            task="extend",
            kind="video",
            grid=toolkit.grid(len(numbers)),
            text=text,
            layout_frames=clip_frames,
            nobody=path is None,
            boxes=boxes if path else (),
            known_tokens=pad_frames(known[None], len(numbers)),
            expected=torch.cat((known, torch.stack(expected)))[None],
            expected_nats=EXPECTED_NATS,
        )
        drawn = draw(plan, step_seed(seed, chunk.index))[chunk.known :]
        for frame, box in zip(drawn, boxes[chunk.known :], strict=True):
            memory.keep(frame, box)
            yield frame
        number += chunk.new
        tokens = torch.cat((tokens, drawn))
        if not has_subject:
            memory = _with_drawn(toolkit, given, tokens, _boxes(path, range(number)))
            has_subject = True
        tokens = tokens[-clip_frames:]


def _path(
    model: Nuwa, toolkit: Toolkit, tokens: Tensor, text: Tensor, seed: int
) -> ClipPath | None:
    """Where the subject of given frames (k, h, w) goes: as it went, or as a text has it."""
    clip_frames = model.config.clip_frames
    plan = Plan(
        task="extend",
        kind="video",
        grid=toolkit.grid(clip_frames),
        text=text,
        layout_frames=clip_frames,
        known_tokens=tokens[None],
    )
    path = find_path(model, plan, seed)
    if path is None or not bool(text.any()):
        return path
    told = told_motion(model, plan, seed)
    if len(path.given) > 1 and is_like(told, path.motion, clip_frames):
        return path
    return ClipPath(path.given, told)


def _boxes(path: ClipPath | None, numbers: range) -> tuple[Box | None, ...]:
    return tuple(None if path is None else path.box(number) for number in numbers)


def _with_drawn(
    toolkit: Toolkit, given: Bytes, tokens: Tensor, boxes: tuple[Box | None, ...]
) -> ClipMemory:
    """The memory of given frames and the first that were drawn after them."""
    drawn = [decode_cells(toolkit.vqgan, frame.numpy()) for frame in tokens[len(given) :]]
    pixels = np.clip(np.rint(np.stack(drawn)), 0, 255).astype(np.uint8)
    return ClipMemory(toolkit, np.concatenate((given, pixels)), tokens, boxes)
