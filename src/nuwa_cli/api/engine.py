"""The engine under the pipeline: a loaded model, and one function that runs any task of the registry.

An output depends on its inputs and its seed alone: not on what was made before, nor on how many
candidates `best_of` draws besides.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self, TypedDict, Unpack, cast

import torch

from nuwa_cli.api.drawing import Draft, Drawn, OnFrame, draw
from nuwa_cli.api.finish import finish
from nuwa_cli.api.fitting import Fitted, fit_given
from nuwa_cli.api.generated import Generated
from nuwa_cli.api.given import Given
from nuwa_cli.api.orders import Order
from nuwa_cli.api.reading import Reader
from nuwa_cli.api.recipe import make_recipe
from nuwa_cli.config import SamplingConfig
from nuwa_cli.devices import pick_device, pick_dtype
from nuwa_cli.errors import UsageError
from nuwa_cli.hub.catalog import DEFAULT_MODEL, find_model
from nuwa_cli.hub.model_dir import LoadedModel, load_model
from nuwa_cli.media.metadata import Recipe
from nuwa_cli.media.video import Frame
from nuwa_cli.ops.nearby import BACKENDS, Backend
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.registry import TASKS
from nuwa_cli.tasks.run import OnProgress
from nuwa_cli.tasks.toolkit import Toolkit

TOGETHER = 8
"""Outputs decoded in the same steps: beyond it a step takes as much longer as there are more."""


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


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An order that is ready to be drawn."""

    order: Order
    given: Given
    fitted: Fitted
    plan: Plan
    settings: SamplingConfig
    count: int  # candidates
    speed: float | None  # frames a second; None for a picture


class Engine:
    """A loaded model that runs tasks."""

    def __init__(self, model: LoadedModel, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model
        self.device = device
        self.dtype = dtype
        self.toolkit = Toolkit(
            text=model.text,
            vqgan=model.tokenizer,
            vqgan_seg=model.sketch_tokenizer,
            config=model.config.transformer,
        )
        self.reader = Reader(model, self.toolkit)

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
        order = Order(task, prompt, given, num_frames, seed, best_of, fps, sampling)
        return next(self.run_many([order], on_progress=on_progress))

    def run_many(
        self,
        orders: Sequence[Order],
        *,
        together: int = TOGETHER,
        on_progress: OnProgress | None = None,
        on_frame: OnFrame | None = None,
    ) -> Iterator[Generated]:
        """Make several outputs, in order. Up to `together` that are alike are decoded in the same steps,
        which is faster; each is bit for bit what it is alone.

        Raises UsageError for unusable inputs, InputError for what this model cannot read, at the latest
        when their turn comes.
        """
        prepared = (self.prepare(order) for order in orders)
        done, total = 0, len(orders)
        while window := list(itertools.islice(prepared, together)):

            def report(step: int, steps: int, done: int = done, size: int = len(window)) -> None:
                if on_progress is not None:
                    each = steps // size
                    on_progress(done * each + step, total * each)

            def show(number: int, index: int, frame: Frame, done: int = done) -> None:
                if on_frame is not None:
                    on_frame(done + number, index, frame)

            yield from self.draw(window, together=together, on_progress=report, on_frame=show)
            done += len(window)

    def draw(
        self,
        prepared: Sequence[Prepared],
        *,
        together: int = TOGETHER,
        on_progress: OnProgress | None = None,
        on_frame: OnFrame | None = None,
    ) -> Iterator[Generated]:
        """Make what was prepared, in order. The tokens of all are held until their turn."""
        drafts = [Draft(one.plan, one.settings, one.count) for one in prepared]
        drawn = draw(
            self.model,
            drafts,
            self.device,
            together=together,
            on_progress=on_progress,
            on_frame=on_frame,
        )
        for one, result in zip(prepared, drawn, strict=True):
            yield self._finished(one, result)

    def prepare(self, order: Order) -> Prepared:
        """Everything that is decided before the first token. Raises UsageError, InputError."""
        if order.task not in TASKS:
            raise UsageError(f"task '{order.task}': unknown; use {', '.join(TASKS)}")
        config = self.model.config
        given = order.given or Given()
        is_video = TASKS[order.task].kind == "video"
        if given.sketch is not None:
            config.require_sketches()
        fitted = fit_given(
            given,
            config.tokenizer.image_size,
            prompt=order.prompt,
            num_frames=(order.num_frames or config.num_frames) if is_video else None,
        )
        plan = self.reader.told(TASKS[order.task].load_planner()(fitted.inputs, self.toolkit))
        settings = self.settings(order.seed, cast(SamplingOverrides, dict(order.sampling)))
        if not plan.has_condition:
            settings = replace(settings, guidance_scale=1.0)
        return Prepared(
            order=order,
            given=given,
            fitted=fitted,
            plan=plan,
            settings=settings,
            count=self._candidates(order.best_of, order.prompt),
            speed=(order.fps or config.fps) if is_video else None,
        )

    def recipe_of(self, prepared: Prepared, num_frames: int, sample_seed: int) -> Recipe:
        """The recipe of an output of so many frames, drawn with a seed."""
        return make_recipe(
            prepared.order.task,
            prepared.order.prompt,
            prepared.given,
            prepared.fitted.fit,
            prepared.settings,
            sample_seed=sample_seed,
            best_of=prepared.count,
            clip=None if prepared.speed is None else (num_frames, prepared.speed),
            model=self.identity,
            device=self.device.type,
            dtype=str(self.dtype).removeprefix("torch."),
        )

    def _finished(self, prepared: Prepared, drawn: Drawn) -> Generated:
        fit = prepared.fitted.fit
        finished = finish(prepared.given, prepared.fitted, drawn)
        return Generated(
            frames=finished.frames,
            tokens=drawn.tokens,
            seed=prepared.settings.seed,
            score=drawn.score,
            fps=prepared.speed,
            recipe=self.recipe_of(prepared, len(finished.frames), drawn.seed),
            alpha=finished.alpha,
            fit="" if fit is None else fit.describe(),
            outside_identical=finished.outside_identical,
        )

    def settings(self, seed: int | None, sampling: SamplingOverrides) -> SamplingConfig:
        """The model's sampling settings with what is given instead. Raises UsageError."""
        settings = replace(self.model.config.defaults, **sampling)
        if "temperature" in sampling:  # is meant for everything
            settings = replace(settings, place_temperature=None)
        return settings if seed is None else replace(settings, seed=seed)

    def _candidates(self, best_of: int | None, prompt: str) -> int:
        """How many candidates to draw: a re-ranker and a prompt are needed to choose."""
        if self.model.reranker is not None and prompt:
            return best_of or self.model.config.best_of
        if best_of is not None and best_of > 1:
            name = self.model.config.name
            why = f"model '{name}' has no re-ranker" if prompt else "there is no prompt to judge by"
            raise UsageError(f"best-of '{best_of}': {why}; leave --best-of out")
        return 1
