"""Fréchet distance against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.frechet import Gaussian, fit_gaussian, frechet_between, frechet_distance


def random_covariance(rng: np.random.Generator, dim: int, rank: int) -> np.ndarray:
    factor = rng.normal(size=(dim, rank))
    return factor @ factor.T


def gaussian(mean: np.ndarray, covariance: np.ndarray) -> Gaussian:
    return Gaussian(np.asarray(mean, float), np.asarray(covariance, float), 10)


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_diagonal_gaussians(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    m1, m2 = rng.normal(size=(2, dim))
    s1, s2 = rng.uniform(0, 3, size=(2, dim))
    expected = ((m1 - m2) ** 2).sum() + ((s1 - s2) ** 2).sum()
    result = frechet_distance(gaussian(m1, np.diag(s1**2)), gaussian(m2, np.diag(s2**2)))
    assert result == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(st.integers(0, 10**6), st.integers(1, 8), st.floats(0.1, 4))
@settings(max_examples=50, deadline=None)
def test_scaled_copy_singular_or_not(seed: int, dim: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    covariance = random_covariance(rng, dim, rank=max(1, dim // 2))
    zero = np.zeros(dim)
    result = frechet_distance(gaussian(zero, covariance), gaussian(zero, scale**2 * covariance))
    assert result == pytest.approx((1 - scale) ** 2 * np.trace(covariance), rel=1e-6, abs=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 8))
@settings(max_examples=50, deadline=None)
def test_symmetric_invariant_to_rotation_and_zero_on_itself(seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(20, dim)), rng.normal(size=(30, dim)) * 2 + 1
    rotation, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    distance = frechet_between(a, b)
    assert distance == pytest.approx(frechet_between(b, a), rel=1e-8)
    assert distance == pytest.approx(frechet_between(a @ rotation, b @ rotation), rel=1e-8)
    assert frechet_between(a, a) == pytest.approx(0, abs=1e-8)


def test_more_dimensions_than_samples_stays_real_and_finite() -> None:
    rng = np.random.default_rng(0)
    distance = frechet_between(rng.normal(size=(5, 64)), rng.normal(size=(6, 64)))
    assert np.isfinite(distance) and distance > 0


def test_float32_features_are_summed_in_float64() -> None:
    far = (np.random.default_rng(0).normal(size=(50, 4)) + 1e4).astype(np.float32)
    expected = np.cov(far.astype(np.float64), rowvar=False)
    np.testing.assert_allclose(fit_gaussian(far).covariance, expected, rtol=1e-9)


@pytest.mark.parametrize(
    "features", [np.zeros((1, 3)), np.zeros(3), np.array([[0.0, np.nan], [0.0, 1.0]])]
)
def test_unusable_features_are_refused(features: np.ndarray) -> None:
    with pytest.raises(UsageError):
        fit_gaussian(features)


def test_widths_must_agree() -> None:
    with pytest.raises(UsageError, match="not as wide"):
        frechet_between(np.zeros((3, 2)), np.zeros((3, 4)))
