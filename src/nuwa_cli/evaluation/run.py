"""One evaluation from a model folder to files: what `nuwa eval` and training scripts call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nuwa_cli.evaluation.artists import PipelineArtist
from nuwa_cli.evaluation.probes import known_world
from nuwa_cli.evaluation.report import markdown_table
from nuwa_cli.evaluation.samples import Sample, TaskSample
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.evaluation.sheet import sample_sheet
from nuwa_cli.evaluation.store import has_segmenter, load_evaluator, load_segmenter
from nuwa_cli.evaluation.suite import OnProgress, evaluate, task_lines
from nuwa_cli.evaluation.tokenizers import sketch_tokenizer_figures, tokenizer_figures
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
) -> tuple[dict[str, Any], list[Sample | TaskSample]]:
    """The suite on a loaded model, with the figures of its tokenizers and of its judges.

    Without a segmenter in the folder, sketches, predictions and edits are left out; so are sketches of a
    model without a sketch tokenizer. Raises InputError if the folder holds no evaluator. `partial`
    is removed at the end.
    """
    evaluator, accuracy = load_evaluator(evaluator_folder)
    evaluator.to(pipeline.device)
    segmenter, segmenter_accuracy = None, None
    if has_segmenter(evaluator_folder):
        segmenter, segmenter_accuracy = load_segmenter(evaluator_folder)
        segmenter.to(pipeline.device)
    sketch_tokenizer = pipeline.model.sketch_tokenizer
    if sketch_tokenizer is None:
        settings = replace(settings, sketches=0, sketch_clips=0)
    config = pipeline.model.config
    num_frames, fps = config.num_frames, max(1, round(config.fps))
    report, samples = evaluate(
        PipelineArtist(pipeline, settings),
        evaluator,
        settings,
        num_frames=num_frames,
        fps=fps,
        renderer=renderer,
        segmenter=segmenter,
        partial=partial,
        on_progress=on_progress,
    )
    report["evaluator_accuracy"] = accuracy
    report["segmenter_accuracy"] = segmenter_accuracy
    if renderer is not None and settings.includes("tokenizer"):
        world = known_world(evaluator.config, num_frames, fps)
        report["tokenizer"] = tokenizer_figures(
            pipeline.model.tokenizer, evaluator, renderer, world
        )
        if sketch_tokenizer is not None:
            report["sketch_tokenizer"] = sketch_tokenizer_figures(
                sketch_tokenizer, renderer, world, pipeline.device
            )
    if partial is not None:
        for path in (partial, task_lines(partial)):
            path.unlink(missing_ok=True)
    return report, samples


def put_into_card(report: dict[str, Any], folder: Path) -> None:
    """Put figures into the model card, and the report beside it. What the report in the folder says
    of other sets stays, if it is of the same model and sampling. Raises OutputError."""
    report = joined(_read_report(folder / REPORT_NAME), report)
    card = folder / CARD_NAME
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    write_bytes(card, with_figures(text, markdown_table(report)).encode(), force=True)
    write_report(report, folder / REPORT_NAME)


def joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """A report with what an older one has besides, section by section; of another model or other
    sampling settings nothing is taken over."""
    if _terms(old) != _terms(new):
        return new
    names = ("sets", "tasks", "pairs", "completion", "extension", "long")
    sections = {name: old.get(name, {}) | new.get(name, {}) for name in names}
    return old | {name: value for name, value in new.items() if value is not None} | sections


def _terms(report: dict[str, Any]) -> tuple[Any, ...]:
    settings = report.get("settings", {})
    return report.get("model"), settings.get("sampling"), settings.get("best_of")


def _read_report(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return report if isinstance(report, dict) else {}


def write_report(report: dict[str, Any], path: Path) -> None:
    """Write the report as JSON, replacing an older one. Raises OutputError."""
    text = json.dumps(report, indent=1, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode(), force=True)


def write_sheet(samples: Sequence[Sample | TaskSample], path: Path) -> None:
    """Write the sheet of judged samples as a picture. Raises UsageError, OutputError."""
    write_image(path, sample_sheet(samples), force=True)
