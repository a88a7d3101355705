"""The judging nets: shapes, label order, files, and that they can learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from nuwa_cli.errors import InputError
from nuwa_cli.evaluation.store import SETTINGS, TENSORS, load_evaluator, save_evaluator
from nuwa_cli.model.evaluator import Evaluator, EvaluatorConfig, pick_frames

TINY = EvaluatorConfig(
    subjects=("fox", "golfer", "bus"),
    places=("beach", "grass"),
    directions=("left", "right"),
    image_size=32,
    num_frames=3,
    frame_widths=(8, 16),
    frame_depths=(1, 1),
    motion_widths=(8,),
    motion_depths=(1,),
)


@pytest.fixture
def evaluator() -> Evaluator:
    torch.manual_seed(0)
    return Evaluator(TINY).eval()


def test_the_default_is_small() -> None:
    config = EvaluatorConfig(
        subjects=tuple(map(str, range(80))),
        places=tuple(map(str, range(24))),
        directions=tuple(map(str, range(8))),
    )
    assert sum(p.numel() for p in Evaluator(config).parameters()) < 1_200_000


def test_verdicts_on_pictures_and_clips_of_any_size(evaluator: Evaluator) -> None:
    generator = torch.Generator().manual_seed(1)
    clips = torch.randint(0, 256, (2, 7, 3, 48, 48), generator=generator, dtype=torch.uint8)
    images = evaluator.judge_images(clips[:, 0])
    assert images.subject.shape == images.place.shape == (2,) and images.direction is None
    assert images.features.shape == (2, 16)
    videos = evaluator.judge_videos(clips)
    assert videos.direction is not None and videos.direction.shape == (2,)
    assert videos.features.shape == (2, 16 + 8)
    alone = evaluator.judge_videos(clips[1:])
    torch.testing.assert_close(videos.features[1], alone.features[0])


def test_a_still_clip_is_judged_like_its_picture(evaluator: Evaluator) -> None:
    image = torch.randint(0, 256, (1, 3, 48, 48), dtype=torch.uint8)
    clip = image[:, None].expand(1, 4, 3, 48, 48)
    assert evaluator.judge_videos(clip).subject == evaluator.judge_images(image).subject


@pytest.mark.parametrize(
    ("frames", "expected"), [(10, [0, 4, 9]), (3, [0, 1, 2]), (1, [0, 0, 0]), (2, [0, 0, 1])]
)
def test_frames_are_spread_evenly(frames: int, expected: list[int]) -> None:
    assert pick_frames(frames, 3) == expected


def test_saved_equals_loaded_in_bfloat16(evaluator: Evaluator, tmp_path: Path) -> None:
    save_evaluator(evaluator, tmp_path, {"subject": 0.97})
    loaded, accuracy = load_evaluator(tmp_path)
    assert accuracy == {"subject": 0.97} and loaded.config == TINY and not loaded.training
    for name, tensor in evaluator.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor.bfloat16().float())


def test_damaged_evaluators_are_refused(evaluator: Evaluator, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train one"):
        load_evaluator(tmp_path)
    save_evaluator(evaluator, tmp_path, {})
    document = json.loads((tmp_path / SETTINGS).read_text())
    document["config"]["subjects"] = ["fox", "fox"]
    (tmp_path / SETTINGS).write_text(json.dumps(document))
    with pytest.raises(InputError, match="subjects"):
        load_evaluator(tmp_path)
    document["config"]["subjects"] = ["fox"]
    (tmp_path / SETTINGS).write_text(json.dumps(document))
    with pytest.raises(InputError, match="subject"):
        load_evaluator(tmp_path)
    (tmp_path / TENSORS).write_bytes(b"nonsense")
    with pytest.raises(InputError, match=r"evaluator\.safetensors"):
        load_evaluator(tmp_path)
