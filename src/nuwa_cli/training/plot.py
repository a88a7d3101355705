"""The loss curve of a run as a PNG, drawn with Pillow."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw

_SIZE = (960, 480)
_MARGIN = 56
_COLORS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf")


def plot_log(log_path: Path, out_path: Path) -> None:
    """Draw every logged figure whose name contains "loss" against the step; no log, no plot."""
    if not log_path.exists():
        return
    records = [json.loads(line) for line in log_path.read_text().splitlines() if line.strip()]
    names = sorted({key for record in records for key in record if "loss" in key})
    curves = {
        name: [(record["step"], record[name]) for record in records if name in record]
        for name in names[: len(_COLORS)]
    }
    curves = {name: _smooth(points) for name, points in curves.items() if len(points) > 1}
    if not curves:
        return
    last_step = max(points[-1][0] for points in curves.values())
    values = sorted(value for points in curves.values() for _, value in points)
    top, bottom = values[min(len(values) - 1, int(len(values) * 0.98))], min(0.0, values[0])
    width, height = _SIZE[0] - 2 * _MARGIN, _SIZE[1] - 2 * _MARGIN

    def place(step: float, value: float) -> tuple[float, float]:
        share = (min(value, top) - bottom) / max(top - bottom, 1e-9)
        return _MARGIN + width * step / last_step, _SIZE[1] - _MARGIN - height * share

    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    for tick in range(6):
        value = bottom + (top - bottom) * tick / 5
        _, y = place(0, value)
        draw.line([(_MARGIN, y), (_SIZE[0] - _MARGIN, y)], fill="#e0e0e0")
        draw.text((8, y - 6), f"{value:.2f}", fill="#444444")
        x, _ = place(last_step * tick / 5, bottom)
        draw.text((x - 12, _SIZE[1] - _MARGIN + 10), f"{last_step * tick // 5}", fill="#444444")
    for index, (name, points) in enumerate(curves.items()):
        draw.line([place(*point) for point in points], fill=_COLORS[index], width=2)
        draw.text((_SIZE[0] - _MARGIN - 180, 10 + 14 * index), name, fill=_COLORS[index])
    image.save(out_path)


def _smooth(points: list[tuple[int, float]], weight: float = 0.8) -> list[tuple[int, float]]:
    smoothed, level = [], points[0][1]
    for step, value in points:
        level = weight * level + (1 - weight) * value if value == value else level
        smoothed.append((step, level))
    return smoothed
