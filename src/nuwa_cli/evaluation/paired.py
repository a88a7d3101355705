"""Two ways of doing the same thing, compared on the same samples: differences with intervals.

Both ways answer the same questions with the same seeds, so what varies between questions cancels in
the difference. Intervals are percentiles of a bootstrap over questions (Efron 1979): 95 %.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuwa_cli.evaluation.frechet import frechet_between

Features = NDArray[np.floating[Any]]

_RESAMPLES = 2000
_FRECHET_RESAMPLES = 200  # each takes milliseconds
_TAILS = (2.5, 97.5)  # percent


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of some values."""
    array = np.array(values)
    low, high = np.percentile(array[_resamples(len(array), _RESAMPLES)].mean(axis=1), _TAILS)
    return float(low), float(high)


def paired_difference(
    before: Sequence[float | None], after: Sequence[float | None]
) -> dict[str, Any] | None:
    """How much greater `after` is than `before`, over the questions that both have a figure for:
    `mean`, its interval `low` … `high`, and `pairs`, their number. None for fewer than two pairs."""
    both = [b - a for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    if len(both) < 2:
        return None
    values = np.array(both)
    return _told(values.mean(), values[_resamples(len(both), _RESAMPLES)].mean(axis=1), len(both))


def frechet_difference(before: Features, after: Features, reference: Features) -> dict[str, Any]:
    """How much farther `after` lies from the reference than `before` (features (n, d), row by row
    the same questions); told like `paired_difference`."""

    def farther(chosen: NDArray[np.int64] | slice) -> float:
        true = reference[chosen]
        return frechet_between(after[chosen], true) - frechet_between(before[chosen], true)

    count = len(reference)
    resampled = [farther(chosen) for chosen in _resamples(count, _FRECHET_RESAMPLES)]
    return _told(farther(slice(None)), np.array(resampled), count)


def _resamples(count: int, number: int) -> NDArray[np.int64]:
    """Indices (number, count) drawn with a seed of their own: the same numbers every time."""
    return np.random.default_rng(20220209).integers(0, count, (number, count))


def _told(value: float, resampled: NDArray[np.floating[Any]], count: int) -> dict[str, Any]:
    low, high = np.percentile(resampled, _TAILS)
    rounded = {"mean": value, "low": low, "high": high}
    return {name: round(float(number), 4) for name, number in rounded.items()} | {"pairs": count}
