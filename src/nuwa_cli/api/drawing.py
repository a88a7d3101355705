"""Tokens and frames of a plan: the best of several candidates, decoded a few frames at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.api.generated import Tokens
from nuwa_cli.config import SamplingConfig
from nuwa_cli.hub.model_dir import LoadedModel
from nuwa_cli.media.video import Frame, Frames
from nuwa_cli.ops.pixels import to_levels, to_pixels
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.run import OnProgress, candidate_seeds, run_plans
from nuwa_cli.tokenizer.vqgan import IntactFeatures

OnFrame = Callable[[int, int, Frame], None]
"""Called with (number of the draft, number of the frame, pixels uint8 (S, S, 3)) as frames are made."""


@dataclass(frozen=True)
class Draft:
    """What is to be drawn: the best of `count` candidates of a plan."""

    plan: Plan
    settings: SamplingConfig
    count: int = 1


@dataclass(frozen=True)
class Drawn:
    """What a model drew: tokens (t, h, w) and frames uint8 (T, S, S, 3) in its own square."""

    tokens: Tokens
    frames: Frames
    score: float | None
    seed: int


def draw(
    model: LoadedModel,
    drafts: Sequence[Draft],
    device: torch.device,
    *,
    together: int = 1,
    on_progress: OnProgress | None = None,
    on_frame: OnFrame | None = None,
) -> Iterator[Drawn]:
    """Draw drafts, in order; candidates of all of them are decoded `together` where they are alike.

    Frames of a draft with one candidate are told while others are still drawn.
    """
    seeds = [candidate_seeds(draft.settings.seed, draft.count) for draft in drafts]
    owners = [number for number, own in enumerate(seeds) for _ in own]

    def show(sample: int, index: int, tokens: Tensor) -> None:
        number = owners[sample]
        if on_frame is not None and drafts[number].count == 1:
            pixels = decode_frames(model, drafts[number].plan, tokens[None], index, device)
            on_frame(number, index, to_frames(pixels)[0])

    tokens = iter(
        run_plans(
            model.transformer,
            [
                (draft.plan, replace(draft.settings, seed=seed))
                for draft, own in zip(drafts, seeds, strict=True)
                for seed in own
            ],
            together=together,
            on_progress=on_progress,
            on_frame=None if on_frame is None else show,
        )
    )
    for number, (draft, own) in enumerate(zip(drafts, seeds, strict=True)):
        drawn = _best(model, draft, list(zip(own, tokens, strict=False)), device)
        if on_frame is not None and draft.count > 1:
            for index, frame in enumerate(drawn.frames):
                on_frame(number, index, frame)
        yield drawn


def _best(
    model: LoadedModel,
    draft: Draft,
    candidates: Sequence[tuple[int, Tensor]],
    device: torch.device,
) -> Drawn:
    """Of the candidates (seed, tokens) the one that fits the prompt best; the earlier one of equals."""
    best: Drawn | None = None
    for seed, tokens in candidates:
        drawn = _render(model, draft.plan, tokens, seed, device, with_score=draft.count > 1)
        if best is None or (drawn.score or 0.0) > (best.score or 0.0):
            best = drawn
    assert best is not None  # count is at least 1
    return best


@torch.inference_mode()
def _render(
    model: LoadedModel,
    plan: Plan,
    tokens: Tensor,
    seed: int,
    device: torch.device,
    *,
    with_score: bool,
) -> Drawn:
    """Frames of tokens (t, h, w); if asked for, their score, the mean over all frames, as CLIPSIM
    does."""
    frames, scores = [], []
    for index in range(len(tokens)):
        pixels = decode_frames(model, plan, tokens[index : index + 1], index, device)
        frames.append(to_frames(pixels))
        if with_score and model.reranker is not None:
            scores.append(model.reranker.score(plan.text.to(device), pixels))
    score = float(torch.cat(scores).mean()) if scores else None
    return Drawn(tokens.numpy(), np.concatenate(frames), score, seed)


@torch.inference_mode()
def decode_frames(
    model: LoadedModel, plan: Plan, tokens: Tensor, start: int, device: torch.device
) -> Tensor:
    """Pixels float (k, 3, S, S) in [-1, 1] of the tokens (k, h, w) of the frames from `start` on.

    One frame at a time is as fast on a CPU as several, and then a frame is the same in a stream.
    """
    some = slice(start, start + len(tokens))
    return model.tokenizer.decode(tokens.to(device), _intact(model, plan, some, device))


def _intact(
    model: LoadedModel, plan: Plan, some: slice, device: torch.device
) -> IntactFeatures | None:
    """What some frames show around their hole, for a decoder that joins what it draws there to it."""
    if plan.frames is None or plan.hole is None or not model.tokenizer.config.intact_skips:
        return None
    pixels = to_pixels(torch.from_numpy(plan.frames[some]).permute(0, 3, 1, 2).to(device))
    hole = torch.from_numpy(plan.hole[some])[:, None].to(device)
    return model.tokenizer.intact_features(pixels, hole)


def to_frames(pixels: Tensor) -> Frames:
    """float (T, 3, H, W) in [-1, 1] → uint8 (T, H, W, 3)."""
    levels = to_levels(pixels)
    frames: Frames = np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())
    return frames
