"""An output that carries a recipe, and the command line of it run again inside this process."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nuwa_cli
from nuwa_cli.cli.recipes.comparison import Comparison, compare
from nuwa_cli.cli.recipes.recall import (
    arguments_of,
    argv_of,
    file_arguments,
    parameters_of,
    takes_model,
)
from nuwa_cli.cli.recipes.up_to_date import model_digest
from nuwa_cli.errors import EnvironmentFault, InputError, MismatchError, NuwaError, UsageError
from nuwa_cli.hub.catalog import CATALOG, DEFAULT_MODEL
from nuwa_cli.media.naming import existing_frames, is_sequence, numbered

if TYPE_CHECKING:
    from nuwa_cli.cli.recipes.replay_inputs import Inputs
    from nuwa_cli.cli.work.output import Captured
    from nuwa_cli.media.metadata import Recipe

_SHOWN = 12  # hexadecimal digits of a digest in a message
_TRACE_BYTES = 8 << 20  # at either end of a file: recipes stand in front, in a WebP at the end


@dataclass(frozen=True)
class Original:
    """A file, or the frames of a sequence `frames/%04d.png`, with its recipe."""

    path: Path
    files: tuple[Path, ...]
    format: str
    recipe: Recipe

    @classmethod
    def read(cls, path: Path, *, is_check: bool) -> Original:
        """Read the recipe of a file, or of the first frame of a pattern.

        Raises InputError for what cannot be read, carries no recipe, or one that nothing can run; with
        `is_check` MismatchError where that is because a recipe of ours was damaged.
        """
        from nuwa_cli.media.large_png import probe_any_size
        from nuwa_cli.media.metadata import require_recipe

        files = _files(path)
        try:
            facts = probe_any_size(files[0])
            recipe = require_recipe(facts["recipe"], files[0])
        except InputError as error:
            if is_check and _has_traces(files[0]):
                raise MismatchError(
                    f"replay '{path}': its recipe is damaged and cannot be read; make the file anew"
                ) from error
            raise
        try:
            arguments_of(recipe, path)
        except InputError as error:
            if is_check and not _is_never_run_again(recipe):
                raise MismatchError(str(error)) from error
            raise
        return cls(path, files, facts["format"], recipe)

    @property
    def frame(self) -> int | None:
        """The number of a single frame of a sequence; None for all else."""
        frame = self.recipe.get("frame")
        is_one = type(frame) is int and frame >= 0 and not is_sequence(self.path)
        return frame if is_one else None

    def default_output(self) -> Path:
        """FILE-replay beside the file; of a sequence, its folder-replay. Raises UsageError."""
        if self.frame is not None:
            raise UsageError(
                f"file '{self.path}': is frame {self.frame} of a clip; give all of them as a pattern "
                "such as frames/%04d.png, or -o clip.mp4"
            )
        # Braces stand for themselves in a name that exists already.
        path = Path(str(self.path).replace("{", "{{").replace("}", "}}"))
        if is_sequence(path) and path.parent.name:
            return path.parent.with_name(f"{path.parent.name}-replay") / path.name
        return path.with_name(f"{path.stem}-replay{path.suffix}")

    def compare(self, path: Path) -> Comparison:
        """Compare with the file or sequence that was made at `path`."""
        made = _files(path)
        if self.frame is not None:
            made = (numbered(path, self.frame),)

        from nuwa_cli.media.large_png import probe_any_size

        recipe = probe_any_size(made[0])["recipe"] if made[0].exists() else None
        return compare(self.files, made, (self.recipe, recipe))


@dataclass(frozen=True)
class Rerun:
    """How an original is made again."""

    original: Original
    inputs: dict[str, Path] = field(default_factory=dict)
    seed: int | None = None
    given_model: str | None = None

    @classmethod
    def of(cls, original: Original, inputs: Inputs, seed: int | None, model: str | None) -> Rerun:
        """Find the inputs. Raises InputError."""
        return cls(original, inputs.find(original.recipe, original.path), seed, model)

    @cached_property
    def model(self) -> str | None:
        """Name or folder of the model; None for a command that has none. Raises InputError."""
        if not takes_model(self.original.recipe["command"]):
            return None
        if self.given_model is not None:
            return self.given_model
        name = str(_model_of(self.original.recipe).get("name", DEFAULT_MODEL))
        if name in {entry.name for entry in CATALOG}:
            return name
        is_plain = name not in ("", ".", "..") and "\0" not in name and Path(name).name == name
        for folder in (self.original.path.parent / name, Path(name)) if is_plain else ():
            if folder.is_dir():
                return str(folder)
        raise InputError(
            f"model '{name}': '{self.original.path}' was made with it, and it is neither beside that "
            "file nor here; say where with --model"
        )

    def notes(self) -> list[str]:
        """What is not as it was. Raises InputError, EnvironmentFault for an unusable model."""
        path, recipe = self.original.path, self.original.recipe
        notes = []
        version = recipe.get("version")
        if version != nuwa_cli.__version__:
            notes.append(f"'{path}': made by nuwa {version}, this is {nuwa_cli.__version__}")
        digests = self._digests()
        if digests is not None:
            notes.append(
                f"'{path}': made with another model, sha256 {digests[1]}…, now {digests[0]}…"
            )
        if recipe.get("arguments") is None:
            notes.append(f"'{path}': its recipe is an old one, which does not say everything")
        return notes

    def require_model(self) -> None:
        """Raise MismatchError unless the model is the one that made the original."""
        digests = self._digests()
        if digests is not None:
            raise MismatchError(
                f"replay '{self.original.path}': the model has sha256 {digests[0]}…, the file was made "
                f"with {digests[1]}…; give that one with --model"
            )

    def make(self, output: Path) -> tuple[Path, list[str]]:
        """Run the command line, writing `output`; returns where the result is, and its notes.

        Raises InputError for a recipe that the command refuses, and what the command raises.
        """
        said = self._run(output, self.inputs)
        made = [Path(result["path"]) for result in said.results]
        return (made or [output])[0], said.notes

    def remake(self, folder: Path) -> Path:
        """Make it again in a folder, in the format and the manner of the original.

        Raises MismatchError for a recipe that the command refuses: no run of ours has left it.
        """
        original = self.original
        suffix = f".{original.format}"
        if is_sequence(original.path):
            target = folder / original.path.name
        elif original.frame is not None:
            target = folder / f"%04d{suffix}"
        else:
            target = folder / f"again{suffix}"
        inputs = self._renamed_inputs(folder)
        if original.recipe.get("streamed") is not True:
            self._run(target, inputs, refusal=MismatchError)
            return target
        # A stream has another container than a file of the same frames.
        with _stdout_to(target):
            form = ("--format", original.format)
            self._run(Path("-"), inputs, *form, refusal=MismatchError)
        return target

    def _renamed_inputs(self, folder: Path) -> dict[str, Path]:
        """The inputs under the names that the recipe gives them, which go into the new recipe."""
        names = file_arguments(self.original.recipe, self.original.path)
        inputs = dict(self.inputs)
        for parameter, path in self.inputs.items():
            if path.name != names[parameter] and path.exists():
                (folder / parameter).mkdir()
                inputs[parameter] = folder / parameter / names[parameter]
                inputs[parameter].symlink_to(path.resolve())
        return inputs

    def _run(
        self,
        output: Path,
        inputs: dict[str, Path],
        *more: str,
        refusal: type[NuwaError] = InputError,
    ) -> Captured:
        from nuwa_cli.cli.app import parser
        from nuwa_cli.cli.work.output import captured

        original = self.original
        model = None if self.model == DEFAULT_MODEL else self.model
        words = argv_of(original.recipe, original.path, inputs, output, seed=self.seed, model=model)
        try:
            with captured() as said:
                parser().main(
                    [words[0], *more, *words[1:]], prog_name="nuwa", standalone_mode=False
                )
        except Exception as error:
            if isinstance(error, NuwaError) and not isinstance(error, UsageError):
                raise
            if not isinstance(error, UsageError) and not hasattr(error, "format_message"):
                raise
            why = str(error) or error.format_message()
            raise refusal(f"file '{original.path}': its recipe cannot be run: {why}") from error
        return said

    def _digests(self) -> tuple[str, str] | None:
        """What the model is and what it was, shortened; None where they are the same."""
        was = _model_of(self.original.recipe).get("sha256")
        if self.model is None or not isinstance(was, str):
            return None
        now = model_digest(self.model)
        return None if now == was else (now[:_SHOWN], was[:_SHOWN])


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of one's own that is gone afterwards. Raises EnvironmentFault."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="nuwa-replay-")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise EnvironmentFault(
            f"temporary folder: {why}; let TMPDIR name a folder that can be written"
        ) from error
    with folder as name:
        yield Path(name)


@contextlib.contextmanager
def _stdout_to(path: Path) -> Iterator[None]:
    """Send what is written to stdout to a new file instead."""
    from nuwa_cli.media.atomic import atomic_write

    with atomic_write(path) as pending:
        stream = io.TextIOWrapper(pending.file)
        with contextlib.redirect_stdout(stream):
            yield
        stream.detach()


def _files(path: Path) -> tuple[Path, ...]:
    """The file, or the frames of a sequence. Raises InputError where there is none."""
    if not is_sequence(path) or path.exists():
        return (path,)
    frames: Sequence[Path] = existing_frames(path) if path.parent.is_dir() else ()
    if not frames:
        raise InputError(f"file '{path}': no such frames; check the name")
    return tuple(frames)


def _is_never_run_again(recipe: Recipe) -> bool:
    """Whether a recipe is in order, but that of a by-product: a contact sheet, the sketch of a scene."""
    from nuwa_cli.cli.app import parser

    command = recipe.get("command")
    is_command = isinstance(command, str) and command in parser().commands
    return "part" in recipe or (is_command and not parameters_of(str(command)))


def _has_traces(path: Path) -> bool:
    from nuwa_cli.media.metadata import has_traces

    try:
        with path.open("rb") as file:
            content = file.read(_TRACE_BYTES)
            file.seek(max(len(content), path.stat().st_size - _TRACE_BYTES))
            return has_traces(content + file.read(_TRACE_BYTES))
    except OSError:
        return False


def _model_of(recipe: Recipe) -> dict[str, Any]:
    model = recipe.get("model")
    return model if isinstance(model, dict) else {}
