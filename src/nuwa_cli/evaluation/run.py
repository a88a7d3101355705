"""One evaluation from a model folder to files: what `nuwa eval` and training scripts call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.evaluation.probes import known_world
from nuwa_cli.evaluation.report import markdown_table
from nuwa_cli.evaluation.samples import Sample
from nuwa_cli.evaluation.sheet import sample_sheet
from nuwa_cli.evaluation.store import load_evaluator
from nuwa_cli.evaluation.suite import (
    EvaluationSettings,
    OnProgress,
    PipelineArtist,
    evaluate,
    tokenizer_figures,
)
from nuwa_cli.hub.card import with_figures
from nuwa_cli.hub.manifest import CARD_NAME
from nuwa_cli.media.atomic import write_bytes
from nuwa_cli.media.image import write_image
from nuwa_cli.storybook.render import Renderer

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline

REPORT_NAME = "evaluation.json"


def run_evaluation(
    pipeline: NuwaPipeline,
    evaluator_folder: Path,
    settings: EvaluationSettings,
    *,
    renderer: Renderer | None = None,
    partial: Path | None = None,
    on_progress: OnProgress = lambda _done, _total: None,
) -> tuple[dict[str, Any], list[Sample]]:
    """The suite on a loaded model, with the figures of its tokenizer and of its judge.

    Raises InputError if the folder holds no evaluator. `partial` is removed at the end.
    """
    evaluator, accuracy = load_evaluator(evaluator_folder)
    evaluator.to(pipeline.device)
    config = pipeline.model.config
    num_frames, fps = config.num_frames, max(1, round(config.fps))
    report, samples = evaluate(
        PipelineArtist(pipeline, settings),
        evaluator,
        settings,
        num_frames=num_frames,
        fps=fps,
        renderer=renderer,
        partial=partial,
        on_progress=on_progress,
    )
    report["evaluator_accuracy"] = accuracy
    if renderer is not None:
        world = known_world(evaluator.config, num_frames, fps)
        report["tokenizer"] = tokenizer_figures(
            pipeline.model.tokenizer, evaluator, renderer, world
        )
    if partial is not None:
        partial.unlink(missing_ok=True)
    return report, samples


def put_into_card(report: dict[str, Any], folder: Path) -> None:
    """Replace the figures of the model card, and write the report beside it. Raises OutputError."""
    card = folder / CARD_NAME
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    write_bytes(card, with_figures(text, markdown_table(report)).encode(), force=True)
    write_report(report, folder / REPORT_NAME)


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON, replacing an older one. Raises OutputError."""
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(), force=True)


def write_sheet(samples: Sequence[Sample], path: Path) -> None:
    """Write the sheet of judged samples as a picture. Raises UsageError, OutputError."""
    write_image(path, sample_sheet(samples), force=True)
