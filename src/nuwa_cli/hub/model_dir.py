"""A model on disk: one folder, strict to read, deterministic to write.

    config.json               what the nets are, and the defaults of a run
    text.json                 the text tokenizer
    tokenizer.safetensors     the VQ-GAN              ┐
    transformer.safetensors   the 3D encoder-decoder  │ bfloat16
    sketch.safetensors        the VQ-GAN-Seg          ├ (optional: sketch tasks)
    reranker.safetensors      the dual encoder        ┘ (optional: --best-of)
    manifest.json             size and sha256 of the above; written last
    README.md                 the model card

Reading order: manifest, digest of a file, header, config against weights. Nothing is parsed before
its digest was compared, nothing is mapped, and a model that does not match in every name, shape and
finite value is refused whole.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from nuwa_cli.errors import InputError
from nuwa_cli.hub.manifest import (
    CARD_NAME,
    CONFIG_NAME,
    MANIFEST_NAME,
    OPTIONAL_NAMES,
    RERANKER_NAME,
    SKETCH_NAME,
    TEXT_NAME,
    TOKENIZER_NAME,
    TRANSFORMER_NAME,
    Manifest,
    manifest_bytes,
    read_manifest,
    read_verified,
)
from nuwa_cli.hub.model_config import ModelConfig, read_config
from nuwa_cli.hub.safetensors_file import check_fit, tensors_from_bytes, tensors_to_bytes
from nuwa_cli.hub.unfilled import build_unfilled
from nuwa_cli.media.atomic import write_bytes
from nuwa_cli.model.dual_encoder import DualEncoder
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.nearby import Backend
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg

__all__ = ["LoadedModel", "ModelConfig", "load_model", "read_config", "save_model"]

_Net = TypeVar("_Net", bound=nn.Module)


@dataclass(frozen=True)
class LoadedModel:
    """Everything of a model folder, in memory, in evaluation mode."""

    config: ModelConfig
    digest: str
    text: TextTokenizer
    tokenizer: VQGAN
    transformer: Nuwa
    sketch_tokenizer: VQGANSeg | None
    reranker: DualEncoder | None


def load_model(
    folder: Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: Backend = "auto",
) -> LoadedModel:
    """Load a model folder; `dtype` and `attention` (the back end of 3DNA) are those of the
    transformer, the small nets stay float32.

    Raises InputError naming the file and what is wrong with it.
    """
    manifest = read_manifest(folder)
    config = read_config(folder, manifest)
    read_verified(folder, TEXT_NAME, manifest)
    text = TextTokenizer.load(folder / TEXT_NAME)
    if text.vocab_size > config.transformer.text_vocab:
        raise InputError(
            f"model '{folder}': text.json has {text.vocab_size} tokens, the transformer "
            f"{config.transformer.text_vocab}; fetch the model again"
        )
    files = _WeightFiles(folder, manifest, torch.device(device))
    tokenizer = files.load(TOKENIZER_NAME, lambda: VQGAN(config.tokenizer), torch.float32)

    def build_transformer() -> Nuwa:
        return Nuwa(config.transformer, backend=attention)

    transformer = files.load(TRANSFORMER_NAME, build_transformer, dtype)
    sketch_tokenizer, sketch_config = None, config.sketch_tokenizer
    if SKETCH_NAME in manifest.files and sketch_config is not None:
        sketch_tokenizer = files.load(SKETCH_NAME, lambda: VQGANSeg(sketch_config), torch.float32)
    reranker, reranker_config = None, config.reranker
    if RERANKER_NAME in manifest.files and reranker_config is not None:
        reranker = files.load(RERANKER_NAME, lambda: DualEncoder(reranker_config), torch.float32)
    return LoadedModel(
        config, manifest.digest, text, tokenizer, transformer, sketch_tokenizer, reranker
    )


def save_model(
    folder: Path,
    *,
    config: ModelConfig | dict[str, Any],
    tokenizer: nn.Module,
    transformer: nn.Module,
    text_json: Path | str,
    sketch_tokenizer: nn.Module | None = None,
    reranker: nn.Module | None = None,
    card: str,
    dtype: torch.dtype = torch.bfloat16,
) -> str:
    """Write (or replace) a model folder and return its digest.

    `text_json` is the tokenizer's JSON, as a path or as the text itself; weights are stored as `dtype`.
    Every file is replaced atomically and the manifest comes last: a reader never sees a mixture that verifies.
    Raises InputError when the config is wrong, OutputError when a file cannot be written.
    """
    if isinstance(config, dict):
        config = ModelConfig.from_dict(config)
    text = text_json.read_text(encoding="utf-8") if isinstance(text_json, Path) else text_json
    document = json.dumps(config.to_dict(), indent=2, ensure_ascii=False) + "\n"
    contents = {
        CONFIG_NAME: document.encode(),
        TEXT_NAME: text.encode(),
        TOKENIZER_NAME: tensors_to_bytes(tokenizer, dtype),
        TRANSFORMER_NAME: tensors_to_bytes(transformer, dtype),
    }
    for name, net in ((SKETCH_NAME, sketch_tokenizer), (RERANKER_NAME, reranker)):
        if net is not None:
            contents[name] = tensors_to_bytes(net, dtype)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_bytes(folder / name, content, force=True)
    write_bytes(folder / CARD_NAME, card.encode(), force=True)
    manifest = manifest_bytes(contents)
    write_bytes(folder / MANIFEST_NAME, manifest, force=True)
    for name in set(OPTIONAL_NAMES) - set(contents):
        (folder / name).unlink(missing_ok=True)
    return read_manifest(folder).digest


@dataclass(frozen=True)
class _WeightFiles:
    """Builds the nets of one folder."""

    folder: Path
    manifest: Manifest
    device: torch.device

    def load(self, name: str, build: Callable[[], _Net], dtype: torch.dtype) -> _Net:
        """Build a net, compare it with the file, fill it; never half filled."""
        path = self.folder / name
        tensors = tensors_from_bytes(read_verified(self.folder, name, self.manifest), path)
        try:
            module = build_unfilled(build)
        except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).splitlines()[0][:80]
            raise InputError(
                f"model '{self.folder}': no net can be built from its config ({reason}); "
                "fetch the model again"
            ) from error
        check_fit(module, tensors, path)
        module.load_state_dict(tensors, strict=True, assign=True)
        return module.to(device=self.device, dtype=dtype).eval().requires_grad_(False)
