"""The VQ-GAN: shapes, determinism, and a codebook that stays alive."""

from __future__ import annotations

import pytest
import torch

from nuwa_cli.config import VQGANConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.presets import PRESETS, get_preset
from nuwa_cli.tokenizer.codebook import Codebook
from nuwa_cli.tokenizer.discriminator import PatchDiscriminator, feature_loss
from nuwa_cli.tokenizer.vqgan import VQGAN


@pytest.mark.parametrize(("channels", "widths"), [(3, (16, 24)), (7, (16, 16))])
def test_shapes_for_pictures_and_class_maps(channels: int, widths: tuple[int, int]) -> None:
    config = VQGANConfig(
        in_channels=channels, image_size=64, stem_factor=4, widths=widths, depths=(1, 1),
        codebook_size=32, code_dim=4,
    )  # fmt: skip
    vqgan = VQGAN(config)
    pixels = torch.rand(2, channels, 64, 64) * 2 - 1
    tokens = vqgan.encode(pixels)
    assert tokens.shape == (2, 8, 8) and tokens.dtype == torch.int64
    restored = vqgan.decode(tokens)
    assert restored.shape == pixels.shape and restored.dtype == torch.float32
    assert float(restored.abs().max()) <= 1.0


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_agree_on_grid_and_codes(name: str) -> None:
    preset = get_preset(name)
    assert preset.tokenizer.grid_size == preset.transformer.grid_height
    assert preset.tokenizer.codebook_size == preset.transformer.visual_vocab


def test_frames_are_encoded_one_by_one() -> None:
    vqgan = VQGAN(get_preset("test").tokenizer).double()
    pixels = torch.rand(3, 3, 32, 32, dtype=torch.float64)
    together = vqgan.encode(pixels)
    apart = torch.cat([vqgan.encode(frame[None]) for frame in pixels])
    assert torch.equal(together, apart)


def test_quantize_gives_the_nearest_code_and_a_straight_gradient() -> None:
    codebook = Codebook(16, 4)
    latents = torch.randn(1, 4, 2, 3, requires_grad=True)
    quantized = codebook(latents)
    unit = torch.nn.functional.normalize(latents, dim=1).permute(0, 2, 3, 1)
    distances = torch.cdist(unit.reshape(-1, 4), codebook.unit_codes())
    assert torch.equal(quantized.tokens.flatten(), distances.argmin(-1))
    assert torch.allclose(quantized.vectors, codebook.lookup(quantized.tokens), atol=1e-6)
    quantized.vectors.sum().backward()
    assert latents.grad is not None and float(latents.grad.abs().sum()) > 0


def test_dead_codes_are_revived_on_latents() -> None:
    codebook = Codebook(32, 4)
    latents = torch.randn(2, 4, 4, 4)
    for _ in range(100):
        codebook.track(torch.zeros(2, 4, 4, dtype=torch.int64))
    revived = codebook.revive(latents, 0.03, torch.Generator().manual_seed(0))
    assert revived == 31
    unit = torch.nn.functional.normalize(latents, dim=1).permute(0, 2, 3, 1).reshape(-1, 4)
    nearest = torch.cdist(codebook.unit_codes()[1:], unit).min(-1).values
    assert float(nearest.detach().max()) < 1e-3


def test_identical_pictures_have_no_feature_loss() -> None:
    discriminator = PatchDiscriminator().eval()
    _, features = discriminator(torch.rand(1, 3, 64, 64))
    assert float(feature_loss(features, features).detach()) == 0.0


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(UsageError, match="multiple of 16"):
        VQGANConfig(image_size=100)
