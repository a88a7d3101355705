"""The commands that need nothing but words: `t2i` and `t2v`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nuwa_cli.cli.growing.amounts import check_limits, parse_size
from nuwa_cli.cli.work.options import (
    ClipOptions,
    ModelOptions,
    OutputOptions,
    Prompts,
    SamplingOptions,
    takes_options,
)
from nuwa_cli.cli.work.work import Work
from nuwa_cli.tasks.registry import TASKS

Size = Annotated[
    str | None,
    typer.Option("--size", metavar="WxH", help="Size; a larger picture is drawn patch by patch."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for name, command in (("t2i", t2i), ("t2v", t2v)):
        app.command(name, short_help=TASKS[name].summary)(command)


@takes_options
def t2i(
    prompts: Prompts,
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    size: Size = None,
) -> None:
    """nuwa t2i "a wooden house in a field" -o house.png

    Draw a picture of a text, in English or Chinese. Formats: png jpg webp. With --size the
    subject stands in the middle, and the place goes on around it as far as you like.
    With -n 4 the files are house-0000.png … house-0003.png; several prompts are
    numbered on. A name such as house-%02d.png chooses the digits.

    \b
    nuwa t2i "a dog on the beach" -n 4 -o dog.png
    nuwa t2i "a red bus" "a blue bird" --seed random -o "sheet-%02d.jpg"
    nuwa t2i "a castle on a hill" --size 2048x256 -o wide.png
    """
    work = Work("t2i", prompts, output, sampling, model)
    if size is None or _is_plain(work, size):
        work.draw()
    else:
        _draw_wide(work, size, sampling)


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
    Work("t2v", prompts, output, sampling, model, clip).draw()


def _is_plain(work: Work, size: str) -> bool:
    """Whether a size is that of the model's own pictures. Raises UsageError for unusable ones."""
    width, height = parse_size(size)
    check_limits(height, width)
    side = work.config().tokenizer.image_size
    return (width, height) == (side, side)


def _draw_wide(work: Work, size: str, sampling: SamplingOptions) -> None:
    from nuwa_cli.cli.growing.job import Habits
    from nuwa_cli.cli.growing.picture import draw_large

    width, height = parse_size(size)

    def start(pipeline: Any, prompt: str, seed: int) -> Any:
        return pipeline.start_wide(
            prompt,
            width,
            height,
            seed=seed,
            best_of=sampling.candidates(),
            **sampling.overrides(),
        )

    draw_large(work, start, (height, width), habits=Habits(has_journal=False))
