"""Fréchet distance between two sets of feature vectors, in float64.

Both sets are summarised as Gaussians, and

    d² = |m₁ - m₂|² + tr(C₁) + tr(C₂) - 2 tr((C₁^½ C₂ C₁^½)^½)        (Dowson and Landau 1982)

This is the formula of FID and FVD. Ours runs on the features of our own evaluator nets, so its
values compare versions of this model with each other and are not the FID of the literature; reports
call it "Fréchet distance on evaluator features". The square roots are taken by symmetric
eigen-decomposition, which stays real for the singular covariances that few samples give, where
a general matrix square root turns complex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuwa_cli.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gaussian:
    """Mean (d,), covariance (d, d), and the number of samples behind them."""

    mean: Array
    covariance: Array
    num_samples: int


def fit_gaussian(features: NDArray[np.floating]) -> Gaussian:
    """Mean and unbiased covariance of features (n, d). Raises UsageError for fewer than two
    samples or values that are not finite."""
    samples = np.asarray(features, dtype=np.float64)
    if samples.ndim != 2 or len(samples) < 2:
        raise UsageError(f"features '{samples.shape}': not (n, d) with n >= 2; give more samples")
    if not np.isfinite(samples).all():
        raise UsageError("features: some are not finite; check the pictures they came from")
    mean = samples.mean(axis=0)
    centered = samples - mean
    return Gaussian(mean, centered.T @ centered / (len(samples) - 1), len(samples))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """Squared Fréchet distance d² (the number that papers print as FID); never negative."""
    if a.mean.shape != b.mean.shape:
        raise UsageError(
            f"features '{a.mean.shape}': not as wide as {b.mean.shape}; use one feature net"
        )
    root = _symmetric_root(a.covariance)
    cross = np.linalg.eigvalsh(_symmetric(root @ b.covariance @ root))
    overlap = np.sqrt(np.clip(cross, 0.0, None)).sum()
    shift = float(((a.mean - b.mean) ** 2).sum())
    spread = float(np.trace(a.covariance) + np.trace(b.covariance) - 2.0 * overlap)
    return max(shift + spread, 0.0)


def frechet_between(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    """`frechet_distance` of two feature sets (n, d) and (m, d)."""
    return frechet_distance(fit_gaussian(a), fit_gaussian(b))


def _symmetric(matrix: Array) -> Array:
    return (matrix + matrix.T) / 2.0


def _symmetric_root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(_symmetric(matrix))
    root: Array = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    return root
