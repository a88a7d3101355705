"""Random numbers that belong to (seed, position), not to a stream.

A counter-based generator: the number of a position is a hash of the seed and of its raster index, so
order, batch size, wave width and device change nothing. The hash is the finalizer of SplitMix64, applied
to the counter and mixed with the hashed seed, in 64-bit integer arithmetic that wraps.
"""

from __future__ import annotations

import torch
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_BITS = 48  # of the result; the largest number times a mass then stays below that mass


def uniforms(seed: int, positions: Tensor) -> Tensor:
    """Numbers in [0, 1) for raster positions int64 (n,): float64 (n,)."""
    start = _mix(torch.tensor([_signed(seed)], device=positions.device))
    mixed = _mix(start + (positions + 1) * _signed(_GOLDEN))
    bits = (mixed >> (64 - _BITS)) & ((1 << _BITS) - 1)
    return bits.double() / (1 << _BITS)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _signed(_MIX[0])
    x = (x ^ _shift(x, 27)) * _signed(_MIX[1])
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    # int64 shifts keep the sign; the mask makes the shift logical
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value
