"""What a picture shows, in words, where its user gave none.

A place is always named, since everything in this world is somewhere; somebody in it only where one caption
is likelier than all others together: 142 of 240 unseen first frames, and 137 of those were right. The dual
encoder reads, by comparing the picture with plain captions; a model without one is asked for the place by the
likelihood that the transformer itself gives to what is known.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nuwa_cli.compositing.fitting import plan_fit
from nuwa_cli.hub.model_dir import LoadedModel
from nuwa_cli.model.dual_encoder import DualEncoder
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.tasks.holes import known_outside
from nuwa_cli.tasks.inputs import Bytes, Mask
from nuwa_cli.tasks.layouts import likeliest_text
from nuwa_cli.tasks.plan import Plan, Unsaid
from nuwa_cli.tasks.toolkit import Toolkit

_SURE = 0.5  # share of the probability, of a caption with somebody in it that is told
_REMEMBERED = 32  # pictures


class Reader:
    """Puts pictures into words. The last ones are remembered: many seeds of a picture read it once."""

    def __init__(self, model: LoadedModel, toolkit: Toolkit) -> None:
        self._model = model
        self._toolkit = toolkit
        self._remembered: OrderedDict[tuple[str, str], Tensor | None] = OrderedDict()

    def told(self, plan: Plan) -> Plan:
        """The plan with a text: its own, or what its frames show outside their hole (`Plan.unsaid`)."""
        if plan.unsaid is None or plan.frames is None or bool(plan.text.any()):
            return plan
        picture = plan.frames[0]
        hole = np.zeros(picture.shape[:2], np.bool_) if plan.hole is None else plan.hole[0]
        text = self._read(plan.unsaid, picture, hole)
        return plan if text is None else replace(plan, text=text)

    def tokens(self, prompt: str, picture: Bytes, unsaid: Unsaid) -> Tensor:
        """Tokens (1, L) of a prompt, or of what a picture (H, W, 3) of any size shows if there is none."""
        text = None
        if not prompt:
            height, width = picture.shape[:2]
            fit = plan_fit(height, width, self._toolkit.vqgan.config.image_size, "crop")
            [square] = fit.frames(picture[None])
            text = self._read(unsaid, square, np.zeros(square.shape[:2], np.bool_))
        return self._toolkit.optional_prompt_tokens(prompt) if text is None else text

    def shows_place(self, text: Tensor, pixels: Tensor) -> float | None:
        """How likely it is, in nats, that pixels (1, 3, H, W) in [-1, 1] show the place that a text (1, L) names,
        rather than another; None for other texts, and for a model without a dual encoder."""
        places, encoder = self._toolkit.place_tokens(), self._model.reranker
        if places is None or encoder is None:
            return None
        named = (places == text.cpu()).all(dim=1).nonzero().flatten().tolist()
        return float(_likelihood(encoder, places, pixels)[named[0]].log()) if named else None

    def _read(self, unsaid: Unsaid, picture: Bytes, hole: Mask) -> Tensor | None:
        """Tokens (1, L) of what a picture (S, S, 3) shows outside its hole (S, S); None if not to be told."""
        if hole.all():
            return None
        shown = hashlib.sha256(picture.tobytes() + hole.tobytes()).hexdigest()
        key = unsaid, shown
        if key not in self._remembered:
            find = self._place if unsaid == "place" else self._scene
            self._remembered[key] = find(picture, hole)
            if len(self._remembered) > _REMEMBERED:
                self._remembered.popitem(last=False)
        self._remembered.move_to_end(key)
        return self._remembered[key]

    def _place(self, picture: Bytes, hole: Mask) -> Tensor | None:
        """The place; None if the model knows none by name."""
        places, encoder = self._toolkit.place_tokens(), self._model.reranker
        if places is None:
            return None
        if encoder is None:
            known = known_outside(picture[None], hole[None], self._toolkit)
            return likeliest_text(self._model.transformer, places, known)
        return places[int(_shares(encoder, places, picture, hole).argmax())][None]

    def _scene(self, picture: Bytes, hole: Mask) -> Tensor | None:
        """Somebody in a place; None where that is not sure."""
        scenes, encoder = self._toolkit.scene_tokens(), self._model.reranker
        if scenes is None or encoder is None:
            return None
        shares = _shares(encoder, scenes, picture, hole)
        return scenes[int(shares.argmax())][None] if float(shares.max()) >= _SURE else None


def _shares(encoder: DualEncoder, captions: Tensor, picture: Bytes, hole: Mask) -> Tensor:
    """How likely each of some captions (k, L) is that of a picture: (k,). Its hole has the mean color of
    the rest, so that what damaged it says nothing."""
    mean = picture[~hole].mean(axis=0).astype(np.uint8)
    shown = np.where(hole[..., None], mean, picture)
    return _likelihood(encoder, captions, to_pixels(torch.from_numpy(shown).permute(2, 0, 1)[None]))


@torch.inference_mode()
def _likelihood(encoder: DualEncoder, captions: Tensor, pixels: Tensor) -> Tensor:
    """The same for pixels (1, 3, H, W)."""
    device = next(encoder.parameters()).device
    return encoder(captions.to(device), pixels.to(device))[:, 0].softmax(dim=0).cpu()
