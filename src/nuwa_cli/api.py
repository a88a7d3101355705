"""The library: load a model, run a task, get frames.

    from nuwa_cli.api import NuwaPipeline
    pipeline = NuwaPipeline.load()
    pipeline.text_to_video("play golf on grass", seed=7).save("golf.mp4")

This is the one place where weights, tasks and media meet; the command line is its thin client. One
call makes one output. An output depends on its inputs and its seed alone: not on what was made
before, nor on how many candidates `best_of` draws besides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack, cast

import numpy as np
import torch
from torch import Tensor

import nuwa_cli
from nuwa_cli.config import SamplingConfig
from nuwa_cli.devices import pick_device, pick_dtype
from nuwa_cli.errors import UsageError
from nuwa_cli.hub.catalog import DEFAULT_MODEL, find_model
from nuwa_cli.hub.model_dir import LoadedModel, load_model
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import RECIPE_SCHEMA, TRAINED, Recipe
from nuwa_cli.media.video import Frames, write_video
from nuwa_cli.ops.nearby import BACKENDS, Backend
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.registry import TASKS
from nuwa_cli.tasks.run import candidate_seeds, run_plan

OnProgress = Callable[[int, int], None]
"""Called with (steps done, steps in all) of the current output."""


_FRAMES_AT_ONCE = 8  # bounds the memory of a long clip


class SamplingOverrides(TypedDict, total=False):
    """Sampling settings of one call; what is left out is the model's default."""

    temperature: float
    top_k: int
    top_p: float
    guidance_scale: float


@dataclass(frozen=True)
class Generated:
    """One output, with everything needed to make it again."""

    frames: Frames  # uint8 (T, H, W, 3); a picture has T = 1
    tokens: np.ndarray[Any, np.dtype[np.int64]]  # (t, h, w)
    seed: int
    score: float | None  # of the re-ranker, where there were several candidates
    fps: float | None  # None for a picture
    recipe: Recipe

    def save(self, path: Path | str, *, force: bool = False, with_recipe: bool = True) -> None:
        """Write the file, in the format of its suffix. Raises UsageError, OutputError."""
        recipe = self.recipe if with_recipe else None
        if self.fps is None:
            write_image(Path(path), self.frames[0], recipe, force=force)
        else:
            write_video(Path(path), self.frames, self.fps, recipe, force=force)


class NuwaPipeline:
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

    def text_to_image(
        self,
        prompt: str,
        *,
        seed: int | None = None,
        best_of: int | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> Generated:
        """Draw a picture of a text (T2I). Raises UsageError for unusable inputs."""
        return self.run(
            "t2i", prompt, seed=seed, best_of=best_of, on_progress=on_progress, **sampling
        )

    def text_to_video(
        self,
        prompt: str,
        *,
        num_frames: int | None = None,
        fps: float | None = None,
        seed: int | None = None,
        best_of: int | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> Generated:
        """Make a clip of a text (T2V). `fps` is the speed it plays at; the motion in it was learned
        at the model's own. Raises UsageError for unusable inputs."""
        return self.run(
            "t2v",
            prompt,
            num_frames=num_frames,
            fps=fps,
            seed=seed,
            best_of=best_of,
            on_progress=on_progress,
            **sampling,
        )

    def run(
        self,
        task: str,
        prompt: str,
        *,
        num_frames: int | None = None,
        fps: float | None = None,
        seed: int | None = None,
        best_of: int | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> Generated:
        """Run a task of the registry by its short name. Raises UsageError for unusable inputs."""
        config = self.model.config
        if task not in TASKS:
            raise UsageError(f"task '{task}': unknown; use {', '.join(TASKS)}")
        is_video = TASKS[task].kind == "video"
        length = {"num_frames": num_frames or config.num_frames} if is_video else {}
        plan = TASKS[task].load_planner()(prompt, self.model.text, config.transformer, **length)
        settings = replace(config.defaults, **sampling)
        if seed is not None:
            settings = replace(settings, seed=seed)
        count = self._candidates(best_of)
        best = self._best(plan, settings, count, on_progress)
        speed = (fps or config.fps) if is_video else None
        recipe: Recipe = {
            "schema": RECIPE_SCHEMA,
            "version": nuwa_cli.__version__,
            "digital_source_type": TRAINED,
            "command": task,
            "prompt": prompt,
            "seed": settings.seed,
            "sample_seed": best.seed,
            "options": {
                "temperature": settings.temperature,
                "top_k": settings.top_k,
                "top_p": settings.top_p,
                "guidance": settings.guidance_scale,
                "best_of": count,
                **({"frames": len(best.frames), "fps": speed} if is_video else {}),
            },
            "model": self.identity,
            "device": self.device.type,
            "dtype": str(self.dtype).removeprefix("torch."),
            "torch": torch.__version__,
        }
        return Generated(
            frames=best.frames,
            tokens=best.tokens,
            seed=settings.seed,
            score=best.score,
            fps=speed,
            recipe=recipe,
        )

    def _candidates(self, best_of: int | None) -> int:
        """How many candidates to draw: without a re-ranker there is no way to choose."""
        if self.model.reranker is not None:
            return best_of or self.model.config.best_of
        if best_of is not None and best_of > 1:
            raise UsageError(
                f"best-of '{best_of}': model '{self.model.config.name}' has no re-ranker; "
                "leave --best-of out"
            )
        return 1

    def _best(
        self, plan: Plan, settings: SamplingConfig, count: int, on_progress: OnProgress | None
    ) -> _Candidate:
        """The candidate that fits the prompt best; the earlier one of equals."""
        best: _Candidate | None = None
        for index, seed in enumerate(candidate_seeds(settings.seed, count)):

            def report(done: int, of: int, index: int = index) -> None:
                if on_progress is not None:
                    on_progress(index * of + done, count * of)

            tokens = run_plan(
                self.model.transformer, plan, replace(settings, seed=seed), on_progress=report
            )
            candidate = self._render(tokens, seed, plan.text if count > 1 else None)
            if best is None or (candidate.score or 0.0) > (best.score or 0.0):
                best = candidate
        assert best is not None  # count is at least 1
        return best

    @torch.inference_mode()
    def _render(self, tokens: Tensor, seed: int, text: Tensor | None) -> _Candidate:
        """Frames of tokens (t, h, w), a few at a time; with a text also its score, the mean over
        all frames, as CLIPSIM does."""
        frames, scores = [], []
        for part in torch.split(tokens, _FRAMES_AT_ONCE):
            pixels = self.model.tokenizer.decode(part.to(self.device))  # (T, c, H, W)
            frames.append(_to_frames(pixels))
            if text is not None and self.model.reranker is not None:
                scores.append(self.model.reranker.score(text.to(self.device), pixels))
        score = float(torch.cat(scores).mean()) if scores else None
        return _Candidate(tokens.numpy(), np.concatenate(frames), score, seed)


@dataclass(frozen=True)
class _Candidate:
    """One of several outputs to choose from."""

    tokens: np.ndarray[Any, np.dtype[np.int64]]
    frames: Frames
    score: float | None
    seed: int


def _to_frames(pixels: Tensor) -> Frames:
    """float (T, 3, H, W) in [-1, 1] → uint8 (T, H, W, 3)."""
    levels = ((pixels.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    frames: Frames = np.ascontiguousarray(levels.permute(0, 2, 3, 1).cpu().numpy())
    return frames
