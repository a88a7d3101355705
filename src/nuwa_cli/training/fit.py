"""A short training of a small net on data that is already there: no checkpoints, no averages.

The judging nets train in minutes on a bank of rendered scenes, so they need none of what the long
runs of `loop.py` need; a run is a pure function of its seed and of the bank.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

Report = Callable[[str], None]
_WARMUP = 0.05  # share of the steps in which the learning rate rises


def fit(
    net: nn.Module,
    loss_of: Callable[[Tensor, torch.Generator], Tensor],
    num_items: int,
    *,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float = 0.05,
    seed: int = 0,
    report: Report = lambda _: None,
) -> None:
    """Train `net` in place for `steps` updates of AdamW, with warm-up and a cosine to zero.

    `loss_of(indices, generator)` returns the loss of the items (b,) int64 of the bank; it runs
    under bfloat16 autocast. Each item is drawn once per epoch.
    """
    generator = torch.Generator().manual_seed(seed)
    batches = _epochs(num_items, batch_size, generator)
    net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    matrices = [p for p in net.parameters() if p.ndim >= 2]
    others = [p for p in net.parameters() if p.ndim < 2]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": others, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.98),
        fused=True,
    )
    total, clock = 0.0, time.monotonic()
    log_every = max(1, steps // 20)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * _schedule((step + 1) / steps)
        device = next(net.parameters()).device.type
        with torch.autocast(device, torch.bfloat16):
            loss = loss_of(next(batches), generator)
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        total += float(loss.detach())
        if (step + 1) % log_every == 0:
            seconds, clock = time.monotonic() - clock, time.monotonic()
            report(f"step {step + 1}/{steps}  loss {total / log_every:.4f}  {seconds:.1f} s")
            total = 0.0
    net.eval()


def _schedule(progress: float) -> float:
    if progress < _WARMUP:
        return progress / _WARMUP
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARMUP) / (1 - _WARMUP)))


def _epochs(num_items: int, batch_size: int, generator: torch.Generator) -> Iterator[Tensor]:
    size = min(batch_size, num_items)
    while True:
        order = torch.randperm(num_items, generator=generator)
        for start in range(0, num_items - size + 1, size):
            yield order[start : start + size]
