"""The evaluator on disk: `evaluator.safetensors` (bfloat16) and `evaluator.json` beside it.

The JSON holds the config with the label names in order, and the accuracy that the nets reached on
renders they had never seen, so that every report can say how far its judge is to be trusted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nuwa_cli.config import FORMAT_VERSION
from nuwa_cli.errors import InputError
from nuwa_cli.hub.safetensors_file import check_fit, tensors_from_bytes, tensors_to_bytes
from nuwa_cli.media.atomic import write_bytes
from nuwa_cli.model.evaluator import Evaluator, EvaluatorConfig

TENSORS = "evaluator.safetensors"
SETTINGS = "evaluator.json"
_FORMAT = "nuwa-evaluator"


def save_evaluator(evaluator: Evaluator, folder: Path, accuracy: dict[str, float]) -> None:
    """Write both files into `folder`, the settings last; weights are rounded to bfloat16."""
    document = {
        "format": _FORMAT,
        "format_version": FORMAT_VERSION,
        "config": evaluator.config.to_dict(),
        "accuracy_on_unseen_renders": accuracy,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / TENSORS, tensors_to_bytes(evaluator), force=True)
    write_bytes(folder / SETTINGS, text.encode(), force=True)


def load_evaluator(folder: Path) -> tuple[Evaluator, dict[str, float]]:
    """The evaluator of a model folder, float32 and in eval mode, and its own accuracy.

    Raises InputError if there is none, or if anything of it is damaged.
    """
    document = _read_settings(folder / SETTINGS)
    evaluator = Evaluator(EvaluatorConfig.from_dict(document["config"]))
    path = folder / TENSORS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"evaluator '{path}': {error.strerror}; train it again") from error
    tensors = tensors_from_bytes(content, path)
    check_fit(evaluator, tensors, path)
    evaluator.load_state_dict(tensors)  # copies into float32
    return evaluator.eval(), dict(document["accuracy_on_unseen_renders"])


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"evaluator '{path}': {error.strerror}; train one, or take a model folder that has one"
        ) from error
    except ValueError as error:
        raise InputError(f"evaluator '{path}': not JSON; fetch the model again") from error
    good = (
        isinstance(document, dict)
        and document.get("format") == _FORMAT
        and document.get("format_version") == FORMAT_VERSION
        and isinstance(document.get("config"), dict)
        and isinstance(document.get("accuracy_on_unseen_renders"), dict)
    )
    if not good:
        raise InputError(f"evaluator '{path}': not an evaluator of this version; train it again")
    return document
