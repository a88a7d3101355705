"""PSNR, SSIM and codebook figures on pictures whose values are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.evaluation.reconstruction import CodebookMeter, measure_tokenizer, psnr, ssim


def test_psnr_of_a_known_error() -> None:
    a = torch.zeros(2, 3, 8, 8)
    b = a.clone()
    b[1] += 0.2  # peak 2, error 0.2: 20 dB
    assert psnr(a, b)[1] == pytest.approx(20.0, abs=1e-4)
    assert psnr(a, b)[0] == pytest.approx(100.0)


def test_ssim_is_one_for_equals_and_falls_with_damage() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.rand(1, 3, 32, 32, generator=generator) * 2 - 1
    noise = torch.randn(a.shape, generator=generator)
    values = [float(ssim(a, a + level * noise)) for level in (0.0, 0.1, 0.5)]
    assert values[0] == pytest.approx(1.0) and values[0] > values[1] > values[2]
    flat = torch.full((1, 3, 16, 16), 0.5)
    assert float(ssim(flat, flat)) == pytest.approx(1.0)


def test_codebook_usage_and_perplexity() -> None:
    meter = CodebookMeter(8)
    meter.update(torch.tensor([[0, 1], [2, 3]]))
    assert (meter.usage, meter.perplexity) == (0.5, pytest.approx(4.0))
    meter.update(torch.zeros(2, 2, dtype=torch.int64).fill_(7))
    assert meter.usage == 5 / 8 and 1 < meter.perplexity < 5
    with pytest.raises(UsageError):
        _ = CodebookMeter(8).perplexity


class Halver:
    """Two codes: which half of the brightness range each quarter of the picture lies in."""

    def encode(self, pixels: Tensor) -> Tensor:
        return (torch.nn.functional.avg_pool2d(pixels.mean(1), 8) > 0).long()

    def decode(self, tokens: Tensor) -> Tensor:
        gray = tokens.float().mul(2).sub(1).mul(0.5)
        return gray.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, None].expand(-1, 3, -1, -1)


def test_tokenizer_is_measured_over_batches() -> None:
    bright, dark = torch.full((2, 3, 16, 16), 0.5), torch.full((2, 3, 16, 16), -0.3)
    report = measure_tokenizer(Halver(), 4, [bright, dark])
    assert report["codebook_usage"] == 0.5 and report["perplexity"] == pytest.approx(2.0)
    assert report["psnr_db"] == pytest.approx((100 + 20) / 2)
    assert report["pictures"] == 4
