"""The segmenter: shapes, files, and that its training keeps pictures and class maps together."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.evaluation.store import (
    SEGMENTER_SETTINGS,
    has_segmenter,
    load_segmenter,
    save_segmenter,
)
from nuwa_cli.model.segmenter import SegmenterConfig, SegmentNet
from nuwa_cli.presets import get_preset
from nuwa_cli.sketches.palette import SKETCH_CLASSES
from nuwa_cli.storybook.scene import SceneSpec
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.training.segment_bank import SegmentBank, restore, segment_bank, similar_codes
from nuwa_cli.training.train_segmenter import (
    SegmenterRecipe,
    segment_scenes,
    train_segmenter,
    views,
)

TINY = SegmenterConfig(classes=("sky", "sand", "boat"), image_size=16, widths=(8, 8), depths=(1, 1))
WORLD = WorldConfig(subjects=("horse", "dog", "cat"), places=("beach", "snow", "room"))


@pytest.fixture
def net() -> SegmentNet:
    torch.manual_seed(0)
    return SegmentNet(TINY).eval()


@pytest.fixture(scope="module")
def vqgan() -> VQGAN:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VQGAN(get_preset("test").tokenizer).eval()


def test_the_default_is_small() -> None:
    config = SegmenterConfig(classes=tuple(entry.name for entry in SKETCH_CLASSES))
    assert sum(p.numel() for p in SegmentNet(config).parameters()) < 600_000


def test_logits_and_classes(net: SegmentNet) -> None:
    assert net(torch.zeros(2, 3, 16, 16)).shape == (2, 3, 8, 8)
    frames = torch.randint(0, 256, (20, 3, 40, 24), dtype=torch.uint8)
    found = net.segment(frames)
    assert found.shape == (20, 40, 24) and found.dtype == torch.uint8 and int(found.max()) < 3
    assert torch.equal(net.segment(frames[18:]), found[18:])  # whatever stands beside a frame


@pytest.mark.parametrize(
    "changes", [{"classes": ("sky", "sky")}, {"image_size": 10}, {"depths": (1,)}]
)
def test_impossible_settings_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        SegmenterConfig(**({**TINY.to_dict(), **changes}))  # type: ignore[arg-type]


def test_saved_equals_loaded_in_bfloat16(net: SegmentNet, tmp_path: Path) -> None:
    assert not has_segmenter(tmp_path)
    with pytest.raises(InputError, match="train one"):
        load_segmenter(tmp_path)
    save_segmenter(net, tmp_path, {"pixels": 0.97})
    loaded, accuracy = load_segmenter(tmp_path)
    assert has_segmenter(tmp_path) and accuracy == {"pixels": 0.97}
    assert loaded.config == TINY and not loaded.training
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor.bfloat16().float())
    document = json.loads((tmp_path / SEGMENTER_SETTINGS).read_text())
    document["format"] = "nuwa-evaluator"
    (tmp_path / SEGMENTER_SETTINGS).write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"segmenter\.json"):
        load_segmenter(tmp_path)


class HalvesRenderer:
    """Left half white sand, right half dark sea; counts what it rendered."""

    def __init__(self) -> None:
        self.scenes = 0

    def render(self, specs: list[SceneSpec], frames: list[list[int]]) -> SimpleNamespace:
        self.scenes += len(specs)
        shape = (len(specs), len(frames[0]))
        pixels = torch.full((*shape, 3, 64, 64), 40, dtype=torch.uint8)
        pixels[..., :32] = 220
        classes = torch.full((*shape, 64, 64), 8, dtype=torch.uint8)
        classes[..., :32] = 6
        return SimpleNamespace(pixels=pixels, classes=classes)


def test_scenes_are_mixed() -> None:
    specs = segment_scenes(WorldConfig.core(), 5, 60)
    counts = {len(spec.subjects) for spec in specs}
    assert {1, 2} <= counts and [spec.seed for spec in specs] == list(range(5, 65))


def test_a_bank_is_rendered_once_for_the_same_settings(tmp_path: Path, vqgan: VQGAN) -> None:
    renderer = HalvesRenderer()
    specs = segment_scenes(WORLD, 0, 20)

    def bank() -> SegmentBank:
        return segment_bank(renderer, vqgan, specs, 32, tmp_path)  # type: ignore[arg-type]

    first, again = bank(), bank()
    assert renderer.scenes == 20 and len(first) == 20
    for name in ("clean", "restored", "classes"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert first.restored.shape == (20, 3, 32, 32) and first.classes.shape == (20, 32, 32)
    assert torch.equal(first.classes[0], first.classes[0, :1].expand(32, -1))
    with torch.random.fork_rng():
        other = VQGAN(vqgan.config)
    segment_bank(renderer, other, specs, 32, tmp_path)  # type: ignore[arg-type]
    assert renderer.scenes == 40  # restored by another VQ-GAN: another bank


def test_every_other_frame_keeps_its_own_tokens(vqgan: VQGAN) -> None:
    frames = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    size = vqgan.config.image_size
    frames = torch.nn.functional.interpolate(frames.float(), (size, size)).to(torch.uint8)
    similar = similar_codes(vqgan)
    assert not (similar == torch.arange(len(similar))[:, None]).any()
    given = restore(vqgan, frames, similar, torch.Generator().manual_seed(0))
    own = vqgan.decode(vqgan.encode(frames.float().div(127.5).sub(1.0)))
    own = own.add(1.0).mul(127.5).round().to(torch.uint8)
    assert torch.equal(given[::2], own[::2]) and not torch.equal(given[1::2], own[1::2])


def test_views_move_pictures_and_maps_together() -> None:
    generator = torch.Generator().manual_seed(3)
    classes = torch.full((8, 64, 64), 8, dtype=torch.uint8)
    classes[:, 20:44, 10:30] = 6
    frames = torch.where(classes == 6, 220, 40).to(torch.uint8)[:, None].expand(-1, 3, -1, -1)
    bank = SegmentBank(frames, frames, classes)
    moved: list[Tensor] = []
    for _ in range(6):
        pixels, maps = views(bank, torch.arange(8), generator)
        middle = (pixels.amax((1, 2, 3)) + pixels.amin((1, 2, 3))) / 2
        looks_bright = pixels.mean(1) > middle[:, None, None]
        assert ((maps == 6) == looks_bright).float().mean() > 0.97
        moved.append(maps)
    assert not all(torch.equal(maps, classes) for maps in moved)


def test_it_learns_and_is_measured_as_it_will_be_stored(tmp_path: Path, vqgan: VQGAN) -> None:
    recipe = SegmenterRecipe(train_scenes=8, test_scenes=4, steps=12, batch_size=4)
    segmenter, accuracy = train_segmenter(
        HalvesRenderer(),  # type: ignore[arg-type]
        WORLD,
        vqgan,
        tmp_path,
        recipe,
    )
    assert not segmenter.training
    assert segmenter.config.classes == tuple(entry.name for entry in SKETCH_CLASSES)
    assert set(accuracy) == {"pixels", "things", "pixels_restored", "things_restored"}
    assert accuracy["pixels"] > 0.6  # of 32 classes; by chance 0.03
    for tensor in segmenter.state_dict().values():
        assert torch.equal(tensor, tensor.bfloat16().float())
