"""Refuse a model before torch is imported: the cheap half of loading it, in a tenth of a second.

Digests, headers and config are compared, and the sizes in the config with the numbers that the files
hold, so that a lying config never makes a giant net. `load_model` checks all of it again on the bytes
that it uses, and what only torch can tell besides: exact names and shapes, NaN.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nuwa_cli.config import NuwaConfig, VQGANConfig
from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.hub.catalog import find_model
from nuwa_cli.hub.header import TensorEntry, read_header
from nuwa_cli.hub.manifest import (
    RERANKER_NAME,
    SKETCH_NAME,
    TEXT_NAME,
    TOKENIZER_NAME,
    TRANSFORMER_NAME,
    Manifest,
    open_verified,
    read_manifest,
    read_verified,
)
from nuwa_cli.hub.model_config import read_config

LIBRARY_BYTES = 640 << 20
"""Address space that importing torch takes, with its CPU build; others take more."""

_COPIES = 3  # of the weights while they are loaded: bytes, tensors, net


def check_model(spec: str) -> Path:
    """The folder of a model, everything in it checked that needs no torch.

    Raises UsageError, InputError or EnvironmentFault as `find_model`, InputError naming the file that
    is damaged, EnvironmentFault when a limit of the process is too low for loading it.
    """
    folder = find_model(spec)
    manifest = read_manifest(folder)
    config = read_config(folder, manifest)
    read_verified(folder, TEXT_NAME, manifest)
    least = {
        TOKENIZER_NAME: _least_of_vqgan(config.tokenizer),
        TRANSFORMER_NAME: _least_of_transformer(config.transformer),
        RERANKER_NAME: 0,
    }
    if config.sketch_tokenizer is not None:
        least[SKETCH_NAME] = _least_of_vqgan(config.sketch_tokenizer)
    total = 0
    for name in sorted(manifest.files):
        if name in least:
            count = sum(entry.count for entry in _tensors(folder, name, manifest))
            total += manifest.files[name].size
            if count < least[name]:
                raise InputError(
                    f"model file '{folder / name}': has {count} numbers, its config asks for at "
                    f"least {least[name]}; fetch the model again"
                )
    check_address_space(LIBRARY_BYTES + _COPIES * total)
    return folder


def check_address_space(needed: int) -> None:
    """Raise EnvironmentFault where a limit of this process (`ulimit -v`) is below `needed` bytes:
    libraries that run out of it while they are loaded abort."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < needed:
        raise EnvironmentFault(
            f"memory: at least {needed / 2**30:.1f} GiB of address space are needed, this process "
            f"may have {limit / 2**30:.1f}; raise the limit (ulimit -v)"
        )


def _tensors(folder: Path, name: str, manifest: Manifest) -> list[TensorEntry]:
    with open_verified(folder, name, manifest) as file:
        return read_header(file, manifest.files[name].size, folder / name)


def _least_of_vqgan(config: VQGANConfig) -> int:
    """Numbers that a VQ-GAN of these sizes has at the very least: codes and pointwise layers."""
    blocks = zip(config.widths, config.depths, strict=True)
    return config.codebook_size * config.code_dim + 12 * sum(w * w * d for w, d in blocks)


def _least_of_transformer(config: NuwaConfig) -> int:
    """The same of the encoder-decoder: attention, feed-forward layers and tables."""
    layers = config.encoder_layers + config.decoder_layers
    rows = 2 * config.visual_vocab + config.sketch_vocab + config.text_vocab
    rows += config.max_text_len + config.max_frames + config.grid_height + config.grid_width
    return layers * config.dim**2 * (4 + 2 * config.mlp_ratio) + rows * config.dim
