"""A bank of rendered scenes: small pictures, labels and captions, made once and read many times.

The judging nets look at pictures of 96 pixels, so some thousand scenes fit into memory, and
painting them, which costs more than the training, is done once. A bank is a pure function of its
settings; a folder that holds one is used again only for the same settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nuwa_cli.model.convnet import shrink
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.storybook.captions import caption
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import SceneSpec

Report = Callable[[str], None]
CAPTION_KINDS = ("image",) * 4 + ("video",) * 2  # captions kept of a scene
_CHUNK = 16  # scenes rendered at once


@dataclass(frozen=True)
class SceneBank:
    """n scenes. `frames` (n, T, 3, S, S) uint8; `labels` name → (n,) int64, as `SceneSpec.labels`;
    `captions`: texts of each scene, four as for a picture and two as for a clip."""

    frames: Tensor
    labels: dict[str, Tensor]
    captions: list[list[str]]

    def __len__(self) -> int:
        return len(self.frames)

    def pixels(self, rows: Tensor, frame: Tensor | None = None) -> Tensor:
        """Frames of some scenes as float in [-1, 1]: (b, T, 3, S, S), or (b, 1, 3, S, S) where
        `frame` (b,) chooses one frame of each."""
        chosen = self.frames[rows] if frame is None else self.frames[rows, frame][:, None]
        return to_pixels(chosen)


def scene_bank(
    renderer: Renderer,
    specs: Sequence[SceneSpec],
    frame_indices: Sequence[int],
    image_size: int,
    folder: Path,
    report: Report = lambda _: None,
) -> SceneBank:
    """Render `specs` (or read them back from `folder`, if they were rendered before)."""
    settings = {
        "first_seed": specs[0].seed,
        "scenes": len(specs),
        "frames": list(frame_indices),
        "image_size": image_size,
        "last": repr(specs[-1]),
    }
    found = _read(folder, settings)
    if found is not None:
        return found
    frames: list[Tensor] = []
    for start in range(0, len(specs), _CHUNK):
        rendered = renderer.render(list(specs[start : start + _CHUNK]), list(frame_indices)).pixels
        small = shrink(rendered.flatten(0, 1).float(), image_size)
        small = small.round().clamp(0, 255).to(torch.uint8)
        frames.append(small.view(*rendered.shape[:3], image_size, image_size))
        if start // _CHUNK % 20 == 0:
            report(f"rendered {start}/{len(specs)} scenes")
    labels = {name: torch.tensor([spec.labels[name] for spec in specs]) for name in specs[0].labels}
    captions = [
        [caption(spec, spec.seed + i, kind=kind) for i, kind in enumerate(CAPTION_KINDS)]
        for spec in specs
    ]
    bank = SceneBank(torch.cat(frames), labels, captions)
    _write(folder, settings, bank)
    return bank


def _write(folder: Path, settings: dict[str, Any], bank: SceneBank) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bank.json").unlink(missing_ok=True)
    save_file({"frames": bank.frames, **bank.labels}, folder / "bank.safetensors")
    document = {"settings": settings, "captions": bank.captions}
    (folder / "bank.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")


def _read(folder: Path, settings: dict[str, Any]) -> SceneBank | None:
    try:
        document = json.loads((folder / "bank.json").read_text(encoding="utf-8"))
        if document["settings"] != settings:
            return None
        tensors = load_file(folder / "bank.safetensors")
    except (OSError, ValueError, KeyError):
        return None
    frames = tensors.pop("frames")
    return SceneBank(frames, tensors, document["captions"])
