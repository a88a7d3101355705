"""Tokens and frames of a plan: the best of several candidates, decoded a few frames at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.api.generated import Tokens
from nuwa_cli.config import SamplingConfig
from nuwa_cli.hub.model_dir import LoadedModel
from nuwa_cli.media.video import Frames
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.run import candidate_seeds, run_plan
from nuwa_cli.tokenizer.vqgan import IntactFeatures

OnProgress = Callable[[int, int], None]
"""Called with (steps done, steps in all) of the current output."""

_FRAMES_AT_ONCE = 8  # bounds the memory of a long clip


@dataclass(frozen=True)
class Drawn:
    """What a model drew: tokens (t, h, w) and frames uint8 (T, S, S, 3) in its own square."""

    tokens: Tokens
    frames: Frames
    score: float | None
    seed: int


def draw_best(
    model: LoadedModel,
    plan: Plan,
    settings: SamplingConfig,
    count: int,
    device: torch.device,
    on_progress: OnProgress | None,
) -> Drawn:
    """Of `count` candidates the one that fits the prompt best; the earlier one of equals."""
    best: Drawn | None = None
    for index, seed in enumerate(candidate_seeds(settings.seed, count)):

        def report(done: int, of: int, index: int = index) -> None:
            if on_progress is not None:
                on_progress(index * of + done, count * of)

        tokens = run_plan(model.transformer, plan, replace(settings, seed=seed), on_progress=report)
        drawn = _render(model, plan, tokens, seed, device, with_score=count > 1)
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
    for start in range(0, len(tokens), _FRAMES_AT_ONCE):
        some = slice(start, start + _FRAMES_AT_ONCE)
        intact = _intact(model, plan, some, device)
        pixels = model.tokenizer.decode(tokens[some].to(device), intact)  # (T, c, H, W)
        frames.append(_to_frames(pixels))
        if with_score and model.reranker is not None:
            scores.append(model.reranker.score(plan.text.to(device), pixels))
    score = float(torch.cat(scores).mean()) if scores else None
    return Drawn(tokens.numpy(), np.concatenate(frames), score, seed)


def _intact(
    model: LoadedModel, plan: Plan, some: slice, device: torch.device
) -> IntactFeatures | None:
    """What some frames show around their hole, for a decoder that joins what it draws there to it."""
    if plan.frames is None or plan.hole is None or not model.tokenizer.config.intact_skips:
        return None
    pixels = torch.from_numpy(plan.frames[some]).permute(0, 3, 1, 2).to(device).float() / 127.5 - 1
    hole = torch.from_numpy(plan.hole[some])[:, None].to(device)
    return model.tokenizer.intact_features(pixels, hole)


def _to_frames(pixels: Tensor) -> Frames:
    """float (T, 3, H, W) in [-1, 1] → uint8 (T, H, W, 3)."""
    levels = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    frames: Frames = np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())
    return frames
