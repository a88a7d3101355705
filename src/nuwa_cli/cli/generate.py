"""The generating commands: `t2i` and `t2v`.

Everything that can be refused is refused before a model is loaded; the work itself is one call of
the library an output.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from nuwa_cli.cli.options import (
    ClipOptions,
    ModelOptions,
    OutputOptions,
    Prompts,
    SamplingOptions,
    takes_options,
)
from nuwa_cli.cli.output import Output, prepare_outputs
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tasks.registry import TASKS, Task

if TYPE_CHECKING:
    from nuwa_cli.api import Generated


def register(app: typer.Typer) -> None:
    """Add the generating commands to the command line."""
    for name, command in (("t2i", t2i), ("t2v", t2v)):
        app.command(name, short_help=TASKS[name].summary)(command)


@takes_options
def t2i(
    prompts: Prompts, output: OutputOptions, sampling: SamplingOptions, model: ModelOptions
) -> None:
    """nuwa t2i "a wooden house in a field" -o house.png

    Draw a picture of a text, in English or Chinese. Formats: png jpg webp.
    With -n 4 the files are house-0000.png … house-0003.png; several prompts are
    numbered on. A name such as house-%02d.png chooses the digits.

    \b
    nuwa t2i "a dog on the beach" -n 4 -o dog.png
    nuwa t2i "a red bus" "a blue bird" --seed random -o "sheet-%02d.jpg"
    """
    _generate(TASKS["t2i"], prompts, output, sampling, model, ClipOptions())


@takes_options
def t2v(
    prompts: Prompts,
    output: OutputOptions,
    clip: ClipOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
) -> None:
    """nuwa t2v "play golf on grass" -o golf.mp4

    Make a clip of a text, in English or Chinese. Formats: mp4 webm gif webp apng,
    or one picture a frame with a name such as frames/%04d.png.

    \b
    nuwa t2v "a whale swims in the sea" --frames 20 --seed 7 -o whale.gif
    nuwa t2v "在草地上打高尔夫球" -n 3 -o golf-%02d.webm
    """
    _generate(TASKS["t2v"], prompts, output, sampling, model, clip)


def _generate(
    task: Task,
    prompts: list[str],
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    clip: ClipOptions,
) -> None:
    started = time.monotonic()
    sampling.check()
    clip.check()
    for prompt in prompts:
        check_prompt(prompt)
    jobs = list(_jobs(prompts, sampling))
    paths = prepare_outputs(output.output, task.kind, len(jobs), force=output.force)
    voice = Output(as_json=output.json, quiet=output.quiet)
    if output.dry_run:
        for path, (prompt, seed) in zip(paths, jobs, strict=True):
            voice.result(path, {"prompt": prompt, "seed": seed})
        voice.finish(task.name, dry_run=True)
        return

    from nuwa_cli.api import NuwaPipeline

    pipeline = NuwaPipeline.load(
        model.model, device=model.device, dtype=model.dtype, attention=model.attention
    )
    for prompt in dict.fromkeys(prompts):
        for note in pipeline.notes(prompt):
            voice.note(note)
    inputs: dict[str, Any] = {"best_of": sampling.best_of, **sampling.overrides()}
    if task.kind == "video":
        inputs.update(num_frames=clip.frames, fps=clip.fps)
    with voice.progress(len(jobs), "clip" if task.kind == "video" else "picture") as progress:
        for path, (prompt, seed) in zip(paths, jobs, strict=True):
            generated = pipeline.run(
                task.name, prompt, seed=seed, on_progress=progress.step, **inputs
            )
            generated.save(path, force=output.force, with_recipe=not output.no_metadata)
            progress.next()
            voice.result(path, _facts(generated))
    voice.finish(task.name, model=pipeline.identity, seconds=round(time.monotonic() - started, 3))


def _jobs(prompts: list[str], sampling: SamplingOptions) -> Iterator[tuple[str, int]]:
    """(prompt, seed) of every output: each prompt begins with the same seed."""
    first = sampling.first_seed()
    for prompt in prompts:
        for index in range(sampling.num):
            yield prompt, first + index


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
        "recipe": generated.recipe,
    }
