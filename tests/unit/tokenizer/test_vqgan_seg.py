"""The VQ-GAN-Seg: class maps of any size in, tokens of one size out, classes back."""

from __future__ import annotations

import pytest
import torch

from nuwa_cli.presets import PRESETS, get_preset
from nuwa_cli.sketches.palette import NUM_SKETCH_CLASSES
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg, resize


@pytest.mark.parametrize("name", PRESETS)
def test_presets_know_every_class_and_share_the_grid(name: str) -> None:
    preset = get_preset(name)
    sketch = preset.sketch_tokenizer
    assert sketch.in_channels == NUM_SKETCH_CLASSES
    assert sketch.grid_size == preset.tokenizer.grid_size == preset.transformer.grid_width
    assert sketch.codebook_size == preset.transformer.sketch_vocab


@pytest.mark.parametrize("shape", [(16, 16), (256, 100), (5, 7)])
def test_any_size_becomes_one_grid(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    config = get_preset("test").sketch_tokenizer
    net = VQGANSeg(config).eval()
    classes = torch.randint(0, NUM_SKETCH_CLASSES, (2, *shape), dtype=torch.uint8)
    tokens = net.encode_classes(classes)
    assert tokens.shape == (2, config.grid_size, config.grid_size)
    assert tokens.dtype == torch.int64
    restored = net.decode_classes(tokens)
    assert restored.shape == (2, config.image_size, config.image_size)
    assert restored.dtype == torch.uint8 and int(restored.max()) < NUM_SKETCH_CLASSES


def test_resizing_takes_the_class_in_the_middle_and_makes_none_up() -> None:
    classes = torch.arange(16).view(1, 4, 4)
    assert resize(classes, 2).tolist() == [[[5, 7], [13, 15]]]
    assert torch.equal(resize(classes, 4), classes)
    assert resize(classes, 8)[0, ::2, ::2].tolist() == classes[0].tolist()


def test_one_hot_planes_are_what_the_network_takes() -> None:
    net = VQGANSeg(get_preset("test").sketch_tokenizer)
    classes = torch.tensor([[[3, 0], [31, 3]]], dtype=torch.uint8)
    planes = net.one_hot(classes)
    assert planes.shape == (1, NUM_SKETCH_CLASSES, 2, 2)
    assert torch.equal(planes.argmax(1), classes.long()) and float(planes.sum()) == 4.0
