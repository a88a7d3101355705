"""The judging nets on disk: `<net>.safetensors` (bfloat16) and `<net>.json` beside it.

    evaluator    subject, place, direction of travel
    segmenter    the sketch class of every pixel

The JSON holds the config with the label names in order, and the accuracy that the nets reached on
renders they had never seen, so that every report can say how far its judge is to be trusted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from nuwa_cli.config import FORMAT_VERSION, _Config
from nuwa_cli.errors import InputError
from nuwa_cli.hub.safetensors_file import check_fit, tensors_from_bytes, tensors_to_bytes
from nuwa_cli.media.atomic import write_bytes
from nuwa_cli.model.evaluator import Evaluator, EvaluatorConfig
from nuwa_cli.model.segmenter import SegmenterConfig, SegmentNet

TENSORS = "evaluator.safetensors"
SETTINGS = "evaluator.json"
SEGMENTER_TENSORS = "segmenter.safetensors"
SEGMENTER_SETTINGS = "segmenter.json"


def save_evaluator(evaluator: Evaluator, folder: Path, accuracy: dict[str, float]) -> None:
    """Write both files into `folder`, the settings last; weights are rounded to bfloat16."""
    _save("evaluator", evaluator, evaluator.config, folder, accuracy)


def load_evaluator(folder: Path) -> tuple[Evaluator, dict[str, float]]:
    """The evaluator of a model folder, float32 and in eval mode, and its own accuracy.

    Raises InputError if there is none, or if anything of it is damaged.
    """
    document = _read_settings("evaluator", folder)
    evaluator = Evaluator(EvaluatorConfig.from_dict(document["config"]))
    _fill("evaluator", evaluator, folder)
    return evaluator, dict(document["accuracy_on_unseen_renders"])


def save_segmenter(segmenter: SegmentNet, folder: Path, accuracy: dict[str, float]) -> None:
    """Write both files into `folder`, the settings last; weights are rounded to bfloat16."""
    _save("segmenter", segmenter, segmenter.config, folder, accuracy)


def has_segmenter(folder: Path) -> bool:
    """True if a model folder holds a segmenter, sound or not."""
    return (folder / SEGMENTER_SETTINGS).exists()


def load_segmenter(folder: Path) -> tuple[SegmentNet, dict[str, float]]:
    """The segmenter of a model folder, float32 and in eval mode, and its own accuracy.

    Raises InputError if there is none, or if anything of it is damaged.
    """
    document = _read_settings("segmenter", folder)
    segmenter = SegmentNet(SegmenterConfig.from_dict(document["config"]))
    _fill("segmenter", segmenter, folder)
    return segmenter, dict(document["accuracy_on_unseen_renders"])


def _save(
    kind: str, net: nn.Module, config: _Config, folder: Path, accuracy: dict[str, float]
) -> None:
    document = {
        "format": f"nuwa-{kind}",
        "format_version": FORMAT_VERSION,
        "config": config.to_dict(),
        "accuracy_on_unseen_renders": accuracy,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / f"{kind}.safetensors", tensors_to_bytes(net), force=True)
    write_bytes(folder / f"{kind}.json", text.encode(), force=True)


def _fill(kind: str, net: nn.Module, folder: Path) -> None:
    path = folder / f"{kind}.safetensors"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{kind} '{path}': {error.strerror}; train it again") from error
    tensors = tensors_from_bytes(content, path)
    check_fit(net, tensors, path)
    net.load_state_dict(tensors)  # copies into float32
    net.eval()


def _read_settings(kind: str, folder: Path) -> dict[str, Any]:
    path = folder / f"{kind}.json"
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{kind} '{path}': {error.strerror}; train one, or take a model folder that has one"
        ) from error
    except ValueError as error:
        raise InputError(f"{kind} '{path}': not JSON; fetch the model again") from error
    good = (
        isinstance(document, dict)
        and document.get("format") == f"nuwa-{kind}"
        and document.get("format_version") == FORMAT_VERSION
        and isinstance(document.get("config"), dict)
        and isinstance(document.get("accuracy_on_unseen_renders"), dict)
    )
    if not good:
        raise InputError(f"{kind} '{path}': not one of this version; train it again")
    return document
