"""One large picture from its first step to its file or to stdout: pieces to disk, rows to a PNG, and what
is left of it when the run is stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nuwa_cli.cli.growing.stop import Stop
from nuwa_cli.cli.main_errors import Terminated
from nuwa_cli.cli.recipes.recall import embedded
from nuwa_cli.cli.work.stream_out import send_rows
from nuwa_cli.cli.work.work import Work
from nuwa_cli.errors import InputError, OutputError
from nuwa_cli.media.atomic import check_output
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import Recipe, recipe_text
from nuwa_cli.media.png_stream import Rows, holds_rows, write_png
from nuwa_cli.media.probe import probe
from nuwa_cli.media.reading import read_picture
from nuwa_cli.media.step_journal import Journal, journal_path, open_journal
from nuwa_cli.media.strip_store import Box, StripStore, nameless_store, strip_store

if TYPE_CHECKING:
    from nuwa_cli.api import Extension
    from nuwa_cli.cli.work.output import Progress


@dataclass(frozen=True)
class Habits:
    """What becomes of a run that does not reach its end."""

    keep_partial: bool = False
    resume: bool = False
    has_journal: bool = True


class Job:
    """One output."""

    def __init__(
        self,
        work: Work,
        index: int,
        extension: Extension,
        habits: Habits,
        stop: Stop,
        progress: Progress,
    ) -> None:
        self.work, self.path, self.extension = work, work.paths[index], extension
        self.habits, self.stop, self.progress = habits, stop, progress
        self.recipe = embedded(extension.recipe(), work.values_of(index))
        self.done = 0  # steps
        self.force = work.force

    def make(self, given: Rows | None) -> dict[str, Any]:
        """Draw and write the picture, unless that was done before; facts of it."""
        if self.habits.resume and self._stands():
            self.work.voice.note(f"'{self.path}': is complete already")
            return sizes(self.extension)
        try:
            with (
                self._store() as store,
                self._journal() as journal,
            ):
                try:
                    self._draw(store, journal)
                except (KeyboardInterrupt, Terminated):
                    self._leave(store, journal)
                    raise
                try:
                    self._write(store, None)
                except (KeyboardInterrupt, Terminated):
                    self._say_left(journal)
                    raise
                facts = {**sizes(self.extension), **self._inside(store, given)}
                if journal is not None:
                    journal.finish()
        except OutputError:
            if self.done and self.habits.has_journal:
                self.work.voice.note(f"'{self.path}': {self.done} steps are kept for --resume")
            raise
        return facts

    def _stands(self) -> bool:
        """Whether this very picture lies there; a part of it may be replaced by the whole."""
        if self.force or not self.path.exists():
            return False
        try:
            found = probe(self.path)["recipe"]
        except InputError:
            return False
        part = found and found.pop("partial", None)
        if found != self.recipe:
            return False
        self.force = part is not None
        return part is None

    def _store(self) -> contextlib.AbstractContextManager[StripStore]:
        height, width = self.extension.height, self.extension.width
        if self.work.form is not None:
            return nameless_store(height, width)
        check_output(self.path, force=self.force)
        return strip_store(self.path, height, width, force=self.force)

    def _journal(self) -> contextlib.AbstractContextManager[Journal | None]:
        if not self.habits.has_journal:
            return contextlib.nullcontext()
        resume = self.habits.resume
        path = journal_path(self.path)
        if path.exists() and not resume:
            self.work.voice.note(f"journal '{path}': is begun anew; --resume would go on with it")
        if resume and not path.exists():
            self.work.voice.note(f"journal '{path}': there is none; beginning with the first step")
        digest = hashlib.sha256(recipe_text(self.recipe).encode()).digest()
        return open_journal(self.path, digest, resume=resume)

    def _draw(self, store: StripStore, journal: Journal | None) -> None:
        """Bring all pieces to the disk; those of steps in the journal are only decoded."""
        known = {} if journal is None else journal
        before, total = len(known), self.extension.num_steps
        if before:
            self.work.voice.note(f"'{self.path}': going on after {before} of {total} steps")
        for piece in self.extension.pieces(known):
            store.write(piece.top, piece.left, piece.pixels)
            if piece.tokens is not None and journal is not None:
                journal.append(piece.step, piece.tokens)
            self.done = piece.step + 1
            if self.done > before:  # the time left is that of the steps that are really drawn
                self.progress.step(self.done - before, total - before)
            if self.done:
                self.stop.check()

    def _write(self, store: StripStore, box: Box | None) -> None:
        """Write a box of the store, or all."""
        top, left, height, width = box or (0, 0, store.height, store.width)
        recipe: Recipe | None = self.recipe
        if box is not None:
            recipe = {**self.recipe, "partial": [left, top, width, height]}
        if self.work.output.no_metadata:
            recipe = None
        rows = store.rows((top, left, height, width))
        if self.work.form is not None:
            send_rows(rows, height, width, self.work.form, recipe)
        elif self.path.suffix.lower() == ".png":
            write_png(self.path, rows, height, width, recipe, force=self.force)
        else:
            write_image(self.path, np.concatenate(list(rows)), recipe, force=self.force)

    def _leave(self, store: StripStore, journal: Journal | None) -> None:
        """Keep what was asked to be kept, and say what that is."""
        box = self._complete_box(store) if self.habits.keep_partial else None
        if box is None:
            self._say_left(journal)
            return
        self._write(store, box)
        size, whole = f"{box[3]}x{box[2]}", f"{store.width}x{store.height}"
        self._say_left(journal, f"'{self.path}' holds {size} of {whole} pixels")

    def _say_left(self, journal: Journal | None, what: str = "nothing is written") -> None:
        where = f"stopped after {self.done} of {self.extension.num_steps} steps"
        go_on = "; --resume goes on from there" if self.done and journal is not None else ""
        self.work.voice.note(f"{where}: {what}{go_on}")

    def _complete_box(self, store: StripStore) -> Box | None:
        """The largest rectangle around the source that is complete; None where nothing was added."""
        bare = self.extension.complete_box(0)
        for done in (
            self.done,
            self.done - 1,
        ):  # the last step may not have given all of its pieces
            box = self.extension.complete_box(max(done, 0))
            if box != bare and store.is_complete(box):
                return box
        return None

    def _inside(self, store: StripStore, given: Rows | None) -> dict[str, Any]:
        """Whether the input's pixels are in the written file, bit for bit."""
        if given is None or self.work.form is not None:
            return {}
        top, left = self.extension.origin
        height, width = given.shape[:2]
        if self.path.suffix.lower() == ".png":
            rows = _with_given(store.rows(), given, top, left)
            same = holds_rows(self.path, rows, store.height, store.width)
            return {"inside_identical": same}
        written = read_picture(self.path).pixels[top : top + height, left : left + width]
        difference = int(np.abs(written.astype(np.int16) - given).max())
        if difference:
            self.work.voice.note(
                f"'{self.path}': {self.path.suffix} is lossy and changed the input's pixels by up to "
                f"{difference} of 255; png keeps them"
            )
        return {"inside_identical": not difference, "inside_difference": difference}


def _with_given(rows: Iterator[Rows], given: Rows, top: int, left: int) -> Iterator[Rows]:
    """Rows of the result with the input's own pixels in their place."""
    row = 0
    for block in rows:
        first, last = max(row, top), min(row + len(block), top + len(given))
        if first < last:
            block = block.copy()
            block[first - row : last - row, left : left + given.shape[1]] = given[
                first - top : last - top
            ]
        yield block
        row += len(block)


def sizes(extension: Extension) -> dict[str, Any]:
    """Facts of a picture that are known before it is drawn."""
    top, left = extension.origin
    return {
        "width": extension.width,
        "height": extension.height,
        "steps": extension.num_steps,
        "origin": [left, top],
    }
