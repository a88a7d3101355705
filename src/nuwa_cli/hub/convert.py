"""A model folder once more, its weights in another number format.

For programs that cannot read bfloat16, and for nets that were trained in float32. A transformer that is then
used in bfloat16 draws the same as before; the small nets always compute in float32.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from nuwa_cli.errors import InputError, OutputError
from nuwa_cli.hub.manifest import CARD_NAME, MANIFEST_NAME, TEXT_NAME, read_file
from nuwa_cli.hub.model_dir import load_model, save_model

_MAX_CARD = 1 << 20


def convert_model(source: Path, target: Path, dtype: torch.dtype, *, force: bool = False) -> str:
    """Write the model of a folder as the folder `target`, with weights of `dtype`; the new digest.

    Raises InputError for a model that is damaged, or whose numbers are too large for the format, OutputError
    when something stands in the way.
    """
    if target.exists() and (not target.is_dir() or target.samefile(source)):
        raise OutputError(f"output '{target}': is in the way; choose another folder")
    if target.exists() and any(target.iterdir()) and not force:
        raise OutputError(f"output '{target}': is not empty; give --force to replace its model")
    model = load_model(source)
    nets = {
        "tokenizer": model.tokenizer,
        "transformer": model.transformer,
        "sketch_tokenizer": model.sketch_tokenizer,
        "reranker": model.reranker,
    }
    for name, net in nets.items():
        if net is not None:
            _check_range(source, name, net, dtype)
    return save_model(
        target,
        config=model.config,
        tokenizer=model.tokenizer,
        transformer=model.transformer,
        text_json=source / TEXT_NAME,
        sketch_tokenizer=model.sketch_tokenizer,
        reranker=model.reranker,
        card=_card(source, model.digest, dtype),
        dtype=dtype,
    )


def _check_range(source: Path, name: str, net: nn.Module, dtype: torch.dtype) -> None:
    largest = torch.finfo(dtype).max
    for key, tensor in net.state_dict().items():
        if tensor.is_floating_point() and float(tensor.abs().amax()) > largest:
            raise InputError(
                f"model '{source}': {name} {key} holds numbers above {largest:g}, which {_name(dtype)} has not; "
                "choose another --dtype"
            )


def _card(source: Path, digest: str, dtype: torch.dtype) -> str:
    path = source / CARD_NAME
    card = f"# {source.name}\n"
    if path.is_file():  # it is in no manifest
        card = read_file(path, max_bytes=_MAX_CARD).decode("utf-8", "replace")
    return f"{card.rstrip()}\n\nWeights converted to {_name(dtype)} from the model {digest} ({MANIFEST_NAME}).\n"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
