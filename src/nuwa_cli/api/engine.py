"""The engine under the pipeline: a loaded model, and one function that runs any task of the registry.

An output depends on its inputs and its seed alone: not on what was made before, nor on how many
candidates `best_of` draws besides.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self, TypedDict, Unpack, cast

import torch

from nuwa_cli.api.drawing import OnProgress, draw_best
from nuwa_cli.api.finish import finish
from nuwa_cli.api.fitting import fit_given
from nuwa_cli.api.generated import Generated
from nuwa_cli.api.given import Given
from nuwa_cli.api.recipe import make_recipe
from nuwa_cli.config import SamplingConfig
from nuwa_cli.devices import pick_device, pick_dtype
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.hub.catalog import DEFAULT_MODEL, find_model
from nuwa_cli.hub.model_dir import LoadedModel, ModelConfig, load_model
from nuwa_cli.ops.nearby import BACKENDS, Backend
from nuwa_cli.tasks.registry import TASKS
from nuwa_cli.tasks.toolkit import Toolkit


class SamplingOverrides(TypedDict, total=False):
    """Sampling settings of one call; what is left out is the model's default."""

    temperature: float
    top_k: int
    top_p: float
    guidance_scale: float
    persistence: float


class RunOptions(SamplingOverrides, total=False):
    """What every task takes."""

    seed: int | None
    best_of: int | None  # draw so many candidates and keep the best; needs a prompt
    fps: float | None  # speed that a clip plays at; its motion was learned at the model's own
    on_progress: OnProgress | None


class Engine:
    """A loaded model that runs tasks."""

    def __init__(self, model: LoadedModel, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT_MODEL,
        *,
        device: str = "auto",
        dtype: str = "auto",
        attention: str = "auto",
    ) -> Self:
        """Load a model by name, folder or hub repository.

        Raises UsageError for a device or number format that is not there, InputError for a model
        that cannot be used, EnvironmentFault when it cannot be fetched.
        """
        if attention not in BACKENDS:
            raise UsageError(f"attention '{attention}': unknown; use {', '.join(BACKENDS)}")
        chosen_device = pick_device(device)
        chosen_dtype = pick_dtype(dtype, chosen_device)
        loaded = load_model(
            find_model(str(model)),
            device=chosen_device,
            dtype=chosen_dtype,
            attention=cast(Backend, attention),
        )
        return cls(loaded, chosen_device, chosen_dtype)

    @property
    def identity(self) -> dict[str, str]:
        """Name and sha256 of the model, as recipes record them."""
        return {"name": self.model.config.name, "sha256": self.model.digest}

    def notes(self, prompt: str) -> list[str]:
        """What the user should know about a prompt: words the model never saw, text cut off."""
        notes = []
        unknown = self.model.text.unknown_words(prompt)
        if unknown:
            words = ", ".join(f"'{word}'" for word, _ in unknown)
            nearest = dict.fromkeys(word for _, words in unknown for word in words)
            hint = f"; nearest known words: {', '.join(nearest)}" if nearest else ""
            notes.append(f"prompt: never seen in training: {words}{hint}")
        dropped = self.model.text.dropped_text(prompt, self.model.config.transformer.max_text_len)
        if dropped:
            notes.append(f"prompt is too long; its end is ignored: '{dropped[:80]}'")
        return notes

    def run(
        self,
        task: str,
        prompt: str = "",
        *,
        given: Given | None = None,
        num_frames: int | None = None,
        seed: int | None = None,
        best_of: int | None = None,
        fps: float | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> Generated:
        """Run a task of the registry by its short name.

        Raises UsageError for unusable inputs, InputError for what this model cannot read.
        """
        if task not in TASKS:
            raise UsageError(f"task '{task}': unknown; use {', '.join(TASKS)}")
        config = self.model.config
        given = given or Given()
        is_video = TASKS[task].kind == "video"
        if given.sketch is not None:
            require_sketches(config)
        fitted = fit_given(
            given,
            config.tokenizer.image_size,
            prompt=prompt,
            num_frames=(num_frames or config.num_frames) if is_video else None,
        )
        plan = TASKS[task].load_planner()(fitted.inputs, self._toolkit())
        settings = self.settings(seed, sampling)
        if not plan.has_condition:
            settings = replace(settings, guidance_scale=1.0)
        count = self._candidates(best_of, prompt)
        drawn = draw_best(self.model, plan, settings, count, self.device, on_progress)
        finished = finish(given, fitted, drawn)
        speed = (fps or config.fps) if is_video else None
        recipe = make_recipe(
            task,
            prompt,
            given,
            fitted.fit,
            settings,
            sample_seed=drawn.seed,
            best_of=count,
            clip=None if speed is None else (len(finished.frames), speed),
            model=self.identity,
            device=self.device.type,
            dtype=str(self.dtype).removeprefix("torch."),
        )
        return Generated(
            frames=finished.frames,
            tokens=drawn.tokens,
            seed=settings.seed,
            score=drawn.score,
            fps=speed,
            recipe=recipe,
            alpha=finished.alpha,
            fit="" if fitted.fit is None else fitted.fit.describe(),
            outside_identical=finished.outside_identical,
        )

    def settings(self, seed: int | None, sampling: SamplingOverrides) -> SamplingConfig:
        """The model's sampling settings with what is given instead. Raises UsageError."""
        settings = replace(self.model.config.defaults, **sampling)
        return settings if seed is None else replace(settings, seed=seed)

    def _toolkit(self) -> Toolkit:
        model = self.model
        return Toolkit(
            text=model.text,
            vqgan=model.tokenizer,
            vqgan_seg=model.sketch_tokenizer,
            config=model.config.transformer,
        )

    def _candidates(self, best_of: int | None, prompt: str) -> int:
        """How many candidates to draw: a re-ranker and a prompt are needed to choose."""
        if self.model.reranker is not None and prompt:
            return best_of or self.model.config.best_of
        if best_of is not None and best_of > 1:
            name = self.model.config.name
            why = f"model '{name}' has no re-ranker" if prompt else "there is no prompt to judge by"
            raise UsageError(f"best-of '{best_of}': {why}; leave --best-of out")
        return 1


def require_sketches(config: ModelConfig) -> None:
    """Raise InputError, naming the model, unless it reads sketches."""
    if config.sketch_tokenizer is None:
        raise InputError(
            f"model '{config.name}': reads no sketches, it has no sketch tokenizer; "
            "choose another --model"
        )
