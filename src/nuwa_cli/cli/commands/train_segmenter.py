"""`nuwa train segmenter`: the net that compares pictures with sketches in `nuwa eval`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuwa_cli.cli.commands.train import (
    RunDirOption,
    SpritesOption,
    ThreadsOption,
    WorldOption,
    train_app,
)

_SPRITES = Path("data/sprites")


def register(_app: typer.Typer) -> None:
    """Add `nuwa train segmenter` to the group of `cli/train.py`."""
    help_line = "The net that compares pictures with sketches."
    train_app.command("segmenter", short_help=help_line)(train_segmenter)


def train_segmenter(
    run_dir: RunDirOption,
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to put it into.")],
    tokenizer: Annotated[
        Path | None,
        typer.Option("--tokenizer", help="Model folder whose VQ-GAN it looks through; else -o."),
    ] = None,
    world: WorldOption = "core",
    sprites: SpritesOption = _SPRITES,
    threads: ThreadsOption = 0,
) -> None:
    """nuwa train segmenter --run-dir runs/segmenter -o weights/storybook

    Train the net that compares pictures with sketches in `nuwa eval`: on renders,
    and on what the model's VQ-GAN leaves of them (minutes).
    """
    from nuwa_cli.devices import pick_dtype
    from nuwa_cli.evaluation.store import save_segmenter
    from nuwa_cli.hub.model_dir import load_model
    from nuwa_cli.storybook.render import Renderer
    from nuwa_cli.storybook.sprites import SpritePack
    from nuwa_cli.training import train_segmenter as judges
    from nuwa_cli.training.scenes import make_world

    if threads:
        import torch

        torch.set_num_threads(threads)
    vqgan = load_model(tokenizer or out).tokenizer
    vqgan.to(pick_dtype("auto", vqgan.codebook.codes.device))
    renderer = Renderer(SpritePack.load(sprites), cache_size=1024)
    segmenter, accuracy = judges.train_segmenter(
        renderer,
        make_world(world, {}),
        vqgan,
        run_dir,
        report=lambda line: typer.echo(line, err=True),
    )
    save_segmenter(segmenter, out, accuracy)
    typer.echo(out)
