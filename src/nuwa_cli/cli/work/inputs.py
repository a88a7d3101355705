"""Input files of a command: read, with a note on what was converted, and named in the recipe.

`-` is stdin, for one argument of a command: every argument and option that names an input or a prompt goes
through a callback of this module or of `prompt_input`, and these two ask `take_stdin` first.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuwa_cli.cli.work.output import Output
from nuwa_cli.cli.work.spool import STDIN, descriptor_of, piped
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.media.last_read import last_read

if TYPE_CHECKING:
    from nuwa_cli.media.reading import Clip, Picture

_STDIN = "nuwa.stdin"  # in the context of a command: what reads it

Source = dict[str, str]
"""name (without its folder) and sha256 of an input."""


def input_argument(metavar: str, text: str) -> typer.models.ArgumentInfo:
    """The argument that names an input file."""
    argument: typer.models.ArgumentInfo = typer.Argument(
        metavar=metavar, help=text, show_default=False, callback=input_callback
    )
    return argument


def input_callback(
    context: typer.Context, parameter: typer.CallbackParam, value: Path | None
) -> Path | None:
    """For arguments and options that name an input file: `-` and pipes can be opened like one.

    Raises UsageError when stdin is asked for twice.
    """
    if value is None or context.resilient_parsing:
        return value
    value = piped(value)
    if descriptor_of(value) == STDIN:
        take_stdin(context, f"{parameter.name} '{value}'")
    return value


def take_stdin(context: typer.Context, what: str) -> None:
    """Let one argument of a command read stdin. Raises UsageError for the second."""
    if context.meta.setdefault(_STDIN, what) is not what:
        raise UsageError(f"{what}: stdin is read once, by {context.meta[_STDIN]}; name a file")


PictureFile = Annotated[Path, input_argument("IMAGE", "Picture: png jpg webp gif bmp tiff.")]


def read_still(path: Path, voice: Output) -> Picture:
    """A picture; notes say what was converted. Raises InputError."""
    from nuwa_cli.media.reading import read_picture

    picture = read_picture(path)
    _say(path, picture.notes, voice)
    return picture


def read_moving(
    path: Path,
    voice: Output,
    *,
    fps: float,
    max_frames: int,
    start: float = 0.0,
    from_end: bool = False,
) -> Clip:
    """Some frames of a clip, at `fps`, not to be written to; notes say what was converted.

    Raises InputError.
    """
    clip = _read_frames(path, fps=fps, max_frames=max_frames, start=start, from_end=from_end)
    _say(path, clip.notes, voice)
    return clip


def _nbytes(clip: Clip) -> int:
    return clip.frames.nbytes


@last_read(_nbytes)
def _read_frames(path: Path, *, fps: float, max_frames: int, start: float, from_end: bool) -> Clip:
    from nuwa_cli.media.reading import read_clip

    clip = read_clip(path, fps=fps, max_frames=max_frames, start=start, from_end=from_end)
    clip.frames.flags.writeable = False
    return clip


def source_of(path: Path) -> Source:
    """Name and sha256 of an input; of several pictures the digest of their digests.

    Raises InputError when it cannot be read.
    """
    import hashlib

    from nuwa_cli.media.sources import numbered_pictures

    pictures = numbered_pictures(path)
    if pictures is None:
        name = path.name if descriptor_of(path) is None else "-"
        return {"name": name, "sha256": _digest(path).hex()}
    total = hashlib.sha256()
    for picture in pictures:
        total.update(_digest(picture))
    return {"name": path.name, "sha256": total.hexdigest()}


def _digest(path: Path) -> bytes:
    import hashlib  # 10 ms, which `--help` need not wait for

    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise InputError(f"file '{path}': {why}; check the name") from error


def _say(path: Path, notes: Iterable[str], voice: Output) -> None:
    for note in notes:
        voice.note(f"'{path}': {note}")
