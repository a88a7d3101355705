"""What the training loop asks of the thing it trains, and the parts that every stage shares."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from nuwa_cli.training.recipe import TrainRecipe

_Net = TypeVar("_Net", bound=nn.Module)


class Stage(Protocol):
    """A trainable: it owns modules and optimizers, the loop owns time.

    `batch(step)` is a pure function of (recipe, step), so a resumed run sees the same data; `step`
    does forward, backward and update and returns figures to log.
    """

    recipe: TrainRecipe
    device: torch.device
    modules: dict[str, nn.Module]
    averaged: tuple[str, ...]  # names of the modules whose moving average is kept
    optimizers: dict[str, torch.optim.Optimizer]

    def batch(self, step: int) -> Any: ...

    def step(self, batch: Any, step: int) -> dict[str, float]: ...

    def sample(self, average: dict[str, nn.Module], path: Path, step: int) -> None: ...


def channels_last(module: _Net) -> _Net:
    """The same module with its weights in channels-last memory, which convolutions like best."""
    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module


def step_generator(seed: int, step: int, purpose: str) -> torch.Generator:
    """A generator that depends on (seed, step, purpose) alone, never on what ran before."""
    digest = hashlib.sha256(f"{seed}/{step}/{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def make_optimizer(modules: list[nn.Module], recipe: TrainRecipe) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only; every parameter is in exactly one group."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    assert sum(len(group["params"]) for group in groups) == len(parameters)  # type: ignore[arg-type,misc]
    return torch.optim.AdamW(
        groups, lr=recipe.learning_rate, betas=recipe.betas, eps=1e-8, fused=True
    )


def update(optimizer: torch.optim.Optimizer, grad_clip: float) -> float:
    """Clip, step, clear; returns the gradient norm before clipping. Non-finite steps are skipped."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    norm = float(nn.utils.clip_grad_norm_(parameters, grad_clip))
    if norm == norm and norm != float("inf"):
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def optimizer_tensors(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Moments and step counts as named tensors."""
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer.{name}.{index}.{key}": value
        for index, entries in state.items()
        for key, value in entries.items()
    }


def load_optimizer(name: str, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put moments back as `optimizer_tensors` gave them.

    In the memory layout of their parameters: the fused update walks through both as they lie in
    memory, and would silently pair the wrong numbers.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    prefix = f"optimizer.{name}."
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(prefix):
            index, entry = key.removeprefix(prefix).split(".")
            parameter = parameters[int(index)]
            if value.shape == parameter.shape:
                value = torch.empty_like(parameter).copy_(value)
            state.setdefault(int(index), {})[entry] = value
    record = optimizer.state_dict()
    record["state"] = state
    optimizer.load_state_dict(record)
