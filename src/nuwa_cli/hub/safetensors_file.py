"""Weights on disk: safetensors, checked by us before the library sees them.

The library accepts headers of 100 MB, millions of empty tensors, duplicate keys and NaN weights.
We do not: `header.py` bounds and parses the header strictly, and every value must be finite. What is
read is compared name by name with the module that was built from the config; a partially matching
file is never used.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nuwa_cli.errors import InputError
from nuwa_cli.hub.header import check_header, refused

_SHOWN = 3  # names in a message


def tensors_to_bytes(module: nn.Module, dtype: torch.dtype = torch.bfloat16) -> bytes:
    """State of a module as safetensors; floating-point tensors are stored as `dtype`.

    Equal weights give equal bytes: the library orders tensors by type and name.
    """
    from safetensors.torch import save

    state = {}
    for name, tensor in module.state_dict().items():
        tensor = tensor.detach().cpu()
        state[name] = (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous()
    content: bytes = save(state)
    return content


def tensors_from_bytes(content: bytes, path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file given as bytes. Raises InputError (`path` names the file)."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    check_header(content, path)
    try:
        tensors: dict[str, Tensor] = load(content)
    except SafetensorError as error:  # it is stricter than we are somewhere
        reason = str(error).splitlines()[0][:80]
        raise refused(path, f"cannot be read ({reason})") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise refused(path, f"tensor '{name[:80]}' holds NaN or infinity")
    return tensors


def check_fit(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Compare tensors with a module: names and shapes must match exactly, floats stay floats.

    Raises InputError listing what differs, with the first few names.
    """
    expected = module.state_dict()
    missing = [name for name in expected if name not in tensors]
    unexpected = [name for name in tensors if name not in expected]
    differing = [
        f"{name}: {_describe(tensors[name])}, want {_describe(expected[name])}"
        for name in expected
        if name in tensors and not _fits(tensors[name], expected[name])
    ]
    problems = [
        f"{len(names)} {kind} ({', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''})"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape or type", differing),
        )
        if names
    ]
    if problems:
        raise InputError(
            f"model file '{path}': does not fit its config: {', '.join(problems)}; "
            "fetch the model again"
        )


def _fits(given: Tensor, wanted: Tensor) -> bool:
    if given.shape != wanted.shape:
        return False
    return given.dtype == wanted.dtype or (given.is_floating_point() and wanted.is_floating_point())


def _describe(tensor: Tensor) -> str:
    sizes = "x".join(str(size) for size in tensor.shape) or "scalar"
    return f"{sizes} {str(tensor.dtype).removeprefix('torch.')}"
