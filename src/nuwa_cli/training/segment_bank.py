"""A bank of single frames with their class maps, as rendered and as the VQ-GAN gives them back.

Generated pictures come out of the VQ-GAN's decoder, so a net that is to segment them learns from
pictures that went through it: each frame is kept twice, clean and restored. Half of the restored
frames had some of their tokens changed to similar ones, as a sampler would choose them. A bank is a
pure function of its settings; a folder that holds one is used again only for the same settings.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from nuwa_cli.hub.safetensors_file import tensors_to_bytes
from nuwa_cli.model.convnet import shrink
from nuwa_cli.ops.pixels import to_levels, to_pixels
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.tokenizer.vqgan_seg import resize

Report = Callable[[str], None]
_SIMILAR = 8  # codes that a changed token may become
_MOST_CHANGED = 0.2  # share of the tokens of a frame
_CHUNK = 16  # scenes rendered at once


@dataclass(frozen=True)
class SegmentBank:
    """n frames: `clean` and `restored` (n, 3, S, S) uint8, `classes` (n, S, S) uint8."""

    clean: Tensor
    restored: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.clean)


def segment_bank(
    renderer: Renderer,
    vqgan: VQGAN,
    specs: Sequence[SceneSpec],
    image_size: int,
    folder: Path,
    report: Report = lambda _: None,
) -> SegmentBank:
    """Render one frame of each of `specs` (or read them back from `folder`)."""
    settings = {
        "first_seed": specs[0].seed,
        "scenes": len(specs),
        "image_size": image_size,
        "last": repr(specs[-1]),
        "vqgan": sha256(tensors_to_bytes(vqgan)).hexdigest(),
    }
    found = _read(folder, settings)
    if found is not None:
        return found
    generator = torch.Generator().manual_seed(specs[0].seed)
    similar = similar_codes(vqgan)
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for start in range(0, len(specs), _CHUNK):
        chunk = list(specs[start : start + _CHUNK])
        rendered = renderer.render(chunk, [[spec.seed % spec.num_frames] for spec in chunk])
        clean, classes = rendered.pixels[:, 0].cpu(), rendered.classes[:, 0].cpu()
        restored = restore(vqgan, clean, similar, generator)
        parts.append((_small(clean, image_size), _small(restored, image_size), classes))
        if start // _CHUNK % 20 == 0:
            report(f"rendered {start}/{len(specs)} scenes")
    clean, restored, classes = (torch.cat(column) for column in zip(*parts, strict=True))
    bank = SegmentBank(clean, restored, resize(classes, image_size))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bank.json").unlink(missing_ok=True)
    save_file(dict(vars(bank)), folder / "bank.safetensors")
    (folder / "bank.json").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
    return bank


@torch.inference_mode()
def restore(vqgan: VQGAN, frames: Tensor, similar: Tensor, generator: torch.Generator) -> Tensor:
    """Frames (b, 3, H, W) uint8 through tokens and back, (b, 3, S, S) uint8 at the VQ-GAN's size;
    every other frame with some tokens changed to one of their `similar` codes."""
    device = vqgan.codebook.codes.device
    pixels = shrink(to_pixels(frames.to(device)), vqgan.config.image_size)
    tokens = vqgan.encode(pixels).cpu()
    share = torch.rand(len(tokens), 1, 1, generator=generator) * _MOST_CHANGED
    share[::2] = 0.0
    is_changed = torch.rand(tokens.shape, generator=generator) < share
    choice = torch.randint(similar.shape[1], tokens.shape, generator=generator)
    tokens = torch.where(is_changed, similar[tokens, choice], tokens)
    restored = vqgan.decode(tokens.to(device)).cpu()
    return to_levels(restored).contiguous()


def similar_codes(vqgan: VQGAN) -> Tensor:
    """The codes nearest to each code of the codebook, itself left out: (v, k) int64."""
    codes = vqgan.codebook.unit_codes().detach().cpu()
    likeness = codes @ codes.T
    likeness.fill_diagonal_(-2.0)
    return likeness.topk(min(_SIMILAR, len(codes) - 1), dim=1).indices


def _small(frames: Tensor, size: int) -> Tensor:
    return shrink(frames.float(), size).round().clamp(0, 255).to(torch.uint8)


def _read(folder: Path, settings: dict[str, Any]) -> SegmentBank | None:
    try:
        if json.loads((folder / "bank.json").read_text(encoding="utf-8")) != settings:
            return None
        return SegmentBank(**load_file(folder / "bank.safetensors"))
    except (OSError, ValueError, TypeError):
        return None
