"""`-o -`: the result itself on stdout, for a pipe, a player or another program.

stdout then carries media bytes and nothing else: no path, no JSON, and never to a terminal unless --force
says so. A clip leaves frame by frame while it is drawn. What a reader that goes away means is decided at the
end of the process (141, silent); a device that is full is an output that cannot be written (4).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from nuwa_cli.errors import OutputError, UsageError
from nuwa_cli.media.naming import Kind

if TYPE_CHECKING:
    from nuwa_cli.api import Generated
    from nuwa_cli.cli.work.options import OutputOptions
    from nuwa_cli.media.metadata import Recipe
    from nuwa_cli.media.png_stream import Rows
    from nuwa_cli.media.video import Frame

_NOT_WITH = {
    "json": ("--json", "both want stdout"),
    "json_stream": ("--json-stream", "both want stdout"),
    "update": ("--update", "a stream is never up to date"),
    "depfile": ("--depfile", "a stream is no target of make"),
}


def is_stdout(output: Path) -> bool:
    """Whether `-o` asks for stdout."""
    return str(output) == "-"


def check_stdout(output: OutputOptions, kind: Kind, count: int) -> str:
    """Check what goes with `-o -`, and choose the format. Raises UsageError.

    A dry run sends nothing: it may talk to a terminal, and in JSON.
    """
    from nuwa_cli.media.streaming import stream_format

    form = stream_format(output.format, kind)
    if count > 1:
        raise UsageError(
            f"output '-': holds one result, {count} are asked for; give a file name, or one run each"
        )
    if output.dry_run:
        return form
    for name, (flag, why) in _NOT_WITH.items():
        if getattr(output, name):
            raise UsageError(f"output '-': not with {flag}, {why}; give a file name")
    if sys.stdout is not None and sys.stdout.isatty() and not output.force:
        raise UsageError(
            "output '-': is a terminal; send it to a file or a program, or give --force"
        )
    return form


def send(generated: Generated, form: str, *, with_recipe: bool) -> None:
    """Send a finished result. Raises OutputError."""
    import numpy as np

    from nuwa_cli.media.streaming import ALPHA_FORMATS, send_picture

    recipe = generated.recipe if with_recipe else None
    if generated.fps is not None:
        send_clip(generated.frames, generated.fps, form, recipe)
        return
    frame = generated.frames[0]
    if generated.alpha is not None and form in ALPHA_FORMATS:
        frame = np.dstack((frame, generated.alpha))
    with _stdout() as stream:
        send_picture(stream, frame, form, recipe)


def send_rows(
    rows: Iterable[Rows], height: int, width: int, form: str, recipe: Recipe | None
) -> None:
    """Send a picture of any size, which comes in blocks of rows (k, W, 3). Raises OutputError."""
    from nuwa_cli.media import streaming

    with _stdout() as stream:
        streaming.send_rows(stream, rows, height, width, form, recipe)


def send_clip(frames: Iterable[Frame], fps: float, form: str, recipe: Recipe | None) -> None:
    """Send frames (H, W, 3) as they come; what the iterator raises is passed on behind a shorter
    clip. The recipe says that it was a stream, because a file of the same frames has other bytes.
    Raises OutputError."""
    from nuwa_cli.media import streaming

    if recipe is not None:
        recipe = {**recipe, "streamed": True}
    with _stdout() as stream:
        streaming.send_clip(stream, frames, fps, form, recipe)


@contextlib.contextmanager
def _stdout() -> Iterator[_Stdout]:
    """stdout; what an encoder cannot do is one OutputError too."""
    if sys.stdout is None:
        raise OutputError("output '-': stdout is closed; leave it open, or give a file name")
    try:
        yield _Stdout(sys.stdout.buffer)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _refused(error) from error


class _Stdout:
    """The bytes of stdout. Its failures are told apart here from those of whoever makes the frames."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: memoryview, /) -> int:
        with self._refusing():
            return self._stream.write(data)

    def flush(self) -> None:
        with self._refusing():
            self._stream.flush()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:  # ValueError: it was closed meanwhile
            raise _refused(error) from error


def _refused(error: Exception) -> OutputError:
    why = (getattr(error, "strerror", None) or "stdout is closed").lower()
    return OutputError(f"output '-': {why}; send it elsewhere, or give a file name")
