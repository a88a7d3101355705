"""Every initial value of the transformer, in one place.

Weights are normal with standard deviation 0.02; the projections that write into the residual stream are
scaled down by √(2·layers), so that its variance does not grow with depth. The last layer of the
modulation and what sketch and canvas add to positions start at zero: at first, conditions act through
cross-attention only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from nuwa_cli.model.nuwa import Nuwa

_STD = 0.02
_WRITES_RESIDUAL = ("attention.out.weight", "cross.out.weight", "mlp.contract.weight")
_START_AT_ZERO = (
    "decoder.modulation.2.",
    "decoder.sketch.",
    "decoder.nearest.",
    "decoder.neighbors.attention.out.",
    "decoder.underlay.",
    "encoder.summary.",
)


def init_weights(model: Nuwa) -> None:
    """Fill every parameter of a new model."""
    for name, parameter in model.named_parameters():
        layers = len(model.encoder.blocks if name.startswith("encoder.") else model.decoder.blocks)
        if name.endswith("norm.weight"):
            nn.init.ones_(parameter)
        elif name.endswith(("bias", ".modulation")) or name.startswith(_START_AT_ZERO):
            nn.init.zeros_(parameter)
        elif name.endswith(_WRITES_RESIDUAL):
            nn.init.normal_(parameter, std=_STD / math.sqrt(2 * layers))
        else:
            nn.init.normal_(parameter, std=_STD)
