"""How a file that was made again differs from the first: its bytes, its pixels, its tokens, its recipe.

Bytes decide. The rest explains: the share of equal tokens says whether the model drew the same, decibels
how far apart it looks, and the entries of the recipe what was changed or made elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuwa_cli.media.metadata import Recipe

_BLOCK = 1 << 20
_MOST_NAMED = 4


@dataclass(frozen=True)
class Comparison:
    """What was found; `psnr` is in dB, infinite for equal pixels, None where sizes differ."""

    is_identical: bool
    psnr: float | None = math.inf
    tokens_equal: float | None = None  # share, None where a grid is missing or has another shape
    entries: tuple[str, ...] = ()  # of the recipe, that differ

    def describe(self) -> str:
        """The difference in words, for one line."""
        parts = [_decibels(self.psnr)]
        if self.tokens_equal is not None:
            parts.append(f"{_percent(self.tokens_equal)} of tokens equal")
        if self.entries:
            more = len(self.entries) - _MOST_NAMED
            names = ", ".join(self.entries[:_MOST_NAMED]) + (
                f" and {more} more" if more > 0 else ""
            )
            parts.append(f"recipe differs in {names}")
        return ", ".join(parts)

    def facts(self) -> dict[str, Any]:
        """The same as JSON."""
        is_equal = self.psnr == math.inf
        return {
            "pixels_identical": is_equal,
            "psnr_db": None if is_equal or self.psnr is None else round(self.psnr, 2),
            "tokens_equal": self.tokens_equal,
            "recipe_differs": list(self.entries),
        }


def compare(
    first: Sequence[Path], second: Sequence[Path], recipes: tuple[Recipe, Recipe | None]
) -> Comparison:
    """Compare two outputs file by file: one file each, or the frames of a sequence."""
    if len(first) == len(second) and all(map(_same_bytes, first, second)):
        return Comparison(is_identical=True, tokens_equal=_tokens_equal(*recipes))

    from nuwa_cli.media.compare import psnr

    levels: list[float | None] = [None]
    if len(first) == len(second):
        levels = [psnr(one, other) for one, other in zip(first, second, strict=True)]
    return Comparison(
        is_identical=False,
        psnr=_mean_psnr(levels),
        tokens_equal=_tokens_equal(*recipes),
        entries=_different(*recipes),
    )


def _same_bytes(first: Path, second: Path) -> bool:
    with first.open("rb") as one, second.open("rb") as other:
        while True:
            block = one.read(_BLOCK)
            if block != other.read(_BLOCK):
                return False
            if not block:
                return True


def _mean_psnr(levels: Sequence[float | None]) -> float | None:
    """PSNR of all frames together, from that of each; all frames have one size."""
    errors = []
    for level in levels:
        if level is None:
            return None
        errors.append(10 ** (-level / 10))
    mean = sum(errors) / len(errors)
    return -10 * math.log10(mean) if mean else math.inf


def _tokens_equal(first: Recipe, second: Recipe | None) -> float | None:
    from nuwa_cli.media.token_chunk import agreement, unpack_tokens

    grids = [unpack_tokens((recipe or {}).get("tokens")) for recipe in (first, second)]
    return agreement(*grids)


def _different(first: Recipe, second: Recipe | None) -> tuple[str, ...]:
    second = second or {}
    names = (set(first) | set(second)) - {"tokens"}  # a share of equal ones says more
    return tuple(sorted(name for name in names if first.get(name) != second.get(name)))


def _decibels(level: float | None) -> str:
    if level is None:
        return "another size or length"
    return "the same pixels" if level == math.inf else f"{level:.1f} dB"


def _percent(share: float) -> str:
    if share == 1:
        return "all"
    return f"{min(100 * share, 99.9):.1f} %"  # never 100 % of what is not all
