"""What every generating command does: check, name the outputs, load a model, draw, write, report.

Everything that can be refused is refused before a model is loaded: options and output names when a
`Work` is made, inputs by the command, and only then `draw`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.options import ClipOptions, DrawOptions, ModelOptions, OutputOptions
from nuwa_cli.cli.output import Output, prepare_outputs
from nuwa_cli.errors import UsageError
from nuwa_cli.media.naming import Kind
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from nuwa_cli.api import Generated, Given, NuwaPipeline
    from nuwa_cli.hub.model_config import ModelConfig

Facts = Callable[[Path, "Generated"], dict[str, Any]]
"""More facts of a finished file, for the JSON result."""


class Work:
    """One run of a generating command: its jobs, and the files that they become."""

    def __init__(
        self,
        task: str,
        prompts: Sequence[str | None],
        output: OutputOptions,
        sampling: DrawOptions,
        model: ModelOptions,
        clip: ClipOptions | None = None,
        *,
        kind: Kind | None = None,
        may_exist: bool = False,
    ) -> None:
        """Check every option and name every file; a prompt of None is none.

        `kind` of output is needed where the task is none of the registry; with `may_exist` the
        command itself looks at files that exist. Raises UsageError, OutputError.
        """
        self._started = time.monotonic()
        self.task, self.kind = task, kind or TASKS[task].kind
        self.output, self.sampling, self.model = output, sampling, model
        self.clip = clip or ClipOptions()
        sampling.check()
        self.clip.check()
        for prompt in prompts:
            if prompt is not None:
                check_prompt(prompt)
            elif (sampling.candidates() or 1) > 1:
                raise UsageError(
                    f"best-of '{sampling.candidates()}': there is no prompt to judge by; "
                    "give one, or leave --best-of out"
                )
        first = sampling.first_seed()
        self.jobs = [
            (prompt or "", first + index) for prompt in prompts for index in range(sampling.num)
        ]
        self.paths = prepare_outputs(
            output.output, self.kind, len(self.jobs), force=output.force or may_exist
        )
        self.voice = Output(as_json=output.json, quiet=output.quiet)

    def config(self) -> ModelConfig:
        """The model's config, without its weights. Raises InputError."""
        from nuwa_cli.hub.catalog import find_model
        from nuwa_cli.hub.model_dir import read_config

        return read_config(find_model(self.model.model))

    def draw(self, given: Given | None = None, facts: Facts | None = None) -> None:
        """Load the model and make every output; with --dry-run only name them."""
        if self.output.dry_run:
            for path, (prompt, seed) in zip(self.paths, self.jobs, strict=True):
                self.voice.result(path, {"prompt": prompt, "seed": seed})
            self.voice.finish(self.task, dry_run=True)
            return

        pipeline = self.load()
        self._say_fit(pipeline, given)
        is_video = self.kind == "video"
        inputs: dict[str, Any] = {
            "given": given,
            "best_of": self.sampling.candidates(),
            **self.sampling.overrides(),
        }
        if is_video:
            inputs.update(num_frames=self.clip.frames, fps=self.clip.fps, **self.clip.overrides())
        with self.voice.progress(len(self.jobs), "clip" if is_video else "picture") as progress:
            for path, (prompt, seed) in zip(self.paths, self.jobs, strict=True):
                generated = pipeline.run(
                    self.task, prompt, seed=seed, on_progress=progress.step, **inputs
                )
                generated.save(
                    path, force=self.output.force, with_recipe=not self.output.no_metadata
                )
                progress.next()
                more = facts(path, generated) if facts else {}
                self.voice.result(path, {**_facts(generated), **more})
        self.finish(pipeline)

    def load(self, more_prompts: Sequence[str] = ()) -> NuwaPipeline:
        """Load the model, and say what it does not understand of the prompts.

        Raises UsageError, InputError, EnvironmentFault.
        """
        from nuwa_cli.api import NuwaPipeline

        model = self.model
        pipeline = NuwaPipeline.load(
            model.model, device=model.device, dtype=model.dtype, attention=model.attention
        )
        prompts = [*(prompt for prompt, _ in self.jobs if prompt), *more_prompts]
        for prompt in dict.fromkeys(prompts):
            for note in pipeline.notes(prompt):
                self.voice.note(note)
        return pipeline

    def finish(self, pipeline: NuwaPipeline) -> None:
        """The end of a run that wrote every file."""
        seconds = round(time.monotonic() - self._started, 3)
        self.voice.finish(self.task, model=pipeline.identity, seconds=seconds)

    def _say_fit(self, pipeline: NuwaPipeline, given: Given | None) -> None:
        if given is None:
            return

        from nuwa_cli.api.fitting import choose_fit

        fit = choose_fit(given, pipeline.model.config.tokenizer.image_size)
        if fit is None or not fit.describe():
            return
        if given.masks is None:
            self.voice.note(f"input: {fit.describe()}")
        else:
            left, top, width, height = fit.window
            self.voice.note(
                f"region: repainted in a window of {width}x{height} pixels at {left},{top}, "
                f"which the model sees as {fit.size}x{fit.size}"
            )


def _facts(generated: Generated) -> dict[str, Any]:
    frames, height, width = generated.frames.shape[:3]
    return {
        "prompt": generated.recipe["prompt"],
        "seed": generated.seed,
        "sample_seed": generated.recipe["sample_seed"],
        "score": generated.score,
        "width": width,
        "height": height,
        "frames": frames,
        "fps": generated.fps,
        **({"fit": generated.fit} if "window" in generated.recipe else {}),
        "recipe": generated.recipe,
    }
