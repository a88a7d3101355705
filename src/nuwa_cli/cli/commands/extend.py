"""`nuwa extend`: a picture or clip grows on any side, a clip goes on (NUWA-Infinity)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuwa_cli.cli.growing.amounts import Growth, parse_growth
from nuwa_cli.cli.work.inputs import input_argument, read_moving, read_still, source_of
from nuwa_cli.cli.work.options import (
    MAX_FRAMES,
    ClipOptions,
    DrawOptions,
    ModelOptions,
    OptionalPrompt,
    OutputOptions,
    takes_options,
)
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import UsageError
from nuwa_cli.infinity.geometry import Margins

if TYPE_CHECKING:
    from nuwa_cli.api import Extension, NuwaPipeline, OnProgress
    from nuwa_cli.api.clip_extension import ClipExtension

MediaFile = Annotated[Path, input_argument("MEDIA", "Picture, clip, folder or frames/%04d.png.")]
KeepPartial = Annotated[
    bool, typer.Option("--keep-partial", help="When stopped, write what is complete so far.")
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on where an earlier run was stopped; same result.")
]


def _side(name: str, text: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(name, metavar="N|N%|Nx", help=text)
    return option


@dataclass(frozen=True, kw_only=True)
class GrowOptions:
    """How far each side goes, and what is said where."""

    right: Annotated[str | None, _side("--right", "Add to the right: 512, 300% or 4x.")] = None
    left: Annotated[str | None, _side("--left", "Add to the left.")] = None
    up: Annotated[str | None, _side("--up", "Add above.")] = None
    down: Annotated[str | None, _side("--down", "Add below.")] = None
    around: Annotated[str | None, _side("--around", "Add on every side not named.")] = None
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="WxH", help="Size of the result, the input in its middle."),
    ] = None
    prompt_at: Annotated[
        list[str] | None,
        typer.Option(
            "--prompt-at",
            metavar="PX:PROMPT",
            help="What it shows from this pixel of the result on; repeatable.",
        ),
    ] = None

    def parse(self) -> Growth:
        """The options as values. Raises UsageError."""
        amounts = {
            "right": self.right,
            "left": self.left,
            "up": self.up,
            "down": self.down,
            "around": self.around,
        }
        return parse_growth(amounts, self.size, self.prompt_at or ())


def register(app: typer.Typer) -> None:
    """Add `nuwa extend` to the command line."""
    app.command("extend", short_help="Let a picture or clip grow, or go on.")(extend)


@takes_options
def extend(
    media: MediaFile,
    grow: GrowOptions,
    clip: ClipOptions,
    output: OutputOptions,
    sampling: DrawOptions,
    model: ModelOptions,
    prompt: OptionalPrompt = None,
    keep_partial: KeepPartial = False,
    resume: Resume = False,
) -> None:
    """nuwa extend hill.png --right 4x -o wide.png

    Let a picture grow on any side, patch by patch, as far as you like; the input's own
    pixels stand in the result bit for bit (in png). A prompt says what is added: its
    subject stands there once. A clip grows in the same way, and goes on with --frames.

    Amounts: 512 adds pixels, 50% that share of the input's side, and 4x makes the result
    four times as long; each side counts on its own, so --left 4x --right 4x makes it
    seven times as wide. A png needs no memory for its size; jpg and webp have limits.

    A run that is stopped leaves a small .NAME.journal, and --resume goes on with it.
    --dry-run draws one step to say how long all of them will take.

    \b
    nuwa extend hill.png "a horse on the grass" --size 2048x512 --seed 3 -o wide.png
    nuwa extend hill.png --right 16x --prompt-at 1024:"a city street" -o road.png
    nuwa extend hill.png --around 128 --up 0 -n 3 -o frame.png
    nuwa extend clip.mp4 --frames 200 --right 256 -o long.mp4
    """
    growth = grow.parse()

    from nuwa_cli.media.reading import kind_of

    if kind_of(media) == "clip":
        if resume:
            raise UsageError(
                f"resume: '{media}' is a clip, and only pictures keep a journal; begin anew"
            )
        work = Work("extend", [prompt], output, sampling, model, clip, kind="video")
        _extend_clip(work, media, growth, keep_partial=keep_partial)
        return
    given = [name for name, value in vars(clip).items() if value is not None]
    if given:
        raise UsageError(
            f"{given[0]} '{getattr(clip, given[0])}': '{media}' is a picture and does not move; "
            "nuwa predict sets it in motion"
        )
    growth.require()
    work = Work("extend", [prompt], output, sampling, model, kind="image", may_exist=resume)
    _extend_picture(work, media, growth, keep_partial=keep_partial, resume=resume)


def _extend_picture(
    work: Work, media: Path, growth: Growth, *, keep_partial: bool, resume: bool
) -> None:
    picture = read_still(media, work.voice)
    if picture.alpha is not None:
        work.voice.note(f"'{media}': transparent parts shown on white")
    pixels = picture.on_white()
    height, width = pixels.shape[:2]
    margins = growth.margins(height, width)
    sources = (source_of(media),)

    from nuwa_cli.api import Segment
    from nuwa_cli.cli.growing.job import Habits
    from nuwa_cli.cli.growing.picture import draw_large

    segments = [Segment(at, text) for at, text in growth.segments]

    def start(pipeline: NuwaPipeline, prompt: str, seed: int) -> Extension:
        return pipeline.start_extension(
            pixels,
            margins,
            prompt,
            segments=segments,
            seed=seed,
            sources=sources,
            **work.sampling.overrides(),
        )

    draw_large(
        work,
        start,
        (margins.top + height + margins.bottom, margins.left + width + margins.right),
        given=pixels,
        sources=sources,
        more_prompts=tuple(text for _, text in growth.segments),
        habits=Habits(keep_partial=keep_partial, resume=resume),
    )


def _extend_clip(work: Work, media: Path, growth: Growth, *, keep_partial: bool) -> None:
    if growth.segments:
        raise UsageError(
            f"prompt-at '{growth.segments[0][0]}': '{media}' is a clip, which has one prompt; "
            "give it after the file name"
        )
    num_frames = work.clip.frames
    if growth.is_empty and num_frames is None:
        raise UsageError(
            "extend: nothing to add; say how long with --frames 200, or how far with --right 256"
        )
    frames = read_moving(media, work.voice, fps=work.config().fps, max_frames=MAX_FRAMES).frames
    count, height, width = frames.shape[:3]

    from nuwa_cli.cli.growing.clip import check_format, draw_clips
    from nuwa_cli.tasks.inputs import check_continuation

    length = num_frames or count
    if growth.is_empty or length != count:
        check_continuation(length, count)
    margins = Margins() if growth.is_empty else growth.margins(height, width)
    for path in work.paths if work.form is None else ():
        check_format(
            path,
            length,
            margins.top + height + margins.bottom,
            margins.left + width + margins.right,
        )
    sources = (source_of(media),)

    def start(
        pipeline: NuwaPipeline, prompt: str, seed: int, on_progress: OnProgress
    ) -> ClipExtension:
        return pipeline.start_clip_extension(
            frames,
            num_frames,
            margins,
            prompt,
            seed=seed,
            fps=work.clip.fps,
            sources=sources,
            on_progress=on_progress,
            **work.sampling.overrides(),
            **work.clip.overrides(),
        )

    draw_clips(work, start, frames, sources, keep_partial=keep_partial)
