"""What travels to a host and back, so that it needs nothing of this machine's disk.

A parcel holds jobs and the bytes of the files that they read; the host does the jobs in an empty folder
of its own and sends back outcomes, and the bytes of every file that they made. Relative names stay as they
are; what lies elsewhere (`/data/a.png`, `../b.png`) has a stand-in on the host.

Invariant: a delivery is unpacked only into folders that its parcel named.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from nuwa_cli.cli.batch.manifest import Outcome
from nuwa_cli.cli.batch.running import Errand, perform
from nuwa_cli.errors import InputError, OutputError
from nuwa_cli.media.atomic import make_folder, write_bytes
from nuwa_cli.media.naming import is_sequence
from nuwa_cli.media.sources import numbered_pictures

_ELSEWHERE = "nuwa-elsewhere"


@dataclass(frozen=True)
class Parcel:
    """Jobs as the host does them, files by their names there, and folders that there must be."""

    errands: tuple[Errand, ...]
    files: dict[str, bytes]
    folders: tuple[str, ...]


@dataclass(frozen=True)
class Delivery:
    """Outcomes by job number, and files by their names on the host."""

    outcomes: tuple[tuple[int, Outcome], ...]
    files: dict[str, bytes]


@dataclass
class Packer:
    """Names here and there."""

    _parents: dict[str, str] = field(default_factory=dict)  # there: here

    def pack(self, errands: Sequence[Errand]) -> Parcel:
        """Jobs and what they read. Files that are not there are the job's to complain of."""
        files: dict[str, bytes] = {}
        folders: set[str] = set()
        for errand in errands:
            for path in (*errand.inputs, *errand.paths):
                folders.add(os.path.dirname(self.there(path)))
            for path in errand.inputs:
                files |= self._contents(path)
        packed = tuple(self._errand(errand) for errand in errands)
        return Parcel(packed, files, tuple(sorted(folders - {""})))

    def unpack(self, parcel: Parcel, delivery: Delivery) -> list[tuple[int, Outcome]]:
        """Write the files of each job, every file whole or not at all; outcomes in names of here.

        What was made beside them is left out. A job whose files cannot be written has failed. Raises
        InputError for a name that leaves its folder.
        """
        outcomes = dict(delivery.outcomes)
        told = []
        for errand in parcel.errands:
            outcome = outcomes.get(errand.number)
            if outcome is None:
                continue
            told.append((errand.number, self._outcome(outcome)))
            named = {*errand.paths, *errand.inputs, *(one["path"] for one in outcome.outputs)}
            try:
                for name in _made(delivery.files, named):
                    self._write(name, delivery.files[name], force="--force" in errand.argv)
            except OutputError as error:
                told[-1] = (errand.number, Outcome(exit=error.exit_code, error=str(error)))
        return told

    def there(self, path: str) -> str:
        """The name on the host of a file here."""
        pure = PurePosixPath(path)
        if not pure.is_absolute() and ".." not in pure.parts and pure.parts[:1] != (_ELSEWHERE,):
            return str(pure)
        for there, here in self._parents.items():
            if here == str(pure.parent):
                return f"{there}/{pure.name}"
        there = f"{_ELSEWHERE}/{len(self._parents)}"
        self._parents[there] = str(pure.parent)
        return f"{there}/{pure.name}"

    def here(self, name: str) -> str:
        """The name here of a file on the host. Raises InputError for one that leaves its folder."""
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts or not pure.name:
            raise InputError(
                f"host: sends '{name[:80]}', a file outside of its folder; do not use it"
            )
        if pure.parts[0] != _ELSEWHERE:
            return str(pure)
        folder = self._parents.get("/".join(pure.parts[:2]))
        if folder is None:
            raise InputError(f"host: sends '{name[:80]}', which no job was to make; do not use it")
        return str(PurePosixPath(folder, *pure.parts[2:]))

    def _errand(self, errand: Errand) -> Errand:
        moved = {path: self.there(path) for path in (*errand.inputs, *errand.paths)}

        def word(text: str) -> str:
            flag, equals, value = text.partition("=")
            if not (text.startswith("--") and equals):
                at = "@" if text.startswith("@") else ""
                return at + moved.get(text[len(at) :], text[len(at) :])
            if (
                flag == "--model" and Path(value).is_dir()
            ):  # of this machine, or of a disk that all see
                return f"{flag}={os.path.abspath(value)}"
            return f"{flag}={self.there(value) if flag == '--output' else moved.get(value, value)}"

        return replace(
            errand,
            argv=("--no-config", *map(word, _with_settings(errand.argv))),
            inputs=tuple(map(self.there, errand.inputs)),
            paths=tuple(map(self.there, errand.paths)),
        )

    def _write(self, name: str, content: bytes, *, force: bool) -> None:
        path = Path(self.here(name))
        if not path.parent.exists():
            make_folder(path.parent)
        write_bytes(path, content, force=force)

    def _outcome(self, outcome: Outcome) -> Outcome:
        def moved(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{**one, "path": self.here(one["path"])} for one in facts]

        return replace(outcome, outputs=moved(outcome.outputs), inputs=moved(outcome.inputs))

    def _contents(self, path: str) -> dict[str, bytes]:
        with contextlib.suppress(InputError, OSError):
            pictures = numbered_pictures(Path(path))
            if pictures is None:
                return {self.there(path): Path(path).read_bytes()}
            folder = path if Path(path).is_dir() else os.path.dirname(path)
            return {
                f"{self.there(os.path.join(folder, picture.name))}": picture.read_bytes()
                for picture in pictures
            }
        return {}


def do_parcel(parcel: Parcel) -> Delivery:
    """On the host: do the jobs of a parcel in a folder of their own."""
    import tempfile

    outcomes: list[tuple[int, Outcome]] = []
    with tempfile.TemporaryDirectory(prefix="nuwa-") as folder, contextlib.chdir(folder):
        for name in (*parcel.folders, *(os.path.dirname(name) for name in parcel.files)):
            Path(name).mkdir(parents=True, exist_ok=True)
        for name, content in parcel.files.items():
            write_bytes(Path(name), content)
        perform(parcel.errands, lambda errand, outcome: outcomes.append((errand.number, outcome)))
        made = {
            name: content for name, content in _all_files() if parcel.files.get(name) != content
        }
    return Delivery(tuple(outcomes), made)


def _with_settings(argv: tuple[str, ...]) -> list[str]:
    """A command line with the settings of this machine's files and variables written out."""
    from nuwa_cli.cli.app import parser
    from nuwa_cli.cli.settings.files import load_settings
    from nuwa_cli.cli.settings.names import is_on

    loaded = load_settings(parser(), argv)
    options = []
    for key, value in loaded.values.items():
        setting = loaded.settings[key]
        if any(word.partition("=")[0] in setting.flags for word in argv):
            continue
        if setting.is_switch:
            options += [f"--{key}"] if is_on(str(value)) else []
        else:
            values = value if isinstance(value, (list, tuple)) else [value]
            options += [f"--{key}={one}" for one in values]
    return [argv[0], *options, *(word for word in argv[1:] if not word.startswith("--preset="))]


def _made(files: Iterable[str], named: Collection[str]) -> Iterator[str]:
    """Those of the files that are named, or that are frames of a named sequence."""
    folders = {os.path.dirname(name) for name in named if is_sequence(Path(name))}
    for name in sorted(files):
        if name in named or (os.path.dirname(name) in folders and not _is_hidden(name)):
            yield name


def _is_hidden(name: str) -> bool:
    return os.path.basename(name).startswith(".")


def _all_files() -> Iterator[tuple[str, bytes]]:
    for folder, _, names in os.walk("."):
        for name in names:
            path = Path(folder, name)
            yield path.as_posix(), path.read_bytes()
