"""The report of an evaluation as tables, for terminals and for the model card."""

from __future__ import annotations

from typing import Any

from nuwa_cli.evaluation.completion_tables import completion_notes, completion_tables
from nuwa_cli.evaluation.tables import figure_table, percent, table_row, to_markdown

_TEXT_NAMES = {
    "t2i": "T2I",
    "t2i_held_out": "T2I, held-out pairs",
    "t2v": "T2V",
    "t2v_held_out": "T2V, held-out pairs",
}
_TEXT_COLUMNS = (
    ("subject", "subject right", "share"),
    ("place", "place right", "share"),
    ("both", "both right", "share"),
    ("direction", "direction right", "share"),
    ("both_en", "both, English", "share"),
    ("both_zh", "both, Chinese", "share"),
    ("similarity", "text similarity", "0.000"),
    ("frechet", "Fréchet", "0.00"),
)
_SKETCH_NAMES = {"s2i": "S2I", "s2i_text": "S2I with text", "s2v": "S2V"}
_SKETCH_COLUMNS = (
    ("pixel_accuracy", "pixel accuracy", "share"),
    ("mean_iou", "mIoU", "share"),
    ("fw_iou", "frequency-weighted IoU", "share"),
    ("worst_frame", "worst frame", "share"),
    ("temporal_consistency", "class stays", "share"),
    ("static_difference", "static difference", "levels"),
    ("subject", "subject right", "share"),
    ("place", "place right", "share"),
)
_PREDICTION_NAMES = {"v2v": "V2V", "v2v_text": "V2V with text"}
_PREDICTION_COLUMNS = (
    ("kept", "subject kept", "share"),
    ("frames_kept", "frames with it", "share"),
    ("background", "background", "levels"),
    ("flicker", "flicker", "levels"),
    ("motion", "motion of the subject", "levels"),
    ("direction", "direction right", "share"),
)
_EDIT_NAMES = {"ti2i": "TI2I"}
_PAIR_COLUMNS = (
    ("appears", "something appears", "share"),
    ("subject", "subject right", "share"),
    ("place", "place right", "share"),
    ("both", "both right", "share"),
)
_EDIT_COLUMNS = (
    *_PAIR_COLUMNS,
    ("outside_identical", "outside bit-identical", "share"),
)


def markdown_table(report: dict[str, Any]) -> str:
    """One table a section, one row a set, and rows of what true renders reach where they were
    judged; then how far the judges and the tokenizers are to be trusted."""
    tasks = report.get("tasks", {})
    tables = [
        figure_table("set", report["sets"], _TEXT_NAMES, _TEXT_COLUMNS),
        figure_table("sketches", tasks, _SKETCH_NAMES, _SKETCH_COLUMNS),
        figure_table("first frames", tasks, _PREDICTION_NAMES, _PREDICTION_COLUMNS),
        figure_table("edits", tasks, _EDIT_NAMES, _EDIT_COLUMNS),
        _pairs_table(report.get("pairs", {})),
        *completion_tables(report),
    ]
    return "\n\n".join([*filter(None, tables), "\n".join(_notes(report))]) + "\n"


def _pairs_table(pairs: dict[str, Any]) -> str:
    if not pairs:
        return ""
    lines = [table_row(f"“{prompt}”", figures, _PAIR_COLUMNS) for prompt, figures in pairs.items()]
    return to_markdown(["never trained", "seeds", *(column[1] for column in _PAIR_COLUMNS)], lines)


def _notes(report: dict[str, Any]) -> list[str]:
    notes = [
        "Judged by nets trained on renders only. Fréchet: distance on evaluator features, not the "
        "FID or FVD of the literature. Text similarity: mean cosine of our own dual encoder."
    ]
    if report.get("tasks"):
        notes.append(
            "Sketches are compared with the segmentation of what was drawn; rows of renders are the "
            "ceiling. Background, flicker, motion and static difference: mean absolute difference "
            "in 1/255."
        )
    notes += completion_notes(report)
    for net in ("evaluator", "segmenter"):
        accuracy = report.get(f"{net}_accuracy")
        if accuracy:
            figures = ", ".join(
                f"{name.replace('_', ' ')} {percent(value)}" for name, value in accuracy.items()
            )
            notes.append(f"Accuracy of the {net} on unseen renders: {figures}.")
    tokenizer = report.get("tokenizer")
    if tokenizer:
        notes.append(
            f"Tokenizer: PSNR {tokenizer['psnr_db']:.2f} dB, SSIM {tokenizer['ssim']:.3f}, "
            f"codebook usage {percent(tokenizer['codebook_usage'])}, "
            f"perplexity {tokenizer['perplexity']:.0f}; after it the evaluator still sees the right "
            f"subject in {percent(tokenizer['subject_kept'])} and the right place in "
            f"{percent(tokenizer['place_kept'])} of unseen renders."
        )
    sketches = report.get("sketch_tokenizer")
    if sketches:
        notes.append(
            f"Sketch tokenizer: pixel accuracy {percent(sketches['pixel_accuracy'])}, "
            f"frequency-weighted IoU {percent(sketches['fw_iou'])}, "
            f"mIoU {percent(sketches['mean_iou'])} of {sketches['sketches']} unseen sketches."
        )
    return notes
