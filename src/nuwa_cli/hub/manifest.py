"""The manifest of a model folder: size and sha256 of every file that is loaded.

The manifest is written last, so a folder whose writing was interrupted does not match its manifest
and is refused. Its own digest names the model in recipes. The model card is not listed: a better
text does not make another model.
"""

from __future__ import annotations

import hashlib
import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nuwa_cli.errors import InputError

MANIFEST_NAME = "manifest.json"
MANIFEST_VERSION = 1

CONFIG_NAME = "config.json"
TEXT_NAME = "text.json"
TOKENIZER_NAME = "tokenizer.safetensors"
TRANSFORMER_NAME = "transformer.safetensors"
RERANKER_NAME = "reranker.safetensors"
SKETCH_NAME = "sketch.safetensors"
CARD_NAME = "README.md"

REQUIRED_NAMES = (CONFIG_NAME, TEXT_NAME, TOKENIZER_NAME, TRANSFORMER_NAME)
OPTIONAL_NAMES = (SKETCH_NAME, RERANKER_NAME)

_MAX_JSON_BYTES = 16 << 20
_DIGEST_LENGTH = 64
_PIECE = 1 << 20


@dataclass(frozen=True)
class FileRecord:
    """What a file of the model must be."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Records by file name, and the digest that stands for the whole model."""

    files: dict[str, FileRecord]
    digest: str


def manifest_bytes(contents: dict[str, bytes]) -> bytes:
    """The manifest of files given as name → content; equal contents give equal bytes."""
    files = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in contents.items()
    }
    document = {"format_version": MANIFEST_VERSION, "files": files}
    return (json.dumps(document, indent=2, sort_keys=True) + "\n").encode()


def read_manifest(folder: Path) -> Manifest:
    """Read and check `folder/manifest.json`. Raises InputError when it is missing or wrong."""
    content = read_file(folder / MANIFEST_NAME, max_bytes=_MAX_JSON_BYTES)
    document = parse_json(content, folder / MANIFEST_NAME)
    version = document.get("format_version")
    if version != MANIFEST_VERSION:
        raise InputError(
            f"model '{folder}': manifest has format version {version!r}, this nuwa reads "
            f"{MANIFEST_VERSION}; update nuwa or fetch the model again"
        )
    files = document.get("files")
    if not isinstance(files, dict):
        raise InputError(f"model '{folder}': manifest lists no files; fetch the model again")
    allowed = {*REQUIRED_NAMES, *OPTIONAL_NAMES}
    strange = sorted(set(files) - allowed)  # a name is never used as a path before this check
    missing = sorted(set(REQUIRED_NAMES) - set(files))
    if strange or missing:
        problem = f"names {strange[0]!r}" if strange else f"does not name {missing[0]!r}"
        raise InputError(f"model '{folder}': manifest {problem}; fetch the model again")
    records = {name: _record(folder, name, value) for name, value in files.items()}
    return Manifest(records, hashlib.sha256(content).hexdigest())


def read_verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    """Content of one listed file, compared with its record before anybody parses it.

    Raises InputError when it is missing, of another size, or of another digest.
    """
    record = manifest.files[name]
    content = read_file(folder / name, max_bytes=record.size)
    _compare(folder / name, record, len(content), hashlib.sha256(content))
    return content


def open_verified(folder: Path, name: str, manifest: Manifest) -> BinaryIO:
    """One listed file, compared with its record in pieces and standing at its start; the caller
    closes it. Raises InputError as `read_verified`."""
    record, path = manifest.files[name], folder / name
    try:
        _check_size(path, record.size)
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        total, size = hashlib.sha256(), 0
        while size <= record.size and (piece := file.read(_PIECE)):
            total.update(piece)
            size += len(piece)
        _compare(path, record, size, total)
        file.seek(0)
    except OSError as error:
        file.close()
        raise _unreadable(path, error) from error
    except InputError:
        file.close()
        raise
    return file


def _compare(path: Path, record: FileRecord, size: int, total: Any) -> None:
    if size != record.size:
        raise InputError(
            f"model file '{path}': has {size} bytes, its manifest says {record.size}; "
            "fetch the model again"
        )
    digest = total.hexdigest()
    if digest != record.sha256:
        raise InputError(
            f"model file '{path}': sha256 is {digest[:12]}…, its manifest says "
            f"{record.sha256[:12]}…; fetch the model again"
        )


def verify_files(folder: Path) -> tuple[Manifest, list[str]]:
    """Compare every listed file with the manifest: (manifest, one line per difference).

    Raises InputError when the manifest itself cannot be read.
    """
    manifest = read_manifest(folder)
    problems = []
    for name in sorted(manifest.files):
        try:
            open_verified(folder, name, manifest).close()
        except InputError as error:
            problems.append(str(error))
    return manifest, problems


def read_file(path: Path, *, max_bytes: int) -> bytes:
    """A regular file of at most `max_bytes` as bytes in private memory, never mapped: a file that
    shrinks under a mapping kills the process. Raises InputError."""
    try:
        _check_size(path, max_bytes)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)  # it may grow meanwhile
    except OSError as error:
        raise _unreadable(path, error) from error


def _check_size(path: Path, max_bytes: int) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"model file '{path}': is not a regular file; give a model folder")
    if status.st_size > max_bytes:
        raise InputError(
            f"model file '{path}': has {status.st_size} bytes, at most {max_bytes} expected; "
            "fetch the model again"
        )


def _unreadable(path: Path, error: OSError) -> InputError:
    why = (error.strerror or str(error)).lower()
    return InputError(f"model file '{path}': {why}; check the folder")


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """One JSON object: UTF-8, no duplicate keys, no NaN. Raises InputError."""
    try:
        document = json.loads(
            content.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0][:80]
        raise InputError(
            f"model file '{path}': not valid JSON ({reason}); fetch the model again"
        ) from error
    if not isinstance(document, dict):
        raise InputError(f"model file '{path}': holds no JSON object; fetch the model again")
    return document


def _record(folder: Path, name: str, value: Any) -> FileRecord:
    if (
        isinstance(value, dict)
        and set(value) == {"sha256", "size"}
        and isinstance(value["sha256"], str)
        and len(value["sha256"]) == _DIGEST_LENGTH
        and type(value["size"]) is int
        and value["size"] >= 0
    ):
        return FileRecord(value["size"], value["sha256"])
    raise InputError(f"model '{folder}': manifest entry '{name}' is damaged; fetch the model again")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("duplicate key")
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON value")
