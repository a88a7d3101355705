"""What every generating command does: check, name the outputs, and hand over to `runs`.

Everything that can be refused is refused before a model is loaded: options and output names when a
`Work` is made, inputs by the command, and only then `draw`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.batch.variants import expand_prompts, sweep_settings, swept
from nuwa_cli.cli.recipes.depfile import check_depfile, write_depfile
from nuwa_cli.cli.recipes.up_to_date import check_update
from nuwa_cli.cli.work.options import (
    ClipOptions,
    DrawOptions,
    ModelOptions,
    OutputOptions,
    given_values,
)
from nuwa_cli.cli.work.output import Output, prepare_outputs
from nuwa_cli.cli.work.prompt_input import read_prompts
from nuwa_cli.cli.work.rehearsal import Rehearsed, is_rehearsal, waiting_runs
from nuwa_cli.cli.work.stream_out import check_stdout, is_stdout
from nuwa_cli.errors import UsageError
from nuwa_cli.media.naming import Kind
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from nuwa_cli.api import Generated, Given, NuwaPipeline
    from nuwa_cli.hub.model_config import ModelConfig

Facts = Callable[[Path, "Generated"], dict[str, Any]]
"""More facts of a finished file, for the JSON result."""


@dataclass(frozen=True)
class Job:
    """One output: what is asked, with the values of a sweep in their place."""

    prompt: str
    seed: int
    sampling: DrawOptions
    clip: ClipOptions
    swept: dict[str, Any]  # parameter → value, where it differs from what was given


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
        self.started = time.monotonic()
        self.task, self.kind = task, kind or TASKS[task].kind
        self.output, self.sampling, self.model = output, sampling, model
        self.clip = clip or ClipOptions()
        self.values = given_values()
        sampling.check()
        self.clip.check()
        output.check()
        self.details = self._details(expand_prompts(read_prompts(prompts)))
        self.jobs = [(job.prompt, job.seed) for job in self.details]
        self.voice = Output(as_json=output.json, quiet=output.quiet, as_events=output.json_stream)
        self.form: str | None = None  # of what goes to stdout
        if is_stdout(output.output):
            self.form = check_stdout(output, self.kind, len(self.jobs))
            self.paths = [output.output]
        else:
            if output.format is not None:
                raise UsageError(
                    f"format '{output.format[:40]}': is for -o -; the suffix of "
                    f"'{output.output}' picks the format"
                )
            self.paths = prepare_outputs(
                output.output,
                self.kind,
                self.jobs,
                force=output.force or output.update or may_exist,
                more=[
                    {name: str(value) for name, value in job.swept.items()} for job in self.details
                ],
            )
        self._check_words([job.prompt for job in self.details])
        if output.update:
            check_update(self.paths, force=output.force, no_metadata=output.no_metadata)
        if output.depfile is not None:
            check_depfile(output.depfile, self.paths, self.prerequisites())
        waiting = waiting_runs()
        if waiting is not None:
            waiting.works.append(self)

    @property
    def force(self) -> bool:
        """Whether an output may be replaced: with --update those that are ours were checked."""
        return self.output.force or self.output.update

    def config(self) -> ModelConfig:
        """The model's config, without its weights. Raises InputError."""
        from nuwa_cli.hub.catalog import find_model
        from nuwa_cli.hub.model_config import read_config

        return read_config(find_model(self.model.model))

    def prerequisites(self) -> list[Path]:
        """The files that the outputs are made from."""
        from nuwa_cli.cli.recipes.recall import prerequisites

        return prerequisites(self.task, self.values, self.model.model)

    def values_of(self, index: int) -> dict[str, Any]:
        """What was given for one output."""
        return {**self.values, **self.details[index].swept}

    def refuse_together_only(self, why: str) -> None:
        """Raise UsageError for what only outputs of the model's own size can have."""
        output = self.output
        asked = {
            "sheet": output.sheet,
            "preview": output.preview,
            "sweep": self.sampling.sweep,
            "max-memory": output.max_memory,
        }
        for name, value in asked.items():
            if value:
                shown = value[0] if isinstance(value, list) else value
                raise UsageError(f"{name} '{shown}': {why}; leave it out")

    def draw(self, given: Given | None = None, facts: Facts | None = None) -> None:
        """Make every output, or leave that to whoever waits for the run (`rehearsal.deferred`)."""
        from nuwa_cli.cli.work.drawing import draw_runs, raise_error
        from nuwa_cli.cli.work.runs import Run

        run = Run(self, given, facts)
        waiting = waiting_runs()
        if waiting is None:
            draw_runs([run], raise_error)
        else:
            waiting.append(run)

    def load(self, more_prompts: Sequence[str] = ()) -> NuwaPipeline:
        """Load the model, and say what it does not understand of the prompts.

        Raises UsageError, InputError, EnvironmentFault.
        """
        self._check_words(more_prompts)
        if is_rehearsal():
            raise Rehearsed

        from nuwa_cli.cli.work.warm import load_pipeline

        pipeline = load_pipeline(self.model)
        prompts = [*(prompt for prompt, _ in self.jobs if prompt), *more_prompts]
        for prompt in dict.fromkeys(prompts):
            for note in pipeline.notes(prompt):
                self.voice.note(note)
        return pipeline

    def finish(self, pipeline: NuwaPipeline | None = None, **facts: Any) -> None:
        """The end of a run that wrote every file; without a pipeline all were up to date."""
        if self.output.depfile is not None and not self.output.dry_run:
            write_depfile(self.output.depfile, self.paths, self.prerequisites())
        if pipeline is not None:
            facts = {"model": pipeline.identity, **facts}
        seconds = round(time.monotonic() - self.started, 3)
        self.voice.finish(self.task, **facts, seconds=seconds)

    def _check_words(self, prompts: Sequence[str]) -> None:
        if self.output.strict_prompt:
            from nuwa_cli.cli.work.strict import check_words

            check_words(prompts, self.model.model)

    def _details(self, prompts: Sequence[str | None]) -> list[Job]:
        """One job an output: for each prompt each setting of a sweep, and as many as asked for."""
        first = self.sampling.first_seed()  # of every prompt the same, a random one too
        jobs = []
        for setting in sweep_settings(self.sampling.sweep or ()):
            sampling, clip = swept([self.sampling, self.clip], setting)
            sampling.check()
            clip.check()
            values = {
                name: getattr(sampling if hasattr(sampling, name) else clip, name)
                for name in setting
            }
            start = sampling.first_seed() if "seed" in setting else first
            for prompt in prompts:
                _check_prompt(prompt, sampling.candidates())
                jobs += [
                    Job(prompt or "", start + index, sampling, clip, values)
                    for index in range(sampling.num)
                ]
        return jobs


def _check_prompt(prompt: str | None, candidates: int | None) -> None:
    if prompt is not None:
        check_prompt(prompt)
    elif (candidates or 1) > 1:
        raise UsageError(
            f"best-of '{candidates}': there is no prompt to judge by; "
            "give one, or leave --best-of out"
        )
