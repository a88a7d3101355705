"""The parts of a model that a planner works with: text, pictures and sketches to tokens.

A planner never sees the transformer: it says what is known, `run.py` finds the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nuwa_cli.config import NuwaConfig
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.pixels import to_pixels
from nuwa_cli.storybook.captions import subject_captions, view_captions
from nuwa_cli.tasks.inputs import Bytes, Mask
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg

_FRAMES_AT_ONCE = 8  # bounds the memory of a long clip


@dataclass(frozen=True)
class Toolkit:
    """Tokenizers of one model, and the shape of its grid."""

    text: TextTokenizer
    vqgan: VQGAN
    vqgan_seg: VQGANSeg | None
    config: NuwaConfig

    def grid(self, num_frames: int = 1) -> GridShape:
        """The token grid of a picture, or of a clip of `num_frames`."""
        return GridShape(num_frames, self.config.grid_height, self.config.grid_width)

    def prompt_tokens(self, prompt: str) -> Tensor:
        """Tokens (1, L) of a prompt that must say something. Raises UsageError."""
        return self.text.encode_batch([check_prompt(prompt)], self.config.max_text_len)

    def optional_prompt_tokens(self, prompt: str) -> Tensor:
        """The same, or all zeros ("None", the paper's word) for an empty prompt."""
        if prompt:
            return self.prompt_tokens(prompt)
        return self.text.encode_batch([""], self.config.max_text_len)

    def place_tokens(self) -> Tensor | None:
        """Tokens int64 (k, L) of places that the model knows by name; None if there are none."""
        return self._known(view_captions())

    def scene_tokens(self) -> Tensor | None:
        """The same of scenes with somebody in them."""
        return self._known(subject_captions())

    def _known(self, captions: tuple[str, ...]) -> Tensor | None:
        known = [text for text in captions if not self.text.unknown_words(text)]
        return self.text.encode_batch(known, self.config.max_text_len) if known else None

    def picture_tokens(self, frames: Bytes, hole: Mask | None = None) -> Tensor:
        """Tokens int64 (1, T, h, w) of frames uint8 (T, S, S, 3), on the CPU. With a hole (T, S, S), what
        it holds changes no token of a cell that it does not touch.

        Raises UsageError for frames that are not of the model's size.
        """
        self._check_size(frames.shape, "picture")
        pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
        device = self.vqgan.decoder.refine.weight.device
        parts = []
        for start in range(0, len(pixels), _FRAMES_AT_ONCE):
            some = slice(start, start + _FRAMES_AT_ONCE)
            damage = None if hole is None else torch.from_numpy(hole[some])[:, None].to(device)
            part = to_pixels(pixels[some].to(device))
            parts.append(self.vqgan.encode(part, damage).cpu())
        return torch.cat(parts)[None]

    def sketch_tokens(self, classes: Bytes) -> Tensor:
        """Tokens int64 (1, T, h', w') of class maps uint8 (T, S, S), on the CPU.

        Raises InputError when the model reads no sketches.
        """
        if self.vqgan_seg is None:
            raise InputError(
                "model: has no sketch tokenizer and cannot read sketches; choose another --model"
            )
        device = self.vqgan_seg.decoder.refine.weight.device
        parts = [
            self.vqgan_seg.encode_classes(part.to(device)).cpu()
            for part in torch.split(torch.from_numpy(classes), _FRAMES_AT_ONCE)
        ]
        return torch.cat(parts)[None]

    def _check_size(self, shape: tuple[int, ...], what: str) -> None:
        size = self.vqgan.config.image_size
        if shape[1:3] != (size, size):
            raise UsageError(
                f"{what} of {shape[2]}x{shape[1]} pixels: the model draws {size}x{size}; fit it"
            )
