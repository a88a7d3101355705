"""Counter-based numbers: fixed values, independence of order, spread."""

from __future__ import annotations

import torch

from nuwa_cli.sampling.randomness import uniforms


def splitmix(seed: int, position: int) -> float:
    """The same hash in Python integers."""
    mask = (1 << 64) - 1

    def mix(x: int) -> int:
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & mask
        return x ^ (x >> 31)

    return (mix((mix(seed) + (position + 1) * 0x9E3779B97F4A7C15) & mask) >> 16) / 2**48


def test_values_are_those_of_the_hash() -> None:
    positions = torch.tensor([0, 1, 7, 255, 10**12])
    for seed in (0, 1, 12345, 2**63 - 1):
        expected = [splitmix(seed, int(position)) for position in positions]
        assert uniforms(seed, positions).tolist() == expected


def test_a_number_belongs_to_its_position() -> None:
    positions = torch.arange(100)
    together = uniforms(5, positions)
    shuffled = torch.randperm(100)
    assert torch.equal(uniforms(5, positions[shuffled]), together[shuffled])
    assert torch.equal(torch.cat([uniforms(5, position[None]) for position in positions]), together)


def test_numbers_are_spread_evenly_and_seeds_differ() -> None:
    numbers = torch.stack([uniforms(seed, torch.arange(4096)) for seed in range(8)])
    assert float(numbers.min()) >= 0.0 and float(numbers.max()) < 1.0
    counts = torch.histc(numbers, bins=16, min=0.0, max=1.0)
    assert float((counts / 2048 - 1).abs().max()) < 0.1
    correlation = torch.corrcoef(numbers)
    assert float((correlation - torch.eye(8)).abs().max()) < 0.06
