"""The report of an evaluation as a table, for terminals and for the model card."""

from __future__ import annotations

from typing import Any

_NAMES = {
    "t2i": "T2I",
    "t2i_held_out": "T2I, held-out pairs",
    "t2v": "T2V",
    "t2v_held_out": "T2V, held-out pairs",
}
_COLUMNS = (
    ("subject", "subject right"),
    ("place", "place right"),
    ("both", "both right"),
    ("direction", "direction right"),
    ("both_en", "both, English"),
    ("both_zh", "both, Chinese"),
)


def markdown_table(report: dict[str, Any]) -> str:
    """One row a set, and one for true renders of the same prompts where they were judged."""
    head = ["set", "samples", *(title for _, title in _COLUMNS), "text similarity", "Fréchet"]
    lines = [head, ["---"] * len(head)]
    for name, figures in report["sets"].items():
        lines.append(_row(_NAMES.get(name, name), figures))
        if "renders" in figures:
            lines.append(_row("· true renders", figures["renders"]))
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return table + "\n\n" + "\n".join(_notes(report)) + "\n"


def _row(name: str, figures: dict[str, Any]) -> list[str]:
    shares = [_percent(figures[key]) for key, _ in _COLUMNS]
    return [
        name,
        str(figures["samples"]),
        *shares,
        _number(figures["similarity"], 3),
        _number(figures.get("frechet"), 2),
    ]


def _notes(report: dict[str, Any]) -> list[str]:
    notes = [
        "Judged by evaluator nets trained on renders only. Fréchet: distance on evaluator "
        "features, not the FID or FVD of the literature. Text similarity: mean cosine of our own "
        "dual encoder."
    ]
    accuracy = report.get("evaluator_accuracy")
    if accuracy:
        figures = ", ".join(
            f"{name.replace('_', ' ')} {_percent(value)}" for name, value in accuracy.items()
        )
        notes.append(f"Accuracy of the evaluator on unseen renders: {figures}.")
    tokenizer = report.get("tokenizer")
    if tokenizer:
        notes.append(
            f"Tokenizer: PSNR {tokenizer['psnr_db']:.2f} dB, SSIM {tokenizer['ssim']:.3f}, "
            f"codebook usage {_percent(tokenizer['codebook_usage'])}, "
            f"perplexity {tokenizer['perplexity']:.0f}; after it the evaluator still sees the right "
            f"subject in {_percent(tokenizer['subject_kept'])} and the right place in "
            f"{_percent(tokenizer['place_kept'])} of unseen renders."
        )
    return notes


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
