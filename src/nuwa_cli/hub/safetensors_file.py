"""Weights on disk: safetensors, checked by us before the library sees them.

The library accepts headers of 100 MB, millions of empty tensors, duplicate keys and NaN weights.
We do not: the header is bounded and parsed strictly, offsets must tile the file exactly, and every
value must be finite. What is read is compared name by name with the module that was built from the
config; a partially matching file is never used.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nuwa_cli.errors import InputError
from nuwa_cli.hub.manifest import parse_json

MAX_HEADER_BYTES = 16 << 20
MAX_TENSORS = 100_000
MAX_RANK = 8
MAX_NAME_BYTES = 512

_LENGTH_BYTES = 8
_ITEM_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}
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
    from safetensors.torch import load

    check_header(content, path)
    tensors: dict[str, Tensor] = load(content)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise _refused(path, f"tensor '{name[:80]}' holds NaN or infinity")
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


def check_header(content: bytes, path: Path) -> None:
    """Check structure and bounds of a safetensors file. Raises InputError naming the fault."""
    if len(content) < _LENGTH_BYTES:
        raise _refused(path, f"file is {len(content)} bytes, too short for safetensors")
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    if length > MAX_HEADER_BYTES:
        raise _refused(path, f"header of {length} bytes, at most {MAX_HEADER_BYTES} allowed")
    if _LENGTH_BYTES + length > len(content):
        raise _refused(
            path, f"file is {len(content)} bytes, header says at least {_LENGTH_BYTES + length}"
        )
    raw = content[_LENGTH_BYTES : _LENGTH_BYTES + length]
    if raw[:1] != b"{":
        raise _refused(path, "header does not begin with '{'")
    header = parse_json(raw, path)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _refused(path, "metadata must be texts")
    if len(header) > MAX_TENSORS:
        raise _refused(path, f"{len(header)} tensors, at most {MAX_TENSORS} allowed")
    spans = sorted(_span(name, entry, path) for name, entry in header.items())
    position = 0
    for begin, end, name in spans:
        if begin != position:
            raise _refused(path, f"tensor '{name[:80]}' leaves a hole or overlaps another")
        position = end
    if _LENGTH_BYTES + length + position != len(content):
        raise _refused(
            path,
            f"file is {len(content)} bytes, header says {_LENGTH_BYTES + length + position}",
        )


def _span(name: str, entry: Any, path: Path) -> tuple[int, int, str]:
    """(begin, end, name) of a tensor's bytes, after checking its entry."""
    if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        raise _refused(path, f"a tensor name of more than {MAX_NAME_BYTES} bytes")
    label = f"tensor '{name[:80]}'"
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _refused(path, f"{label} needs dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _ITEM_BYTES:
        raise _refused(path, f"{label} has an unknown type")
    if not _is_sizes(shape) or len(shape) > MAX_RANK:
        raise _refused(path, f"{label} has an impossible shape")
    if not _is_sizes(offsets) or len(offsets) != 2:
        raise _refused(path, f"{label} has impossible offsets")
    if offsets[1] - offsets[0] != math.prod(shape) * _ITEM_BYTES[dtype]:
        raise _refused(path, f"{label} has offsets that do not fit its shape")
    return offsets[0], offsets[1], name


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and 0 <= v < 1 << 48 for v in value)


def _fits(given: Tensor, wanted: Tensor) -> bool:
    if given.shape != wanted.shape:
        return False
    return given.dtype == wanted.dtype or (given.is_floating_point() and wanted.is_floating_point())


def _describe(tensor: Tensor) -> str:
    sizes = "x".join(str(size) for size in tensor.shape) or "scalar"
    return f"{sizes} {str(tensor.dtype).removeprefix('torch.')}"


def _refused(path: Path, why: str) -> InputError:
    return InputError(f"model file '{path}': {why}; fetch the model again")
