"""What is to be made, as data: one order, one output. Light: a dry run makes orders without a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuwa_cli.api.given import Given


@dataclass(frozen=True)
class Order:
    """One output of a task of the registry; None is the model's own default."""

    task: str
    prompt: str = ""
    given: Given | None = None
    num_frames: int | None = None
    seed: int | None = None
    best_of: int | None = None
    fps: float | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)  # names as in SamplingConfig
