"""Build a net whose weights are about to be replaced, without drawing initial values for them.

Drawing them takes longer than reading the real ones. While a net is built here, initialisers do
nothing and random tensors are left as the memory gives them; untouched memory costs nothing, so
even a config that lies about its sizes is found out by comparing shapes before anything is filled.
(torch's own way, the meta device, imports eight hundred modules for the same answer.)

Invariant: every value of the net is in its state, so that loading a state fills all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

_Net = TypeVar("_Net", bound=nn.Module)

_IN_PLACE = {
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.Tensor.zero_,
    torch.Tensor.fill_,
    torch.Tensor.copy_,
}
_RANDOM = {torch.randn, torch.rand}


def build_unfilled(build: Callable[[], _Net]) -> _Net:
    """Call `build` with initialisation switched off; load a whole state into the result."""
    with _NoInitialValues():
        module = build()
    state = module.state_dict()
    outside = [name for name, _ in module.named_buffers() if name not in state]
    assert not outside, f"buffers outside of the state would stay unfilled: {outside}"
    return module


class _NoInitialValues(TorchFunctionMode):
    """Initialisers return their tensor as it is; random factories return uninitialised memory."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM:
            return torch.empty(*args, **kwargs)
        if func in _IN_PLACE or getattr(func, "__module__", None) == "torch.nn.init":
            return kwargs["tensor"] if "tensor" in kwargs else args[0]
        return func(*args, **kwargs)
