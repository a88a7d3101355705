"""Who answers the questions of the suite: the model under test, or a fake in its place.

An artist only draws; what its answers show is for the judges to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.infinity.geometry import Margins
from nuwa_cli.model.convnet import shrink
from nuwa_cli.ops.pixels import to_levels, to_pixels
from nuwa_cli.tasks.inputs import CompletionEngine

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline

Frames = NDArray[np.uint8]

_MARGIN_OF = {"up": "top", "down": "bottom"}


@dataclass(frozen=True)
class Extended:
    """A picture that was extended: the whole (H, W, 3), where the given one stands in it (top,
    left), between which columns and rows separately drawn patches meet (`Seam.at`), and how many pixels
    a token is wide."""

    picture: Frames
    origin: tuple[int, int]
    columns: tuple[int, ...]
    rows: tuple[int, ...]
    cell: int = 1


class Artist(Protocol):
    """Answers to prompts. Frames are uint8 (T, H, W, 3); a picture has T = 1."""

    @property
    def fingerprint(self) -> dict[str, Any]: ...

    def draw(self, kind: str, prompt: str, seed: int) -> Frames:
        """A picture or clip (`kind` "image" or "video") of a prompt."""
        ...

    def similarity(self, prompt: str, frames: Frames) -> float | None:
        """Mean similarity of text and frames; None if there is no dual encoder."""
        ...


class TaskArtist(Artist, Protocol):
    """Answers to more than prompts."""

    def draw_sketches(self, sketches: NDArray[np.uint8], prompt: str, seed: int) -> Frames:
        """A picture or clip of one or many class maps (T, H, W)."""
        ...

    def predict(self, picture: Frames, prompt: str, seed: int) -> Frames:
        """A clip that begins with the picture (H, W, 3)."""
        ...

    def edit(self, picture: Frames, region: NDArray[np.bool_], prompt: str, seed: int) -> Frames:
        """The picture (H, W, 3) of the same size with a region (H, W) repainted, (1, H, W, 3)."""
        ...

    def complete(
        self,
        picture: Frames,
        hole: NDArray[np.bool_],
        prompt: str,
        seed: int,
        engine: CompletionEngine,
    ) -> Frames:
        """The picture (H, W, 3) of the same size with its hole (H, W) filled by an engine,
        (1, H, W, 3)."""
        ...

    def extend(self, picture: Frames, direction: str, pixels: int, seed: int) -> Extended:
        """The picture (H, W, 3) with so many pixels more on one side ("right" …), without a
        prompt."""
        ...

    def lengthen(self, frames: Frames, num_frames: int, prompt: str, seed: int) -> Iterator[Frames]:
        """Every frame (H, W, 3) of a clip (T, H, W, 3) that goes on up to `num_frames`."""
        ...

    def restore(self, frames: Frames) -> Frames:
        """Frames as the tokens of the model keep them, at the model's size."""
        ...


class PipelineArtist:
    """The model under test."""

    def __init__(self, pipeline: NuwaPipeline, settings: EvaluationSettings) -> None:
        self.pipeline = pipeline
        self.settings = settings

    @property
    def fingerprint(self) -> dict[str, Any]:
        return {"model": self.pipeline.identity, "settings": asdict(self.settings)}

    def draw(self, kind: str, prompt: str, seed: int) -> Frames:
        make = self.pipeline.text_to_image if kind == "image" else self.pipeline.text_to_video
        return make(prompt, seed=seed, best_of=self.settings.best_of, **self._sampling).frames

    def draw_sketches(self, sketches: NDArray[np.uint8], prompt: str, seed: int) -> Frames:
        if len(sketches) == 1:
            drawn = self.pipeline.sketch_to_image(sketches[0], prompt, seed=seed, **self._sampling)
        else:
            drawn = self.pipeline.sketch_to_video(sketches, prompt, seed=seed, **self._sampling)
        return drawn.frames

    def predict(self, picture: Frames, prompt: str, seed: int) -> Frames:
        return self.pipeline.predict(picture, prompt, seed=seed, **self._sampling).frames

    def edit(self, picture: Frames, region: NDArray[np.bool_], prompt: str, seed: int) -> Frames:
        return self.pipeline.edit(picture, region, prompt, seed=seed, **self._sampling).frames

    def complete(
        self,
        picture: Frames,
        hole: NDArray[np.bool_],
        prompt: str,
        seed: int,
        engine: CompletionEngine,
    ) -> Frames:
        return self.pipeline.inpaint(
            picture, hole, prompt, engine=engine, seed=seed, **self._sampling
        ).frames

    def extend(self, picture: Frames, direction: str, pixels: int, seed: int) -> Extended:
        margins = Margins(**{_MARGIN_OF.get(direction, direction): pixels})
        extension = self.pipeline.start_extension(picture, margins, seed=seed, **self._sampling)
        whole = np.zeros((extension.height, extension.width, 3), dtype=np.uint8)
        for piece in extension.pieces():
            height, width = piece.pixels.shape[:2]
            whole[piece.top : piece.top + height, piece.left : piece.left + width] = piece.pixels
        columns, rows = extension.joints
        cell = self.pipeline.model.config.tokenizer.downsample_factor
        return Extended(whole, extension.origin, columns, rows, cell)

    def lengthen(self, frames: Frames, num_frames: int, prompt: str, seed: int) -> Iterator[Frames]:
        extension = self.pipeline.start_clip_extension(
            frames, num_frames=num_frames, prompt=prompt, seed=seed, **self._sampling
        )
        return iter(extension.frames())

    def similarity(self, prompt: str, frames: Frames) -> float | None:
        model = self.pipeline.model
        if model.reranker is None:
            return None
        device = next(model.reranker.parameters()).device
        tokens = model.text.encode_batch([prompt], model.reranker.config.max_text_len)
        pixels = to_pixels(frames_to_tensor(frames).to(device))
        return float(model.reranker.score(tokens.to(device), pixels).mean())

    @torch.inference_mode()
    def restore(self, frames: Frames) -> Frames:
        vqgan = self.pipeline.model.tokenizer
        pixels = to_pixels(frames_to_tensor(frames).to(self.pipeline.device))
        restored = vqgan.decode(vqgan.encode(shrink(pixels, vqgan.config.image_size)))
        return tensor_to_frames(to_levels(restored))

    @property
    def _sampling(self) -> dict[str, Any]:
        return self.settings.sampling


def frames_to_tensor(frames: Frames) -> Tensor:
    """(T, H, W, 3) → (T, 3, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)


def tensor_to_frames(frames: Tensor) -> Frames:
    """(T, 3, H, W) uint8 → (T, H, W, 3)."""
    return np.ascontiguousarray(frames.permute(0, 2, 3, 1).cpu().numpy())
