"""`config.json` of a model folder: what its nets are, and the defaults of a run.

The file may come from anybody, so every number is bounded before a net is built from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nuwa_cli.config import (
    FORMAT_VERSION,
    DualEncoderConfig,
    NuwaConfig,
    SamplingConfig,
    VQGANConfig,
)
from nuwa_cli.errors import InputError
from nuwa_cli.hub.manifest import (
    CONFIG_NAME,
    TEXT_NAME,
    Manifest,
    parse_json,
    read_manifest,
    read_verified,
)

_MAX_SIZE = 1 << 20  # widths, vocabularies, picture sizes: beyond this a config is damaged
_MAX_LAYERS = 512
_MAX_FRAMES = 10_000
_OPTIONAL_NETS = ("sketch_tokenizer", "reranker")
_FRACTIONS = ("commitment_beta",)  # every other number of a net's config is a count
_SWITCHES = ("intact_skips",)


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """`config.json`: the nets, the length of a clip, and the defaults of a run."""

    name: str
    tokenizer: VQGANConfig
    transformer: NuwaConfig
    sketch_tokenizer: VQGANConfig | None = None
    reranker: DualEncoderConfig | None = None
    num_frames: int
    fps: float
    defaults: SamplingConfig
    best_of: int = 1

    def require_sketches(self) -> None:
        """Raise InputError, naming the model, unless it reads sketches."""
        if self.sketch_tokenizer is None:
            raise InputError(
                f"model '{self.name}': reads no sketches, it has no sketch tokenizer; "
                "choose another --model"
            )

    def to_dict(self) -> dict[str, Any]:
        document = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "text_file": TEXT_NAME,
            "tokenizer": self.tokenizer.to_dict(),
            "transformer": self.transformer.to_dict(),
            "num_frames": self.num_frames,
            "fps": self.fps,
            "defaults": self.defaults.to_dict(),
            "best_of": self.best_of,
        }
        if self.sketch_tokenizer is not None:
            document["sketch_tokenizer"] = self.sketch_tokenizer.to_dict()
        if self.reranker is not None:
            document["reranker"] = self.reranker.to_dict()
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Self:
        """Build from the JSON document. Raises InputError for an unknown version, unknown or
        missing keys, and values that no model of ours can have."""
        version = document.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"model config: format version {version!r}, this nuwa reads {FORMAT_VERSION}; "
                "update nuwa or choose another model"
            )
        keys = {"format_version", "name", "text_file", "tokenizer", "transformer", "num_frames"}
        keys |= {"fps", "defaults", "best_of"}
        unknown, missing = set(document) - keys - set(_OPTIONAL_NETS), keys - set(document)
        if unknown or missing:
            raise InputError(
                f"model config: unknown keys {sorted(unknown)}, missing keys {sorted(missing)}; "
                "the file was written by another version of nuwa"
            )
        _check_values(document)
        reranker, sketch = (document.get(name) for name in ("reranker", "sketch_tokenizer"))
        try:
            config = cls(
                name=document["name"],
                tokenizer=VQGANConfig.from_dict(document["tokenizer"]),
                transformer=NuwaConfig.from_dict(document["transformer"]),
                sketch_tokenizer=None if sketch is None else VQGANConfig.from_dict(sketch),
                reranker=None if reranker is None else DualEncoderConfig.from_dict(reranker),
                num_frames=document["num_frames"],
                fps=document["fps"],
                defaults=SamplingConfig.from_dict(document["defaults"]),
                best_of=document["best_of"],
            )
        except ZeroDivisionError as error:  # a size of 0 where another must be a multiple of it
            raise InputError("model config: a size is 0; fetch the model again") from error
        side, transformer = config.tokenizer.grid_size, config.transformer
        if (transformer.grid_height, transformer.grid_width) != (side, side):
            raise InputError(
                f"model config: the tokenizer has {side}x{side} tokens, the transformer "
                f"{transformer.grid_height}x{transformer.grid_width}; fetch the model again"
            )
        return config


def read_config(folder: Path, manifest: Manifest | None = None) -> ModelConfig:
    """The checked config of a model folder, without its weights. Raises InputError."""
    manifest = manifest or read_manifest(folder)
    content = read_verified(folder, CONFIG_NAME, manifest)
    return ModelConfig.from_dict(parse_json(content, folder / CONFIG_NAME))


def _check_values(document: dict[str, Any]) -> None:
    """Bounds that keep a damaged config from building a giant net."""
    name, fps, frames = document["name"], document["fps"], document["num_frames"]
    problem = ""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 100:
        problem = "name is no short text"
    elif document["text_file"] != TEXT_NAME:
        problem = f"text_file is not '{TEXT_NAME}'"
    elif type(frames) is not int or not 1 <= frames <= _MAX_FRAMES:
        problem = "num_frames is out of range"
    elif isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps <= 240:
        problem = "fps is out of range"
    elif type(document["best_of"]) is not int or not 1 <= document["best_of"] <= 1000:
        problem = "best_of is out of range"
    for part in ("tokenizer", "transformer", *_OPTIONAL_NETS, "defaults"):
        values = document.get(part, {})
        if not isinstance(values, dict):
            problem = f"{part} is no object"
        elif part != "defaults":
            problem = problem or _size_problem(part, values)
    if problem:
        raise InputError(f"model config: {problem}; fetch the model again")


def _size_problem(part: str, values: dict[str, Any]) -> str:
    for key, value in values.items():
        if key in _SWITCHES:
            if not isinstance(value, bool):
                return f"{part}.{key} is neither true nor false"
            continue
        most = _MAX_LAYERS if "layers" in key or key == "depths" else _MAX_SIZE
        for number in value if isinstance(value, (list, tuple)) else [value]:
            kind = (int, float) if key in _FRACTIONS else int
            if isinstance(number, bool) or not isinstance(number, kind):
                return f"{part}.{key} is no number of the right kind"
            if not 0 <= number <= most:
                return f"{part}.{key} is {number}, at most {most} expected"
    return ""
