"""Devices and number formats: from what the user wrote to what torch has, checked first.

torch is imported on use only, so that the command line can read this module for free.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nuwa_cli.errors import UsageError

if TYPE_CHECKING:
    import torch


def pick_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the first CUDA device, or the CPU without one.

    Raises UsageError listing what is there.
    """
    import torch

    available = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if name == "auto":
        return torch.device(available[1] if len(available) > 1 else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    known = device is not None and (
        str(device) in available or (name == "cuda" and len(available) > 1)
    )
    if device is None or not known:
        raise UsageError(f"device '{name}': not found; available: auto, {', '.join(available)}")
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """The number format called `name`; `auto` is bfloat16 where the device multiplies in it, and
    float32 elsewhere. Raises UsageError."""
    import torch

    if name != "auto":
        if name not in ("float32", "bfloat16", "float16"):
            raise UsageError(f"dtype '{name}': unknown; use auto, float32, bfloat16 or float16")
        dtype: torch.dtype = getattr(torch, name)
        return dtype
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return torch.bfloat16 if fast else torch.float32
