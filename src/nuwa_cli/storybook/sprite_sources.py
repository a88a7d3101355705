"""The art packages of `data/packages.toml`: fetched with npm, verified, read file by file."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from nuwa_cli.errors import EnvironmentFault, InputError, OutputError
from nuwa_cli.storybook.catalog import read_data


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_packages(folder: Path) -> list[Path]:
    """The tarballs of `packages.toml` in `folder`, fetched with npm where missing, and verified.

    Raises `EnvironmentFault` if npm is missing or fails, `InputError` if a tarball is not the
    pinned one, `OutputError` if there can be no such folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"download folder '{folder}': {error.strerror}; choose another"
        ) from error
    paths = []
    for row in read_data("packages")["package"]:
        name = row["name"].removeprefix("@").replace("/", "-")
        path = folder / f"{name}-{row['version']}.tgz"
        if not path.exists():
            npm = shutil.which("npm")
            if npm is None:
                raise EnvironmentFault(
                    f"package '{row['name']}': npm is not installed; "
                    f"install Node.js, or put {path.name} into '{folder}'"
                )
            done = subprocess.run(
                [npm, "pack", f"{row['name']}@{row['version']}", "--silent"],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode or not path.exists():
                why = (done.stderr.strip().splitlines() or ["npm pack failed"])[-1]
                raise EnvironmentFault(f"package '{row['name']}': {why}; try again later")
        if _digest(path) != row["sha256"]:
            raise InputError(f"package '{path}': checksum differs; delete it and build again")
        paths.append(path)
    return paths


def read_assets(archive: Path, wanted: set[str]) -> Iterator[tuple[str, bytes]]:
    """(code point, file content) of the wanted WebP files of one tarball."""
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            path = Path(member.name)
            if path.suffix == ".webp" and path.stem in wanted:
                file = tar.extractfile(member)
                if file is not None:
                    yield path.stem, file.read()
