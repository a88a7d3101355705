"""Guidance, filters and the draw."""

from __future__ import annotations

import math

import torch

from nuwa_cli.ops.logits import draw, filter_logits, guide

LOGITS = torch.tensor([[1.0, 3.0, 2.0, 0.0], [0.0, 0.0, 5.0, 0.0]])


def kept(logits: torch.Tensor) -> list[list[int]]:
    return [row.isfinite().nonzero()[:, 0].tolist() for row in logits]


def test_no_filter_changes_nothing() -> None:
    out = filter_logits(LOGITS, temperature=1.0, top_k=0, top_p=1.0)
    torch.testing.assert_close(out, LOGITS.double())


def test_top_k_keeps_the_best() -> None:
    out = filter_logits(LOGITS[:1], temperature=1.0, top_k=2, top_p=1.0)
    assert kept(out) == [[1, 2]]


def test_top_p_keeps_the_smallest_set_with_that_mass() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.15, 0.05]])
    for mass, expected in ((0.4, [0]), (0.55, [0, 1]), (0.8001, [0, 1, 2]), (0.99, [0, 1, 2, 3])):
        out = filter_logits(probabilities.log(), temperature=1.0, top_k=0, top_p=mass)
        assert kept(out) == [expected]


def test_top_p_counts_the_mass_left_by_top_k() -> None:
    probabilities = torch.tensor([[0.4, 0.3, 0.2, 0.1]])
    out = filter_logits(probabilities.log(), temperature=1.0, top_k=2, top_p=0.5)
    assert kept(out) == [[0]]  # 0.4 of 0.7


def test_temperature_divides_and_zero_is_greedy() -> None:
    warm = filter_logits(LOGITS, temperature=2.0, top_k=0, top_p=1.0)
    torch.testing.assert_close(warm, LOGITS.double() / 2)
    greedy = filter_logits(LOGITS, temperature=0.0, top_k=3, top_p=0.9)
    assert kept(greedy) == [[1], [2]]


def test_guidance_formula() -> None:
    conditional, unconditional = LOGITS[:1], LOGITS[1:]
    torch.testing.assert_close(guide(conditional, unconditional, 1.0), conditional)
    torch.testing.assert_close(guide(conditional, unconditional, 0.0), unconditional)
    expected = 3 * conditional - 2 * unconditional
    torch.testing.assert_close(guide(conditional, unconditional, 3.0), expected)


def test_draw_follows_the_distribution() -> None:
    probabilities = torch.tensor([0.1, 0.0, 0.6, 0.3])
    levels = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    tokens = draw(probabilities.log().expand(1000, -1), levels)
    assert tokens.bincount(minlength=4).tolist() == [100, 0, 600, 300]


def test_draw_never_takes_a_filtered_token() -> None:
    logits = torch.tensor([[-math.inf, 0.0, 0.0, -math.inf]]).expand(2, -1)
    edge = torch.tensor([0.0, 1 - 2.0**-48], dtype=torch.float64)
    assert draw(logits, edge).tolist() == [1, 2]
