"""Figures of class maps: known cases, and laws that hold for any maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.segmentation import (
    agreement,
    confusion_matrix,
    frame_difference,
    from_counts,
    measure_sketch_tokenizer,
    temporal_consistency,
    to_counts,
    unchanged,
)

CLASSES = 4
maps = arrays.arrays(np.uint8, (6, 5), elements=st.integers(0, CLASSES - 1))


def test_figures_of_a_small_case_counted_by_hand() -> None:
    truth = np.array([[0, 0, 0, 0], [1, 1, 2, 2]], dtype=np.uint8)
    found = np.array([[0, 0, 0, 1], [1, 1, 3, 3]], dtype=np.uint8)
    matrix = confusion_matrix(truth, found, CLASSES)
    assert matrix[0, 1] == 1 and matrix[2, 3] == 2 and matrix.sum() == 8
    # IoU: class 0 3/4, class 1 2/3, class 2 0/2; class 3 is not in the truth.
    assert agreement(matrix) == {
        "pixel_accuracy": pytest.approx(5 / 8, abs=1e-4),
        "mean_iou": pytest.approx((3 / 4 + 2 / 3) / 3, abs=1e-4),
        "fw_iou": pytest.approx((4 * 3 / 4 + 2 * 2 / 3) / 8, abs=1e-4),
    }


@given(maps, maps)
def test_laws_of_agreement(truth: np.ndarray, found: np.ndarray) -> None:
    matrix = confusion_matrix(truth, found, CLASSES)
    figures = agreement(matrix)
    assert figures["pixel_accuracy"] == pytest.approx((truth == found).mean(), abs=1e-4)
    for value in figures.values():
        assert value is not None and 0 <= value <= 1
    assert (figures["mean_iou"] == 1) == (truth == found).all()
    assert figures["fw_iou"] <= figures["pixel_accuracy"] + 1e-4  # type: ignore[operator]


@given(maps, maps)
def test_counts_of_matrices_add_up(a: np.ndarray, b: np.ndarray) -> None:
    first, second = confusion_matrix(a, b, CLASSES), confusion_matrix(b, b, CLASSES)
    both = from_counts([*to_counts(first), *to_counts(second)], CLASSES)
    assert np.array_equal(both, first + second)


def test_nothing_counted_gives_no_figures() -> None:
    assert set(agreement(np.zeros((2, 2), dtype=np.int64)).values()) == {None}


@pytest.mark.parametrize("found", [np.zeros((2, 3), np.uint8), np.full((2, 2), 9, np.uint8)])
def test_maps_that_do_not_fit_are_refused(found: np.ndarray) -> None:
    with pytest.raises(UsageError):
        confusion_matrix(np.zeros((2, 2), np.uint8), found, CLASSES)


def test_only_pixels_at_rest_count_for_consistency() -> None:
    sketches = np.array([[[0, 1]], [[0, 2]], [[0, 2]]], dtype=np.uint8)  # right pixel moves once
    steady = np.array([[[3, 1]], [[3, 2]], [[3, 2]]], dtype=np.uint8)
    assert temporal_consistency(sketches, steady) == 1.0
    flickering = np.array([[[3, 1]], [[0, 2]], [[3, 2]]], dtype=np.uint8)
    assert temporal_consistency(sketches, flickering) == pytest.approx(1 / 3)
    lagging = np.array([[[3, 1]], [[0, 1]], [[3, 2]]], dtype=np.uint8)  # stays where it should move
    assert temporal_consistency(sketches, lagging) == 0.0
    assert temporal_consistency(sketches[:1], steady[:1]) is None
    assert unchanged(sketches).tolist() == [[True, False]]


def test_difference_of_frames_in_a_region() -> None:
    frames = np.zeros((3, 1, 2, 3), dtype=np.uint8)
    frames[1, 0, 0], frames[:, 0, 1] = 10, [[0], [200], [0]]
    left = np.array([[True, False]])
    assert frame_difference(frames, left) == pytest.approx(10.0)  # there and back, no wrap-around
    assert frame_difference(frames, ~left) == pytest.approx(200.0)
    assert frame_difference(frames[:1], left) is None
    assert frame_difference(frames, left & ~left) is None


def test_a_sketch_tokenizer_is_measured_at_its_own_size() -> None:
    class Halving:
        """Keeps every other pixel, and forgets class 1."""

        def encode_classes(self, classes: Tensor) -> Tensor:
            return classes[:, 1::2, 1::2]

        def decode_classes(self, tokens: Tensor) -> Tensor:
            return tokens.where(tokens != 1, 0)

    classes = torch.zeros(2, 8, 8, dtype=torch.uint8)
    classes[1, :4] = 1
    classes[0, :, 4:] = 2
    figures = measure_sketch_tokenizer(Halving(), [classes[:1], classes[1:]], CLASSES)
    assert figures["pixel_accuracy"] == 0.75 and figures["sketches"] == 2
    assert figures["mean_iou"] == pytest.approx((16 / 24 + 0 + 1) / 3, abs=1e-4)
