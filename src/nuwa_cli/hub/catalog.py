"""Which models there are and where: the embedded default, folders, and repositories of the hub.

`--model` takes a name of this catalog, a model folder, or `owner/name@revision` of the Hugging Face
hub, in that order. The embedded default never touches the network.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import nuwa_cli
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.hub.manifest import MANIFEST_NAME

DEFAULT_MODEL = "storybook"

_REPOSITORY = re.compile(
    r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}(@[A-Za-z0-9][\w./-]{0,99})?", re.ASCII
)
_MAX_SPEC = 1024
_STRANGE = re.compile(r"://|[\\@:?#%*<>|\"]")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True)
class CatalogEntry:
    """A model that needs no download."""

    name: str
    summary: str

    @property
    def folder(self) -> Path | None:
        """Where its weights lie: in the wheel, or in the source checkout; None if in neither."""
        package = Path(nuwa_cli.__file__).parent
        candidates = (
            package / "_weights" / self.name,
            package.parent.parent / "weights" / self.name,
        )
        return next((path for path in candidates if (path / MANIFEST_NAME).is_file()), None)


CATALOG: tuple[CatalogEntry, ...] = (
    CatalogEntry(DEFAULT_MODEL, "256x256 storybook scenes, pictures and clips; ships with nuwa"),
)


def find_model(spec: str) -> Path:
    """The folder of a model given as name, folder or hub repository.

    Raises UsageError for a malformed name, InputError when there is no such model,
    EnvironmentFault when it would have to be fetched and cannot be.
    """
    for entry in CATALOG:
        if entry.name == spec:
            if entry.folder is None:
                raise InputError(
                    f"model '{spec}': its weights are not installed; "
                    "reinstall nuwa, or give a model folder"
                )
            return entry.folder
    if not spec.strip() or not spec.isprintable() or len(spec) > _MAX_SPEC:
        raise UsageError(f"model '{spec[:80]}': is no name; see: nuwa models list")
    path = Path(spec)
    if path.suffix.lower() in _PICKLES:
        raise InputError(
            f"model '{spec}': pickle checkpoints are not loaded; "
            "give a model folder with safetensors"
        )
    if os.path.isdir(spec):  # unlike Path.is_dir, no exception for a name that cannot exist
        return path
    if not os.path.lexists(spec):
        if is_repository(spec):
            from nuwa_cli.hub.fetch import fetch_repository

            return fetch_repository(spec)
        if ".." in path.parts or _STRANGE.search(spec):
            raise UsageError(
                f"model '{spec[:80]}': is neither a folder nor owner/name@revision; "
                "see: nuwa models list"
            )
    names = ", ".join(entry.name for entry in CATALOG)
    raise InputError(
        f"model '{spec}': no such name, folder or owner/name@revision; known names: {names}"
    )


def is_repository(spec: str) -> bool:
    """Whether a text is written as owner/name or owner/name@revision. Nothing else is ever asked
    of the hub."""
    return bool(_REPOSITORY.fullmatch(spec)) and ".." not in spec
