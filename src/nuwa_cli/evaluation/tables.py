"""Tables of figures in Markdown: one row a set, one column a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Column = tuple[str, str, str]
"""Figure, title, and how it is written: "share" as percents, "levels" (1/255) with one decimal, any
other with as many decimals as "0.00" has."""

_ROWS = {"renders": "· true renders", "restored": "· renders after the VQ-GAN"}


def figure_table(
    title: str,
    sets: dict[str, Any],
    names: dict[str, str],
    columns: Sequence[Column],
    more: dict[str, str] = _ROWS,
) -> str:
    """A table of the sets that are in the report, by `names`, with the rows inside them that `more`
    names; empty if there is no set."""
    found = {name: sets[name] for name in names if name in sets}
    if not found:
        return ""
    lines = []
    for name, figures in found.items():
        lines.append(table_row(names[name], figures, columns))
        lines += [
            table_row(label, figures[row], columns) for row, label in more.items() if row in figures
        ]
    return to_markdown([title, "samples", *(column[1] for column in columns)], lines)


def to_markdown(head: list[str], lines: Iterable[list[str]]) -> str:
    """A table of cells."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def table_row(name: str, figures: dict[str, Any], columns: Sequence[Column]) -> list[str]:
    """Name, number of samples, and figures of a set."""
    written = [in_words(figures.get(key), how) for key, _, how in columns]
    return [name, str(figures["samples"]), *written]


def in_words(value: float | None, how: str) -> str:
    """A figure as its column writes it; a dash where there is none."""
    if value is None:
        return "–"
    if how == "share":
        return percent(value)
    return f"{value:.1f}" if how == "levels" else f"{value:.{len(how) - 2}f}"


def percent(share: float | None) -> str:
    """0.123 as 12.3 %."""
    return "–" if share is None else f"{100 * share:.1f} %"
