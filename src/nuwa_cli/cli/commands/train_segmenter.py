"""`nuwa train segmenter`: the net that compares pictures with sketches in `nuwa eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuwa_cli.cli.commands.train import train_app
from nuwa_cli.cli.work.options import VoiceOptions, takes_options
from nuwa_cli.cli.work.training import Narrator, NetOptions, OutOption


def register(_app: typer.Typer) -> None:
    """Add `nuwa train segmenter` to the group of `cli/commands/train.py`."""
    help_line = "The net that compares pictures with sketches."
    train_app.command("segmenter", short_help=help_line)(train_segmenter)


@takes_options
def train_segmenter(
    *,
    options: NetOptions,
    out: OutOption,
    tokenizer: Annotated[
        Path | None,
        typer.Option("--tokenizer", help="Model folder whose VQ-GAN it looks through; else -o."),
    ] = None,
    said: VoiceOptions,
) -> None:
    """nuwa train segmenter --run-dir runs/segmenter -o weights/storybook

    Train the net that compares pictures with sketches in `nuwa eval`: on renders,
    and on what the model's VQ-GAN leaves of them (minutes).
    """
    narrator = Narrator("train segmenter", said)

    from nuwa_cli.devices import pick_dtype
    from nuwa_cli.evaluation.store import save_segmenter
    from nuwa_cli.hub.model_dir import load_model
    from nuwa_cli.training import train_segmenter as judges

    options.use_threads()
    vqgan = load_model(tokenizer or out).tokenizer
    vqgan.to(pick_dtype("auto", vqgan.codebook.codes.device))
    renderer, world = options.renderer(1024), options.make_world()
    with narrator.one_net():
        segmenter, accuracy = judges.train_segmenter(
            renderer, world, vqgan, options.run_dir, report=narrator.line
        )
    save_segmenter(segmenter, out, accuracy)
    narrator.finish(out, accuracy=accuracy)
