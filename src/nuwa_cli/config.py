"""Frozen, validated settings of the two networks and of sampling.

What the user gives (`SamplingConfig`), what a model is (`VQGANConfig`, `NuwaConfig`) and what a
run is doing (training state) are three separate types. Configs are plain data: they go to JSON
and back through `to_dict` / `from_dict`, which refuse unknown and missing keys by name.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from nuwa_cli.errors import InputError, UsageError

FORMAT_VERSION = 1
"""Version of the model folder layout and of these configs; a reader refuses a newer one."""


class _Config:
    """JSON round trip shared by every config."""

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from plain JSON values. Raises InputError naming unknown or missing keys."""
        fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - set(fields))
        missing = sorted(
            name
            for name, field in fields.items()
            if name not in values
            and field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
        )
        if unknown or missing:
            raise InputError(
                f"{cls.__name__}: unknown keys {unknown}, missing keys {missing}; "
                "the file was written by another version of nuwa"
            )
        tuples = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        try:
            return cls(**tuples)
        except (TypeError, UsageError) as error:
            raise InputError(f"{cls.__name__}: {error}; the file is damaged") from error


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UsageError(message)


@dataclass(frozen=True, kw_only=True)
class VQGANConfig(_Config):
    """The VQ-GAN of one kind of picture (RGB, or one-hot class maps), applied frame by frame.

    The network never computes at full pixel resolution: a space-to-depth stem divides it by
    `stem_factor`, every later stage halves it, so that `stem_factor * 2**(len(widths) - 1)` is the
    `downsample_factor`.
    """

    in_channels: int = 3  # 3 for RGB, the number of classes for a class map
    image_size: int  # pixels, height = width
    stem_factor: int = 8  # space-to-depth of the first layer
    widths: tuple[int, ...] = (128, 256)  # channels of each stage, finest first
    depths: tuple[int, ...] = (2, 3)  # residual blocks of each stage
    codebook_size: int = 2048
    code_dim: int = 16
    commitment_beta: float = 0.25
    intact_skips: bool = False  # the decoder can look at features of intact cells (NÜWA-LIP)

    def __post_init__(self) -> None:
        _require(len(self.widths) == len(self.depths), "widths and depths differ in length")
        _require(
            self.image_size % self.downsample_factor == 0,
            f"image_size {self.image_size} is not a multiple of {self.downsample_factor}",
        )

    @property
    def downsample_factor(self) -> int:
        """Pixels per token along one axis (the f of "f16")."""
        return self.stem_factor * int(2 ** (len(self.widths) - 1))

    @property
    def grid_size(self) -> int:
        """Tokens along one axis of a picture."""
        return self.image_size // self.downsample_factor


@dataclass(frozen=True, kw_only=True)
class NuwaConfig(_Config):
    """The 3D encoder-decoder.

    Extents are *full odd window widths* (frames, rows, columns), as in the paper's 3 x 3 x 3: the
    window reaches `(extent - 1) // 2` cells to each side of the position being predicted and is
    clipped at borders.
    """

    dim: int
    num_heads: int
    encoder_layers: int
    decoder_layers: int
    mlp_ratio: int = 4
    visual_vocab: int  # codes of the VQ-GAN
    sketch_vocab: int  # codes of the VQ-GAN-Seg
    text_vocab: int  # rows of the text table
    max_text_len: int = 77
    clip_frames: int = 10  # frames of a training clip: what a layout is planned for
    max_frames: int = 16  # rows of the time table; later frames share its last row
    grid_height: int
    grid_width: int
    extent: tuple[int, int, int] = (3, 3, 3)  # decoder self-attention
    condition_extent: tuple[int, int, int] = (3, 3, 3)  # encoder, and decoder to condition grid

    def __post_init__(self) -> None:
        _require(self.dim % self.num_heads == 0, f"dim {self.dim} / num_heads {self.num_heads}")
        for name in ("extent", "condition_extent"):
            extent = getattr(self, name)
            _require(
                len(extent) == 3 and all(size > 0 and size % 2 == 1 for size in extent),
                f"{name} {extent}: three positive odd window widths (frames, rows, columns)",
            )

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads


@dataclass(frozen=True, kw_only=True)
class DualEncoderConfig(_Config):
    """The dual encoder that re-ranks candidates: its two towers; about 1.4 M parameters as given."""

    text_vocab: int
    max_text_len: int = 77
    text_dim: int = 128
    text_layers: int = 2
    num_heads: int = 4
    joint_dim: int = 128
    image_size: int = 96  # pictures are shrunk to this square
    widths: tuple[int, ...] = (40, 80, 112)
    depths: tuple[int, ...] = (2, 2, 2)

    def __post_init__(self) -> None:
        _require(len(self.widths) == len(self.depths), "widths and depths differ in length")
        _require(
            self.text_dim % self.num_heads == 0,
            f"text_dim {self.text_dim} / num_heads {self.num_heads}",
        )


@dataclass(frozen=True, kw_only=True)
class SamplingConfig(_Config):
    """How tokens are drawn. `top_k=0` and `top_p=1.0` switch the filters off."""

    seed: int = 0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance_scale: float = 1.0  # 1.0 = off; logits = uncond + scale * (cond - uncond)
    persistence: float = 0.0  # nats for the token of the frame before (sampling.persistence)
    place_temperature: float | None = None  # of extensions where nobody is; None: the same

    def __post_init__(self) -> None:
        _require(0 <= self.seed < 2**63, f"seed {self.seed}: give 0 … 2^63-1")
        for heat in (self.temperature, self.place_temperature or 0.0):
            _require(0.0 <= heat <= 10.0, f"temperature {heat}: give 0 … 10")
        _require(self.top_k >= 0, f"top-k {self.top_k}: give 0 (off) or more")
        _require(0.0 < self.top_p <= 1.0, f"top-p {self.top_p}: give a mass in (0, 1]")
        _require(0.0 <= self.guidance_scale <= 50.0, f"guidance {self.guidance_scale}: give 0 … 50")
        _require(0.0 <= self.persistence <= 50.0, f"persistence {self.persistence}: give 0 … 50")

    def of_place(self) -> Self:
        """The settings for what shows a place alone: it stays plain at the temperature that a subject
        needs to keep its shape."""
        if self.place_temperature is None:
            return self
        return dataclasses.replace(self, temperature=self.place_temperature)
