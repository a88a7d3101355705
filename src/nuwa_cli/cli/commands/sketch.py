"""The commands that draw what a sketch shows: `sketch2img` and `sketch2vid`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuwa_cli.cli.work.inputs import input_argument, input_callback, source_of
from nuwa_cli.cli.work.options import (
    ClipOptions,
    ModelOptions,
    OptionalPrompt,
    OutputOptions,
    SamplingOptions,
    WholeFitOptions,
    takes_options,
)
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import UsageError
from nuwa_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    import numpy as np

SketchFile = Annotated[Path, input_argument("SKETCH", "Picture in the colours of `nuwa palette`.")]
MovingSketch = Annotated[
    Path,
    input_argument("SKETCH", "Clip, folder or frames/%04d.png of sketches; or one, with --to."),
]
LastSketch = Annotated[
    Path | None,
    typer.Option(
        "--to",
        metavar="FILE",
        help="Last sketch; those between are made up.",
        callback=input_callback,
    ),
]
Snap = Annotated[
    bool, typer.Option("--snap", help="Take the nearest class for every unknown colour.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for name, command in (("sketch2img", sketch2img), ("sketch2vid", sketch2vid)):
        app.command(name, short_help=TASKS[name].summary)(command)


@takes_options
def sketch2img(
    sketch: SketchFile,
    fit: WholeFitOptions,
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    prompt: OptionalPrompt = None,
    snap: Snap = False,
) -> None:
    """nuwa sketch2img bus.png "a red bus in the city" -o bus.png

    Draw a picture of a sketch: flat areas in the colours of `nuwa palette`, each of which
    means sky, water, person, land vehicle … A prompt says more about it.

    \b
    nuwa palette -o legend.png
    nuwa sketch2img bus.png -n 3 -o buses.png
    """
    work = Work("sketch2img", [prompt], output, sampling, model)

    from nuwa_cli.api import Given
    from nuwa_cli.sketches.maps import read_sketch

    classes = read_sketch(sketch, snap=snap)
    config = work.config()
    config.require_sketches()
    given = Given(sketch=classes[None], fit=fit.fit, sources=(source_of(sketch),))
    fit.check_given(given, config.tokenizer.image_size)
    work.draw(given)


@takes_options
def sketch2vid(
    sketch: MovingSketch,
    fit: WholeFitOptions,
    clip: ClipOptions,
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    prompt: OptionalPrompt = None,
    to: LastSketch = None,
    snap: Snap = False,
) -> None:
    """nuwa sketch2vid boat-first.png "a boat on the sea" --to boat-last.png -o boat.mp4

    Make a clip of a moving sketch: a clip, a folder or numbered pictures in the colours of
    `nuwa palette`, one a frame. Of two sketches the frames between are made up: things
    travel from their first place to their last.

    \b
    nuwa sketch2vid sketch.mp4 -o clip.mp4
    nuwa sketch2vid "keys/%02d.png" "a dog runs on the beach" -o dog.gif
    """
    work = Work("sketch2vid", [prompt], output, sampling, model, clip)
    config = work.config()

    from nuwa_cli.api import Given
    from nuwa_cli.media.reading import kind_of
    from nuwa_cli.sketches.maps import read_sketches

    sources = [source_of(sketch)]
    if kind_of(sketch) == "picture":
        if to is None:
            raise UsageError(
                f"sketch '{sketch}': is one picture; give the last one with --to, "
                "or use nuwa sketch2img"
            )
        classes = _between(sketch, to, clip.frames or config.num_frames, snap)
        sources.append(source_of(to))
    elif to is not None:
        raise UsageError(f"to '{to}': '{sketch}' is a clip already; leave --to out")
    else:
        speed = clip.fps or config.fps
        classes, _ = read_sketches(sketch, fps=speed, max_frames=clip.frames, snap=snap)
    config.require_sketches()
    given = Given(sketch=classes, fit=fit.fit, sources=tuple(sources))
    fit.check_given(given, config.tokenizer.image_size)
    work.draw(given)


def _between(
    first: Path, last: Path, num_frames: int, snap: bool
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Class maps (num_frames, H, W) from the first sketch to the last. Raises UsageError when they
    differ in size or there is no frame between."""
    from nuwa_cli.sketches.maps import read_sketch
    from nuwa_cli.sketches.motion import between

    ends = [read_sketch(path, snap=snap) for path in (first, last)]
    sizes = ["x".join(map(str, reversed(end.shape))) for end in ends]
    if sizes[0] != sizes[1]:
        raise UsageError(
            f"to '{last}': is {sizes[1]}, '{first}' is {sizes[0]}; give sketches of the same size"
        )
    return between(ends[0], ends[1], num_frames)
