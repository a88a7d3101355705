"""`nuwa predict`: a still picture starts to move, a clip goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nuwa_cli.cli.work.inputs import input_argument, read_moving, read_still, source_of
from nuwa_cli.cli.work.options import (
    MAX_FRAMES,
    ClipOptions,
    ModelOptions,
    OptionalPrompt,
    OutputOptions,
    SamplingOptions,
    WholeFitOptions,
    check_range,
    takes_options,
)
from nuwa_cli.cli.work.work import Work
from nuwa_cli.tasks.registry import TASKS

MediaFile = Annotated[Path, input_argument("MEDIA", "Picture, clip, folder or frames/%04d.png.")]
Context = Annotated[
    int, typer.Option("--context", metavar="N", help="Last frames of a clip to go on from.")
]


def register(app: typer.Typer) -> None:
    """Add `nuwa predict` to the command line."""
    app.command("predict", short_help=TASKS["predict"].summary)(predict)


@takes_options
def predict(
    media: MediaFile,
    fit: WholeFitOptions,
    clip: ClipOptions,
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    prompt: OptionalPrompt = None,
    context: Context = 3,
) -> None:
    """nuwa predict horse.png "the horse runs to the right" -o horse.mp4

    Set a picture in motion, or go on with a clip; the motion follows the prompt if there
    is one. The result begins with the picture, or with the last --context frames of the
    clip, read at the model's speed; --frames counts them all.

    \b
    nuwa predict horse.png -n 4 -o horse.gif
    nuwa predict golf.mp4 --context 5 --frames 30 -o longer.mp4
    """
    work = Work("predict", [prompt], output, sampling, model, clip)
    check_range("context", context, 1, MAX_FRAMES)
    config = work.config()

    from nuwa_cli.api import Given
    from nuwa_cli.media.reading import kind_of
    from nuwa_cli.tasks.inputs import check_continuation

    if kind_of(media) == "picture":
        picture = read_still(media, work.voice)
        frames = picture.on_white()[None]
    else:
        frames = read_moving(
            media, work.voice, fps=config.fps, max_frames=context, from_end=True
        ).frames
        work.voice.note(f"'{media}': goes on from the last {len(frames)} frames")
    check_continuation(clip.frames or config.num_frames, len(frames))
    given = Given(frames=frames, fit=fit.fit, sources=(source_of(media),))
    fit.check_given(given, config.tokenizer.image_size)
    work.draw(given)
