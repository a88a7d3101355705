"""From logits to a token: guidance, filters, and a draw by inverse distribution.

All functions take logits (n, v) and work in float64, so that a draw does not depend on how many
positions share a call.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_FEW = 256  # tokens that nearly always hold the mass that is asked for; sorting all is slow
_MARGIN = 1e-9


def guide(conditional: Tensor, unconditional: Tensor, guidance_scale: float) -> Tensor:
    """Classifier-free guidance: uncond + scale · (cond - uncond)."""
    return unconditional + guidance_scale * (conditional - unconditional)


def filter_logits(logits: Tensor, *, temperature: float, top_k: int, top_p: float) -> Tensor:
    """Temperature, then the `top_k` best, then the smallest set of mass `top_p`.

    Tokens filtered out become -inf. Temperature 0 keeps the best token alone; top_k = 0 and
    top_p = 1 keep all. Returns float64.
    """
    logits = logits.double()
    if temperature == 0.0:
        best = logits.argmax(dim=-1, keepdim=True)
        return torch.full_like(logits, -math.inf).scatter(-1, best, 0.0)
    logits = logits / temperature
    count = min(top_k, logits.shape[-1]) if top_k > 0 else logits.shape[-1]
    if count == logits.shape[-1] and top_p >= 1.0:
        return logits
    few = min(_FEW, count) if top_p < 1.0 else count
    values, tokens = logits.topk(few, dim=-1)  # best first
    if top_p < 1.0:
        all_kept = logits if count == logits.shape[-1] else logits.topk(count, dim=-1).values
        total = all_kept.logsumexp(dim=-1, keepdim=True)
        mass = (values - total).exp()
        if few < count and bool((mass.sum(dim=-1) < top_p + _MARGIN).any()):
            values, tokens = logits.topk(count, dim=-1)
            mass = (values - total).exp()
        before = mass.cumsum(dim=-1) - mass
        values = values.masked_fill(before >= top_p, -math.inf)
    return torch.full_like(logits, -math.inf).scatter(-1, tokens, values)


def draw(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Token of each row by inverse distribution: (n, v), uniforms in [0, 1) (n,) → int64 (n,).

    The token is the first whose cumulated mass exceeds the uniform number, so a token that was
    filtered out is never drawn.
    """
    cumulated = logits.double().softmax(dim=-1).cumsum(dim=-1)
    level = uniforms.double()[:, None] * cumulated[:, -1:]
    return torch.searchsorted(cumulated, level, right=True)[:, 0]
