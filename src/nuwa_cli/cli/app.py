"""The root of the command line: registers the commands, runs one, returns the exit status.

Importing this module, and answering `--help` of any command, loads none of the heavy libraries:
commands import what they need when they run.
"""

from __future__ import annotations

import functools
import os
import sys
from typing import Annotated, Any

import typer

import nuwa_cli
from nuwa_cli.cli.batch import command as batch
from nuwa_cli.cli.commands import (
    bench,
    doctor,
    edit,
    evaluate,
    extend,
    generate,
    info,
    models,
    palette,
    predict,
    replay,
    sketch,
    storybook,
    train,
    train_segmenter,
    vocab,
)
from nuwa_cli.cli.commands import config as config_command
from nuwa_cli.cli.light import make_light
from nuwa_cli.cli.looking import sheet, show
from nuwa_cli.cli.main_errors import exit_status, termination_signals
from nuwa_cli.cli.manual import command as manual
from nuwa_cli.cli.manual import completion
from nuwa_cli.cli.settings.files import NO_SETTINGS, load_settings
from nuwa_cli.cli.work.output import prepare_streams, print_line

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,  # its options would convert values before every command, see light.py
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    no_config: Annotated[  # noqa: ARG001  (read before the parser, settings_files)
        bool, typer.Option("--no-config", help="Read no nuwa.toml and no other config file.")
    ] = False,
) -> None:
    """nuwa t2v "play golf on grass" -o golf.mp4

    NÜWA on the command line: one model for pictures and clips. Its weights are inside;
    nothing is downloaded.

    \b
    A picture, four variations, a clip:
      nuwa t2i "a wooden house in a field" -o house.png
      nuwa t2i "a dog on the beach" -n 4 -o dog.png
      nuwa t2v "在草地上打高尔夫球" --seed 7 -o golf.gif

    \b
    From a sketch, a picture, part of a picture, a clip:
      nuwa sketch2img bus.png -n 3 -o bus.jpg
      nuwa predict horse.png "the horse runs to the right" -o horse.mp4
      nuwa edit hill.png "a horse on the grass" --box 40%,50%,30%,30% -o out.png
      nuwa vedit diver.mp4 "the diver swims to the surface" -o rising.mp4

    \b
    As far as you like:
      nuwa extend hill.png --right 4x -o wide.png

    \b
    How was it made? The recipe is inside the file; make it again, or change one thing:
      nuwa info golf.gif
      nuwa replay golf.gif --seed 8

    \b
    Many jobs with one model, and what make wants:
      nuwa batch jobs.jsonl --keep-going --resume
      nuwa t2i "a dog" -o dog.png --update --depfile dog.d

    The suffix of -o picks the format. The same prompt, options and --seed give the same file;
    --seed random gives another one each time. stdout carries the paths, stderr the rest.

    \b
    Exit status: 0 done, 1 a bug of ours, 2 wrong usage, 3 input or model refused,
    4 output cannot be written, 5 no memory, device or network, 6 failed jobs, 7 differs.
    """
    if version:
        print_line(f"nuwa {nuwa_cli.__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


for command in (
    generate,
    sketch,
    predict,
    edit,
    extend,
    batch,
    replay,
    info,
    show,
    sheet,
    palette,
    vocab,
    storybook,
    models,
    config_command,
    doctor,
    bench,
    completion,
    manual,
    train,
    train_segmenter,
    evaluate,
):
    command.register(app)
make_light(app)


@functools.cache
def parser() -> Any:
    """All commands as the parser has them, not to be changed: to make them takes longer than to run most."""
    return typer.main.get_command(app)


def run(argv: list[str]) -> int:
    """Run one command line and return the exit status; never raises."""
    settings = NO_SETTINGS
    try:
        with termination_signals():
            prepare_streams()
            if "_NUWA_COMPLETE" in os.environ:  # a shell asks what may come next
                command = typer.main.get_command(app)
                completion.prepare(command)
            else:
                command = parser()
            settings = load_settings(command, argv)
            status = command.main(
                args=settings.argv,
                prog_name="nuwa",
                standalone_mode=False,
                default_map=settings.default_map,
            )
            if sys.stdout is not None:
                sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except BaseException as error:
        return exit_status(settings.blame(error), argv)
