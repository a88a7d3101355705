"""Layouts for a plan: where the subject will be, in each frame, before a token is drawn.

Without known tokens the model's planner draws boxes from the text. Where a picture is given, its
subject already stands somewhere: candidates drawn by the planner are scored by how well the model
explains the given tokens with each of them (its own likelihood, no detector), the best is refined
step by step, and the planner continues the path from there. A region to repaint (`Plan.focus`)
confines the subject to itself instead.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.model.condition import Condition
from nuwa_cli.model.layout import (
    BINS,
    NUM_SLOTS,
    box_path,
    from_bins,
    key_boxes,
    rasterize,
    to_bins,
)
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.sampling.randomness import uniforms
from nuwa_cli.tasks.plan import Box, Plan

_CANDIDATES = 24  # boxes, and later paths, to choose from
_REFINEMENTS = (3, 2, 1, 1)  # bins that a box side moves in each round
_FIRST_BOX = 5  # slots up to the first key box
_SMALLEST = 2  # bins: no subject is smaller
_NOBODY = 0.15  # of a text that names a place alone; measured: 0.2 to 0.5 there, else below 0.07


@torch.inference_mode()
def plan_layout(model: Nuwa, plan: Plan, seed: int) -> Tensor:
    """Layout tokens (1, t, h, w) of a plan: a pure function of (model, plan, seed)."""
    pooled = model.encode(Condition(text=plan.text.to(model.head.weight.device))).pooled
    if plan.known_tokens is None or plan.focus is not None:
        bins = _draw(model, plan, pooled, seed, 1)
    else:
        bins = _continued(model, plan, pooled, seed)
    keys, is_subject = key_boxes(bins)
    if plan.focus is not None:
        keys = confine(keys, plan.focus)
    boxes = box_path(keys, plan.grid.frames, plan.layout_frames)
    return rasterize(boxes, is_subject[:, None].expand(-1, plan.grid.frames), plan.grid)


def confine(boxes: Tensor, focus: Box) -> Tensor:
    """Boxes (…, 4) shrunk and moved as little as it takes to lie inside the focus."""
    room = torch.tensor(focus, device=boxes.device)
    scale = (room[2:] / boxes[..., 2:].clamp(min=1e-6)).amin(dim=-1, keepdim=True).clamp(max=1.0)
    size = boxes[..., 2:] * scale
    free = (room[2:] - size).clamp(min=0.0) / 2
    center = torch.minimum(torch.maximum(boxes[..., :2], room[:2] - free), room[:2] + free)
    return torch.cat((center, size), dim=-1)


def _draw(
    model: Nuwa,
    plan: Plan,
    pooled: Tensor,
    seed: int,
    count: int,
    given: Tensor | None = None,
    round_: int = 0,
) -> Tensor:
    """Bins (count, NUM_SLOTS) from the planner. Its random numbers sit at negative positions, apart
    from those of the tokens; each round of drawing has its own."""
    is_clip = plan.kind == "video"
    if given is None and bool(plan.text.any()) and _names_nobody(model, pooled, is_clip):
        return torch.zeros(count, NUM_SLOTS, dtype=torch.int64, device=pooled.device)
    first = 2 + round_ * _CANDIDATES * NUM_SLOTS
    positions = -torch.arange(first, first + count * NUM_SLOTS, device=pooled.device)
    numbers = uniforms(seed, positions).view(count, NUM_SLOTS)
    return model.planner.draw(pooled.expand(count, -1), numbers, is_clip=is_clip, given=given)


def _names_nobody(model: Nuwa, pooled: Tensor, is_clip: bool) -> bool:
    """Whether a text asks for a place alone. Training captions often leave the subject out, so the
    planner would put somebody there in most cases; who asks for a beach wants a beach."""
    nothing = torch.zeros(1, 1, dtype=torch.int64, device=pooled.device)
    logits = model.planner(pooled, nothing, is_clip=is_clip)[0, 0].double()
    return float(logits.softmax(dim=-1)[0]) > _NOBODY


def _continued(model: Nuwa, plan: Plan, pooled: Tensor, seed: int) -> Tensor:
    """Bins (1, NUM_SLOTS) that fit what the known tokens show."""
    assert plan.known_tokens is not None
    known = plan.known_tokens.to(pooled.device)
    candidates = _draw(model, plan, pooled, seed, _CANDIDATES)
    if not bool(plan.text.any()):  # nobody asked for a subject: there may be none
        candidates = torch.cat((candidates, torch.zeros_like(candidates[:1])))
    first = _Explanation(model, plan, known[:, :1])
    start = first.best(candidates[:, :_FIRST_BOX])
    if not bool(start[0, 0]):
        return torch.zeros_like(candidates[:1])
    paths = _draw(model, plan, pooled, seed, _CANDIDATES, given=start, round_=1)
    num_known = int((known >= 0).flatten(2).all(dim=2).sum())
    if num_known < 2:
        return paths[:1]
    # Several frames show a direction: of the planned paths, the one that passes where it leads.
    keys, _ = key_boxes(paths)
    passed = box_path(keys, num_known, plan.layout_frames)[:, -1]
    candidates = torch.cat((start, F.pad(to_bins(passed), (1, 0), value=1)))
    last = _Explanation(model, plan, known[:, num_known - 1 : num_known]).best(candidates)
    distance = (passed - from_bins(last[:, 1:])).abs().sum(dim=-1)
    return paths[distance.argmin()][None]


class _Explanation:
    """How well one frame of known tokens (1, 1, h, w) is explained by a first box."""

    def __init__(self, model: Nuwa, plan: Plan, known: Tensor) -> None:
        self.model = model
        self.text = plan.text.to(known.device)
        self.grid = GridShape(1, plan.grid.height, plan.grid.width)
        self.is_known = known >= 0
        self.tokens = _filled(known)

    def best(self, candidates: Tensor) -> Tensor:
        """Of first boxes, bins (k, 5), the likeliest, refined: (1, 5)."""
        scores = self.log_likelihood(candidates)
        best, score = candidates[scores.argmax()][None], scores.max()
        for step in _REFINEMENTS if bool(best[0, 0]) else ():
            moves = torch.cat((torch.eye(4), -torch.eye(4))).long().to(best.device) * step
            moved = best.repeat(len(moves), 1)
            moved[:, 1:] = (moved[:, 1:] + moves).clamp(min=0, max=BINS - 1)
            moved[:, 3:] = moved[:, 3:].clamp(min=_SMALLEST)
            scores = self.log_likelihood(moved)
            if bool(scores.max() > score):
                best, score = moved[scores.argmax()][None], scores.max()
        return best

    def log_likelihood(self, bins: Tensor) -> Tensor:
        """Log-probability of the known tokens under each first box: (k, 5) → (k,), in nats."""
        count = len(bins)
        boxes, present = from_bins(bins[:, 1:])[:, None], bins[:, :1] > 0
        target = self.tokens.expand(count, -1, -1, -1)
        condition = Condition(
            text=self.text.expand(count, -1), layout=rasterize(boxes, present, self.grid)
        )
        logits = self.model(target, condition).float()
        losses = F.cross_entropy(logits.flatten(0, 3), target.flatten(), reduction="none")
        return -(losses.view(target.shape) * self.is_known).sum(dim=(1, 2, 3))


def _filled(known: Tensor) -> Tensor:
    """Known tokens (1, 1, h, w) whose holes repeat the known token nearest in raster order: later
    cells see something plausible there, and no hole is ever scored."""
    flat = known.flatten()
    places = torch.arange(len(flat), device=flat.device)
    distance = (places[:, None] - places[None]).abs()
    nearest = distance.masked_fill((flat < 0)[None], len(flat)).argmin(dim=1)
    return flat[nearest].clamp(min=0).view(known.shape)
