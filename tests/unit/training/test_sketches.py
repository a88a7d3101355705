"""Training sketches: rounded as a hand would draw them, never with a class that was not there."""

from __future__ import annotations

import pytest
import torch

from nuwa_cli.training.sketches import class_weights, simplify


def _maps() -> torch.Tensor:
    classes = torch.zeros(2, 3, 64, 64, dtype=torch.uint8)
    classes[:, :, 32:] = 5
    classes[:, :, 20:44, 20:44] = 20
    classes[:, :, 10, :] = 9  # a line one pixel thin
    return classes


def test_a_simplified_map_keeps_the_big_and_drops_the_thin() -> None:
    classes = _maps()
    rounded = simplify(classes, 1.0, torch.Generator().manual_seed(0))
    assert set(rounded.unique().tolist()) <= {0, 5, 9, 20}
    assert float((rounded == classes).float().mean()) > 0.85
    assert int((rounded == 9).sum()) < int((classes == 9).sum())
    assert torch.equal(rounded[:, 0], rounded[:, 1])  # still frames stay still


def test_the_share_and_the_generator_decide() -> None:
    classes = _maps()
    assert torch.equal(simplify(classes, 0.0, torch.Generator().manual_seed(0)), classes)
    first = simplify(classes, 0.5, torch.Generator().manual_seed(3))
    assert torch.equal(first, simplify(classes, 0.5, torch.Generator().manual_seed(3)))


def test_rare_classes_weigh_more_and_the_mean_is_one() -> None:
    classes = _maps()[:, 0]
    weights = class_weights(classes, 0.5)
    assert weights[20] > weights[5] and weights[9] > weights[20]
    assert float(weights[classes.long()].mean()) == pytest.approx(1.0, rel=1e-5)
    assert float(weights[31]) == 0.0
