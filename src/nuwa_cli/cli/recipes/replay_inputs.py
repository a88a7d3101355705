"""Where the inputs of a recipe are today: a recipe names files without folders, and their sha256.

A file is looked for among those that the user gives, beside the output that carries the recipe, and in
the working directory. What counts is its content: nothing is made from a file of another sha256, however
well its name fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nuwa_cli.cli.recipes.recall import file_arguments
from nuwa_cli.cli.work.inputs import source_of
from nuwa_cli.errors import InputError, UsageError

if TYPE_CHECKING:
    from nuwa_cli.media.metadata import Recipe

_SHOWN = 12  # hexadecimal digits of a digest in a message


class Inputs:
    """Files given with `--input`, for one recipe after the other; each is read once."""

    def __init__(self, given: Sequence[Path]) -> None:
        """Raises InputError for a file that cannot be read."""
        self._given = {path: source_of(path)["sha256"] for path in given}

    def find(self, recipe: Recipe, path: Path) -> dict[str, Path]:
        """The inputs of the recipe that `path` carries: parameter → file.

        Raises InputError when one is not to be found, or is not the file that it was.
        """
        names = file_arguments(recipe, path)
        digests = _digests(recipe)
        found: dict[str, Path] = {}
        for index, (parameter, name) in enumerate(names.items()):
            if index >= len(digests):
                raise InputError(
                    f"file '{path}': its recipe names the input '{name}' without a sha256; it "
                    "cannot be made again"
                )
            found[parameter] = self._find(name, digests[index], path)
        return found

    def _find(self, name: str, digest: str, path: Path) -> Path:
        same = [file for file, its_digest in self._given.items() if its_digest == digest]
        if same:
            return same[0]
        wrong = {file: its for file, its in self._given.items() if file.name == name}
        if not wrong:
            for candidate in _places(name, path):
                its_digest = _digest(candidate)
                if its_digest == digest:
                    return candidate
                if its_digest is not None:
                    wrong.setdefault(candidate, its_digest)
        for candidate, its_digest in wrong.items():
            raise InputError(
                f"input '{candidate}': has the sha256 {its_digest[:_SHOWN]}…, the recipe of "
                f"'{path.name}' says {digest[:_SHOWN]}…; give the right file with --input"
            )
        raise InputError(
            f"input '{name}': lies neither beside '{path}' nor here; give it with --input (sha256 "
            f"{digest[:_SHOWN]}…)"
        )


def _places(name: str, path: Path) -> list[Path]:
    """Beside the output and in the working directory; none for a name that is no plain file name."""
    if name in ("", "-", ".", "..") or "\0" in name or Path(name).name != name:
        return []
    return [path.parent / name, Path(name)]


def _digest(path: Path) -> str | None:
    try:
        return source_of(path)["sha256"]
    except (InputError, UsageError):
        return None


def _digests(recipe: Recipe) -> list[str]:
    sources = recipe.get("inputs")
    entries = sources if isinstance(sources, list) else []
    return [str(entry.get("sha256")) for entry in entries if isinstance(entry, dict)]
