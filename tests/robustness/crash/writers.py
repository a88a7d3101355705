"""Every writer of the program on tiny data, for processes that are killed while they write.

A writer is called with a folder and a number, 0 or 1: which of two contents to write under its one name.
Equal calls give equal bytes, so what is found after a kill must be one of the two.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Writer = Callable[[Path, int], None]


def clip(version: int) -> np.ndarray[Any, Any]:
    """Three small frames, different for each version."""
    frames = np.zeros((3, 16, 16, 3), np.uint8)
    frames[:, :, : 4 + 8 * version] = (200, 60 + 90 * version, 20)
    return frames


def recipe(version: int) -> dict[str, Any]:
    """What is embedded."""
    return {"schema": "nuwa.recipe/1", "version": "1", "prompt": f"a dog {version}", "seed": 1}


def picture(suffix: str) -> Writer:
    def write(folder: Path, version: int) -> None:
        from nuwa_cli.media.image import write_image

        write_image(folder / f"out{suffix}", clip(version)[0], recipe(version), force=True)

    return write


def video(suffix: str) -> Writer:
    def write(folder: Path, version: int) -> None:
        from nuwa_cli.media.video import write_video

        write_video(folder / f"out{suffix}", clip(version), 6, recipe(version), force=True)

    return write


def whole(name: str, content: Callable[[int], bytes]) -> Writer:
    def write(folder: Path, version: int) -> None:
        from nuwa_cli.media.atomic import write_bytes

        write_bytes(folder / name, content(version), force=True)

    return write


def weights(version: int) -> bytes:
    """A safetensors file of 40 KB."""
    from safetensors.numpy import save

    return save({"weight": np.full((100, 100), version, np.float32)})


def manifest(version: int) -> bytes:
    from nuwa_cli.hub.manifest import manifest_bytes

    return manifest_bytes({"config.json": b"x" * version})


def checkpoint(folder: Path, version: int) -> None:
    """The checkpoint after the newest one, of which only one is kept."""
    import torch

    from nuwa_cli.training.checkpoint import list_checkpoints, save_checkpoint

    step = max((int(path.name[-6:]) for path in list_checkpoints(folder)), default=0) + 1
    tensors = {"weights.net.w": torch.full((50, 50), float(version))}
    save_checkpoint(folder, step, tensors, {"recipe": {}, "torch": "x"}, keep=1)


WRITERS: dict[str, Writer] = {
    "png": picture(".png"),
    "jpg": picture(".jpg"),
    "webp": picture(".webp"),
    "gif": video(".gif"),
    "mp4": video(".mp4"),
    "safetensors": whole("out.safetensors", weights),
    "json": whole("manifest.json", manifest),
    "depfile": whole("out.d", lambda v: b"out.png: in.png \\\n" * (20 + v)),
    "recipe document": whole("r.json", lambda v: json.dumps(recipe(v)).encode()),
    "checkpoint": checkpoint,
}
