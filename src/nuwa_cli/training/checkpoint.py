"""Checkpoints: a folder per saved step, complete or absent, bit for bit resumable.

`step-000500/` holds `tensors.safetensors` (weights, optimizer moments, averaged weights) and
`state.json` (step, recipe, size and sha256 of the tensors). It is written under a temporary name,
flushed to disk and then renamed, so that a kill at any moment leaves the previous one whole; an
older checkpoint is removed only after the new one stands. No pickle.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor

from nuwa_cli.errors import InputError, OutputError

_TENSORS = "tensors.safetensors"
_STATE = "state.json"


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save_checkpoint(
    run_dir: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any], keep: int
) -> Path:
    """Write `run_dir/step-NNNNNN` atomically and remove all but the newest `keep`.

    Raises OutputError when the file system refuses; the earlier checkpoints are whole then.
    """
    final = run_dir / f"step-{step:06d}"
    temporary = run_dir / f".step-{step:06d}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _fill(temporary, step, tensors, state)
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        _sync_folder(run_dir)
        for old in list_checkpoints(run_dir)[:-keep]:
            shutil.rmtree(old)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise OutputError(f"checkpoint '{final}': {why}; free some space, and go on") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def _fill(folder: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    data = dump_tensors({name: tensor.contiguous() for name, tensor in tensors.items()})
    _write(folder / _TENSORS, data)
    record = {
        **state,
        "step": step,
        "tensors": {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()},
    }
    _write(folder / _STATE, json.dumps(record, indent=1, ensure_ascii=False).encode())
    _sync_folder(folder)


def list_checkpoints(run_dir: Path) -> list[Path]:
    """Folders that look like checkpoints, oldest first."""
    return sorted(path for path in run_dir.glob("step-*") if path.is_dir())


def read_checkpoint(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and state of one checkpoint. Raises InputError when anything of it is damaged."""
    try:
        state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
        data = (folder / _TENSORS).read_bytes()
        expected = state["tensors"]["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"checkpoint '{folder}': unreadable ({error}); remove it") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise InputError(f"checkpoint '{folder}': its tensors are damaged; remove it")
    return load_tensors(data), state


def latest_checkpoint(
    run_dir: Path,
) -> tuple[tuple[dict[str, Tensor], dict[str, Any]] | None, list[str]]:
    """The newest valid checkpoint, and a note for each newer one that was damaged.

    Raises InputError when there are checkpoints but none is valid: a run never starts afresh on top
    of lost work.
    """
    notes: list[str] = []
    folders = list_checkpoints(run_dir)
    for folder in reversed(folders):
        try:
            return read_checkpoint(folder), notes
        except InputError as error:
            notes.append(str(error))
    if folders:
        raise InputError(f"run '{run_dir}': no valid checkpoint left; {notes[0]}")
    return None, notes
