"""What a picture without words shows, in words: the dual encoder compares it with plain captions.

A place is always named, since everything in this world is somewhere; somebody in it only where one caption
is likelier than all others together: 142 of 240 unseen first frames, and 137 of those were right.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nuwa_cli.model.dual_encoder import DualEncoder
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.tasks.inputs import Bytes
from nuwa_cli.tasks.toolkit import Toolkit

_SURE = 0.5  # share of the probability, of a caption that is told


def read_place(encoder: DualEncoder, views: Tensor, picture: Bytes) -> Tensor:
    """Of the captions `views` (k, L) of places the one (1, L) whose place a picture uint8 (S, S, 3) shows a
    part of."""
    return views[int(_shares(encoder, views, picture).argmax())][None]


def read_scene(encoder: DualEncoder, toolkit: Toolkit, picture: Bytes) -> Tensor | None:
    """Tokens (1, L) of somebody in a place; None where that is not sure."""
    scenes = toolkit.scene_tokens()
    if scenes is None:
        return None
    shares = _shares(encoder, scenes, picture)
    return scenes[int(shares.argmax())][None] if float(shares.max()) >= _SURE else None


@torch.inference_mode()
def _shares(encoder: DualEncoder, captions: Tensor, picture: Bytes) -> Tensor:
    """How likely each of some captions (k, L) is that of a picture uint8 (S, S, 3): (k,)."""
    device = next(encoder.parameters()).device
    pixels = to_pixels(torch.from_numpy(picture).permute(2, 0, 1)[None].to(device))
    return encoder(captions.to(device), pixels)[:, 0].softmax(dim=0).cpu()
