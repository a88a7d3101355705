"""The commands that repaint a region and leave the rest alone: `inpaint`, `edit` and `vedit`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nuwa_cli.cli.work.inputs import PictureFile, input_argument, read_moving, read_still, source_of
from nuwa_cli.cli.work.options import (
    ClipOptions,
    FitOptions,
    ModelOptions,
    OptionalPrompt,
    OutputOptions,
    SamplingOptions,
    check_range,
    takes_options,
)
from nuwa_cli.cli.work.prompt_input import prompt_callback
from nuwa_cli.cli.work.region import RegionOptions
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import UsageError
from nuwa_cli.tasks.registry import TASKS

if TYPE_CHECKING:
    from nuwa_cli.api import Generated, Given
    from nuwa_cli.tasks.inputs import CompletionEngine

EditPrompt = Annotated[
    str,
    typer.Argument(
        metavar="PROMPT",
        help="What the result shows.",
        show_default=False,
        callback=prompt_callback,
    ),
]
ClipFile = Annotated[
    Path, input_argument("VIDEO", "Clip: mp4 webm gif webp apng, a folder, frames/%04d.png.")
]
KeepFirst = Annotated[
    int | None,
    typer.Option(
        "--keep-first",
        metavar="N",
        help="First frames that stay: 1, or 0 with a region, unless given.",
    ),
]
EngineName = Annotated[
    Literal["lip", "nuwa"],
    typer.Option(
        "--engine", help="lip sees all sides of the region; nuwa goes from top to bottom."
    ),
]
Start = Annotated[
    float, typer.Option("--start", metavar="SECONDS", help="Where in the clip to begin.")
]

_MAX_START = 1e6  # seconds


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for name, command in (("inpaint", inpaint), ("edit", edit), ("vedit", vedit)):
        app.command(name, short_help=TASKS[name].summary)(command)


@takes_options
def inpaint(
    image: PictureFile,
    region: RegionOptions,
    fit: FitOptions,
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    prompt: OptionalPrompt = None,
    engine: EngineName = "lip",
) -> None:
    """nuwa inpaint tower.png --box 0,50%,100%,50% -o whole.png

    Complete a picture: what lies in the region is drawn anew so that it fits the rest,
    and the prompt if there is one. The result has the size of the input and, outside the
    region, exactly its pixels (in png; jpg and webp are lossy).

    \b
    nuwa inpaint photo.jpg --mask scratch.png -o mended.png
    nuwa inpaint small.png "a castle on a hill" --box 96,96,64,64 --mask-invert -o large.png
    nuwa inpaint cut-out.png --alpha --feather 4 -n 4 -o filled.png
    """
    _repaint(Work("inpaint", [prompt], output, sampling, model), image, region, fit, engine)


@takes_options
def edit(
    image: PictureFile,
    prompt: EditPrompt,
    region: RegionOptions,
    fit: FitOptions,
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    engine: EngineName = "lip",
) -> None:
    """nuwa edit hill.png "a horse walks on the grass" --box 40%,50%,30%,30% -o horse.png

    Paint what the prompt says into a region of a picture. The result has the size of the
    input and, outside the region, exactly its pixels (in png; jpg and webp are lossy).

    \b
    nuwa edit hill.png "一匹在草地上行走的马" --ellipse 100,120,90,80 --best-of 8 -o horse.png
    nuwa edit hill.png "a red car" --polygon "10,200 120,180 130,250" --mask-preview where.png --dry-run -o car.png
    """
    _repaint(Work("edit", [prompt], output, sampling, model), image, region, fit, engine)


@takes_options
def vedit(
    video: ClipFile,
    prompt: EditPrompt,
    region: RegionOptions,
    fit: FitOptions,
    clip: ClipOptions,
    output: OutputOptions,
    sampling: SamplingOptions,
    model: ModelOptions,
    keep_first: KeepFirst = None,
    start: Start = 0.0,
    engine: EngineName = "lip",
) -> None:
    """nuwa vedit diver.mp4 "the diver swims to the surface" -o rising.mp4

    Change a clip by a text. Its first frame stays and the motion after it is made anew; or
    a region is repainted through time (--box …, or a --mask that is itself a clip); or both.
    The clip is read at the model's speed, --frames of it from --start on.

    \b
    nuwa vedit diver.mp4 "the diver swims to the left" --keep-first 3 -o left.gif
    nuwa vedit street.mp4 "a red bus in the city" --box 30%,40%,50%,50% --start 2 -o bus.mp4
    """
    work = Work("vedit", [prompt], output, sampling, model, clip)
    spec = region.check(force=output.force, is_needed=False)
    check_range("start", start, 0, _MAX_START)
    kept = int(spec.is_empty) if keep_first is None else keep_first
    if kept < 0:
        raise UsageError(f"keep-first '{kept}': out of range; give 0 or more")
    if kept == 0 and spec.is_empty:
        raise UsageError(
            "keep-first '0': nothing of the clip would stay; keep a frame, or give a region "
            "with --box, --ellipse, --polygon or --mask"
        )
    config = work.config()
    fps = clip.fps or config.fps
    length = clip.frames or config.num_frames
    source = read_moving(video, work.voice, fps=fps, max_frames=length, start=start)
    count, height, width = source.frames.shape[:3]
    begin = f" from {start:g} s" if start else ""
    work.voice.note(f"'{video}': {count} frames at {fps:g} a second{begin} are edited")

    from nuwa_cli.api import Given
    from nuwa_cli.compositing.regions import build_masks

    masks = None
    if not spec.is_empty:
        masks = build_masks(spec, height, width, count, fps=fps, start=start)
    given = Given(
        frames=source.frames,
        masks=masks,
        keep_first=kept,
        feather=region.feather,
        fit=fit.fit,
        engine=engine,
        sources=(source_of(video), *region.mask_source()),
        region=region.facts(),
    )
    if masks is not None:
        region.write_preview(source.frames[kept], masks[kept], force=output.force)
    work.draw(given, lambda path, generated: _outside(path, given, generated))


def _repaint(
    work: Work, image: Path, region: RegionOptions, fit: FitOptions, engine: CompletionEngine
) -> None:
    """Read the picture, build its region, draw."""
    force = work.output.force
    spec = region.check(force=force)
    picture = read_still(image, work.voice)

    from nuwa_cli.api import Given
    from nuwa_cli.compositing.regions import build_mask

    height, width = picture.pixels.shape[:2]
    mask = build_mask(spec, height, width, picture.alpha)
    given = Given(
        frames=picture.pixels[None],
        alpha=picture.alpha,
        masks=mask[None],
        feather=region.feather,
        fit=fit.fit,
        engine=engine,
        sources=(source_of(image), *region.mask_source()),
        region=region.facts(),
    )
    region.write_preview(picture.on_white(), mask, force=force)

    def facts(path: Path, generated: Generated) -> dict[str, Any]:
        measured = _outside(path, given, generated)
        if not measured["outside_identical"]:
            work.voice.note(
                f"'{path}': {path.suffix} is lossy and changed pixels outside the region by up to "
                f"{measured['outside_difference']} of 255; png keeps them"
            )
        return measured

    work.draw(given, facts)


def _outside(path: Path, given: Given, generated: Generated) -> dict[str, Any]:
    """Whether what was to stay did, measured in the written file, and the largest difference."""
    import numpy as np

    from nuwa_cli.api.fitting import hole_of
    from nuwa_cli.media.reading import read_clip, read_picture

    hole = hole_of(given)
    assert given.frames is not None and hole is not None
    if generated.frames.shape != given.frames.shape:  # only the middle was asked for, and is new
        return {"outside_identical": generated.outside_identical}
    is_clip = generated.fps is not None
    written = read_clip(path).frames if is_clip else read_picture(path).pixels[None]
    height, width = hole.shape[1:]
    written = written[:, :height, :width]  # some codecs need even sizes
    if len(written) != len(hole):
        return {"outside_identical": False}
    difference = np.abs(written[~hole].astype(np.int16) - given.frames[~hole]).max(initial=0)
    return {"outside_identical": not difference, "outside_difference": int(difference)}
