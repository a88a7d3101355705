"""Layouts for a plan: where the subject will be, in each frame, before a token is drawn.

Without known tokens the model's planner draws boxes from the text. Where a picture is given, its
subject already stands somewhere: candidates drawn by the planner are scored by how likely it finds
them and how well the model explains the given tokens with each of them (its own likelihood, no
detector), the best is refined step by step, and the planner continues the path from there. A region
to repaint (`Plan.focus`) confines the subject to itself, unless it is to be seen beside the region already.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from nuwa_cli.model.condition import Condition
from nuwa_cli.model.layout import (
    BINS,
    NUM_SLOTS,
    OUTSIDE,
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
_SURPRISE = 4.0  # nats that one token can count against a text: a picture need not be of this world
_TEXTS_AT_ONCE = 8
_CLEARLY = 8.0  # nats that somebody whom no text names must explain more than nobody
_NOBODY = 0.45  # of a text that names a place alone; measured: 0.6 to 0.9 there, else below 0.35


@torch.inference_mode()
def plan_layout(model: Nuwa, plan: Plan, seed: int) -> Tensor:
    """Layout tokens (1, t, h, w) of a plan: a pure function of (model, plan, seed)."""
    if plan.nobody:
        return torch.full((1, *plan.grid.sides), OUTSIDE)
    if plan.boxes:
        nowhere = (0.5, 0.5, 0.0, 0.0)
        boxes = torch.tensor([[box or nowhere for box in plan.boxes]])
        present = torch.tensor([[box is not None for box in plan.boxes]])
        return rasterize(boxes, present, plan.grid)
    keys, is_subject = plan_keys(model, plan, seed)
    boxes = box_path(keys, plan.grid.frames, plan.layout_frames)
    return rasterize(boxes, is_subject[:, None].expand(-1, plan.grid.frames), plan.grid)


@torch.inference_mode()
def plan_keys(model: Nuwa, plan: Plan, seed: int) -> tuple[Tensor, Tensor]:
    """The key boxes of a plan (1, KEY_FRAMES, 4), and whether there is a subject, bool (1,)."""
    pooled = model.encode(Condition(text=plan.text.to(model.head.weight.device))).pooled
    if plan.known_tokens is None or (plan.focus is not None and not plan.may_be_shown):
        bins = _draw(model, plan, pooled, seed, 1)
    elif plan.focus is not None:
        bins = _shown_or_inside(model, plan, pooled, seed)
    else:
        bins = _continued(model, plan, pooled, seed)
    keys, is_subject = key_boxes(bins)
    if plan.focus is not None and not plan.may_be_shown:
        keys = confine(keys, plan.focus)
    return keys, is_subject


@torch.inference_mode()
def find_box(model: Nuwa, plan: Plan, frame: int, seed: int) -> Box | None:
    """Where the subject of the text stands in one frame of the known tokens; None for nobody."""
    assert plan.known_tokens is not None
    pooled = model.encode(Condition(text=plan.text.to(model.head.weight.device))).pooled
    known = plan.known_tokens[:, frame : frame + 1].to(pooled.device)
    best = _Explanation(model, plan, pooled, known).best(_first_boxes(model, plan, pooled, seed))
    if not bool(best[0, 0]):
        return None
    x, y, width, height = from_bins(best[0, 1:]).tolist()
    return x, y, width, height


@torch.inference_mode()
def likeliest_text(model: Nuwa, texts: Tensor, known: Tensor) -> Tensor:
    """Of texts (k, L) the one (1, L) that explains the known tokens (1, 1, h, w) of a picture, -1 in its
    hole, best. Its own likelihood tells a model where it is, as it tells it where a subject stands."""
    device = model.head.weight.device
    known = known.to(device)
    target = _filled(known)
    scores = []
    for some in torch.split(texts.to(device), _TEXTS_AT_ONCE):
        losses = _token_losses(model, target, Condition(text=some)).clamp(max=_SURPRISE)
        scores.append(-(losses * (known >= 0)).sum(dim=(1, 2, 3)))
    return texts[int(torch.cat(scores).argmax())][None]


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


def _first_boxes(model: Nuwa, plan: Plan, pooled: Tensor, seed: int) -> Tensor:
    """Candidates for a first box, bins (k, 5); among them nobody, unless the text asks for one."""
    candidates = _draw(model, plan, pooled, seed, _CANDIDATES)[:, :_FIRST_BOX]
    if not bool(plan.text.any()):  # nobody asked for a subject: there may be none
        candidates = torch.cat((candidates, torch.zeros_like(candidates[:1])))
    return candidates


def _shown_or_inside(model: Nuwa, plan: Plan, pooled: Tensor, seed: int) -> Tensor:
    """Bins (1, NUM_SLOTS) of a subject inside the focus, unless one that stands partly outside is
    likelier, given what is known of the picture. Without a text only that one counts, where it is clearly
    there: nobody else was asked for."""
    assert plan.known_tokens is not None and plan.focus is not None
    has_text = bool(plan.text.any())
    candidates = _first_boxes(model, plan, pooled, seed)
    if has_text and not bool(candidates[0, 0]):
        return torch.zeros(1, NUM_SLOTS, dtype=torch.int64, device=pooled.device)
    explanation = _Explanation(model, plan, pooled, plan.known_tokens[:, :1].to(pooled.device))
    shown = explanation.best(candidates)
    if has_text:
        within = confine(from_bins(candidates[:, 1:]), plan.focus)
        others = F.pad(to_bins(within), (1, 0), value=1)
        scores = explanation.log_probability(torch.cat((shown, others)))
        chosen = shown if bool(scores[0] > scores[1:].max()) else others[:1]
    else:
        chosen = shown if explanation.is_told(shown, _CLEARLY) else torch.zeros_like(shown)
    return F.pad(chosen, (0, NUM_SLOTS - _FIRST_BOX))


def _continued(model: Nuwa, plan: Plan, pooled: Tensor, seed: int) -> Tensor:
    """Bins (1, NUM_SLOTS) that fit what the known tokens show."""
    assert plan.known_tokens is not None
    known = plan.known_tokens.to(pooled.device)
    first = _Explanation(model, plan, pooled, known[:, :1])
    start = first.best(_first_boxes(model, plan, pooled, seed))
    if not bool(start[0, 0]):
        return torch.zeros(1, NUM_SLOTS, dtype=torch.int64, device=pooled.device)
    paths = _draw(model, plan, pooled, seed, _CANDIDATES, given=start, round_=1)
    num_known = int((known >= 0).flatten(2).all(dim=2).sum())
    if num_known < 2:
        return paths[:1]
    # Several frames show a direction: of the planned paths, the one that passes where it leads.
    keys, _ = key_boxes(paths)
    passed = box_path(keys, num_known, plan.layout_frames)[:, -1]
    candidates = torch.cat((start, F.pad(to_bins(passed), (1, 0), value=1)))
    shown = known[:, num_known - 1 : num_known]
    last = _Explanation(model, plan, pooled, shown).best(candidates)
    distance = (passed - from_bins(last[:, 1:])).abs().sum(dim=-1)
    return paths[distance.argmin()][None]


class _Explanation:
    """How likely a first box is, given one frame of known tokens (1, 1, h, w) and the text, which encodes
    to `pooled` (1, d): how well it explains the tokens, and how likely the planner finds it. A hole explains
    nothing, so that without the planner a box would spread over it as it likes."""

    def __init__(self, model: Nuwa, plan: Plan, pooled: Tensor, known: Tensor) -> None:
        self.model = model
        self.text = plan.text.to(known.device)
        self.pooled = pooled
        self.is_clip = plan.kind == "video"
        self.grid = GridShape(1, plan.grid.height, plan.grid.width)
        self.is_known = known >= 0
        self.tokens = _filled(known)
        self.scores: dict[bytes, Tensor] = {}  # by layout: many boxes cover the same cells

    def best(self, candidates: Tensor) -> Tensor:
        """Of first boxes, bins (k, 5), the likeliest, refined, or nobody where that is one of them and
        nothing tells of a box: (1, 5)."""
        boxes = candidates[candidates[:, 0] > 0]
        if len(boxes) == 0:
            return candidates[:1]
        scores = self.log_probability(boxes)
        best, score = boxes[scores.argmax()][None], scores.max()
        for step in _REFINEMENTS:
            moves = torch.cat((torch.eye(4), -torch.eye(4))).long().to(best.device) * step
            moved = best.repeat(len(moves), 1)
            moved[:, 1:] = (moved[:, 1:] + moves).clamp(min=0, max=BINS - 1)
            moved[:, 3:] = moved[:, 3:].clamp(min=_SMALLEST)
            scores = self.log_probability(moved)
            if bool(scores.max() > score):
                best, score = moved[scores.argmax()][None], scores.max()
        if len(boxes) == len(candidates) or self.is_told(best):
            return best
        return torch.zeros_like(best)

    def is_told(self, box: Tensor, margin: float = 0.0) -> bool:
        """Whether known tokens tell of a box (1, 5) and not of nobody, by so many nats. How likely the
        planner finds it has no say: one of many boxes is always less likely than none."""
        told, untold = self._log_likelihood(torch.cat((box, torch.zeros_like(box)))).tolist()
        return bool(told > untold + margin)

    def log_probability(self, boxes: Tensor) -> Tensor:
        """Of each of some first boxes, up to a constant: (k, 5) → (k,), in nats."""
        logits = self.model.planner(self.pooled.expand(len(boxes), -1), boxes, is_clip=self.is_clip)
        prior = logits.float().log_softmax(dim=-1).gather(-1, boxes[..., None])[:, 1:, 0]
        return prior.sum(dim=1) + self._log_likelihood(boxes)

    def _log_likelihood(self, bins: Tensor) -> Tensor:
        """Of the known tokens under each first box."""
        boxes, present = from_bins(bins[:, 1:])[:, None], bins[:, :1] > 0
        layouts = rasterize(boxes, present, self.grid)
        names = [layout.cpu().numpy().tobytes() for layout in layouts]
        new = {name: row for row, name in enumerate(names) if name not in self.scores}
        if new:
            condition = Condition(
                text=self.text.expand(len(new), -1), layout=layouts[list(new.values())]
            )
            losses = _token_losses(self.model, self.tokens, condition)
            scores = -(losses * self.is_known).sum(dim=(1, 2, 3))
            self.scores.update(zip(new, scores, strict=True))
        return torch.stack([self.scores[name] for name in names])


def _token_losses(model: Nuwa, target: Tensor, condition: Condition) -> Tensor:
    """Nats of every token of a target (1, t, h, w) under each of b conditions: (b, t, h, w)."""
    target = target.expand(condition.batch_size, -1, -1, -1)
    logits = model(target, condition).float()
    losses = F.cross_entropy(logits.flatten(0, 3), target.flatten(), reduction="none")
    return losses.view(target.shape)


def _filled(known: Tensor) -> Tensor:
    """Known tokens (1, 1, h, w) whose holes repeat the known token nearest in raster order: later
    cells see something plausible there, and no hole is ever scored."""
    flat = known.flatten()
    places = torch.arange(len(flat), device=flat.device)
    distance = (places[:, None] - places[None]).abs()
    nearest = distance.masked_fill((flat < 0)[None], len(flat)).argmin(dim=1)
    return flat[nearest].clamp(min=0).view(known.shape)
