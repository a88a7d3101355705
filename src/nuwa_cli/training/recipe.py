"""Training recipes: one TOML file says everything about a run.

Nothing about a run is decided elsewhere: the recipe is stored in every checkpoint, and a run resumes
only with the recipe it began with (its length may grow, see `TrainRecipe.compatible_with`).
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nuwa_cli.config import _Config
from nuwa_cli.errors import InputError, UsageError

STAGES = ("tokenizer", "sketch", "model")
TASKS = ("t2i", "t2v", "v2v", "s2i", "s2v", "i2i", "tv2v", "text")
"""What a step of the model stage can train (`task_batches`)."""


@dataclass(frozen=True, kw_only=True)
class Phase(_Config):
    """A stretch of a model run: which tasks are drawn, how often, and how many frames a clip has."""

    until: int  # the first step that no longer belongs to this phase
    mix: dict[str, float]  # task → weight: see TASKS
    images: int = 16  # scenes in a batch of pictures
    clips: int = 4  # scenes in a batch of clips
    num_frames: int = 4  # consecutive frames of a clip that one step sees

    def __post_init__(self) -> None:
        unknown = sorted(set(self.mix) - set(TASKS))
        if unknown or not self.mix:
            raise UsageError(f"mix {unknown}: no such tasks; choose of {', '.join(TASKS)}")


@dataclass(frozen=True, kw_only=True)
class TrainRecipe(_Config):
    """Settings of one run. Steps count optimizer updates; the loop owns nothing else."""

    stage: str
    preset: str
    world: str = "core"
    world_changes: dict[str, Any] = field(default_factory=dict)  # fields of WorldConfig
    seed: int = 0
    steps: int
    batch_size: int = 16
    learning_rate: float
    warmup_steps: int = 100
    cooldown_steps: int = 0  # the last steps fall linearly to zero
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    grad_clip: float = 1.0
    ema_decay: float = 0.999
    autocast: bool = True  # bfloat16 matrix products, float32 weights
    log_every: int = 20
    sample_every: int = 500
    save_every: int = 500
    keep: int = 2  # checkpoints kept
    phases: tuple[dict[str, Any], ...] = ()
    options: dict[str, Any] = field(default_factory=dict)  # read by the stage, each key checked

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise UsageError(f"stage '{self.stage}': unknown; choose one of {', '.join(STAGES)}")
        if self.steps < 1 or self.batch_size < 1:
            raise UsageError(f"steps {self.steps}, batch_size {self.batch_size}: give 1 or more")
        for phase in self.phases:
            Phase.from_dict(phase)

    def phase_at(self, step: int) -> Phase:
        """The phase that `step` belongs to (the last one also covers what follows)."""
        phases = [Phase.from_dict(values) for values in self.phases]
        return next((phase for phase in phases if step < phase.until), phases[-1])

    def learning_rate_at(self, step: int) -> float:
        """Linear warm-up, constant, linear cool-down to zero."""
        rise = min(1.0, (step + 1) / max(self.warmup_steps, 1))
        left = self.steps - step
        fall = min(1.0, left / self.cooldown_steps) if self.cooldown_steps else 1.0
        return self.learning_rate * rise * fall

    def compatible_with(self, other: TrainRecipe) -> list[str]:
        """Names of the fields that differ and would change what an earlier step had done."""
        free = {"steps", "cooldown_steps", "log_every", "sample_every", "save_every", "keep"}
        free.add("phases")
        mine, theirs = self.to_dict(), other.to_dict()
        return [name for name in mine if name not in free and mine[name] != theirs[name]]


def load_recipe(path: Path) -> TrainRecipe:
    """Read a recipe. Raises InputError (unreadable, not TOML, wrong keys)."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"recipe '{path}': {why}; give a TOML file") from error
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"recipe '{path}': not valid TOML ({error}); mend that line") from error
    return TrainRecipe.from_dict(values)


def check_options(options: dict[str, Any], defaults: Any) -> Any:
    """Merge a recipe's `options` over a dataclass of defaults; unknown names are refused."""
    names = {entry.name for entry in dataclasses.fields(defaults)}
    unknown = sorted(set(options) - names)
    if unknown:
        raise InputError(f"recipe options {unknown}: unknown; known are {sorted(names)}")
    return dataclasses.replace(defaults, **options)
