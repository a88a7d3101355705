"""The tables of completion and extension: holes, directions, the long way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nuwa_cli.evaluation.tables import Column, figure_table, in_words, percent, to_markdown

_ENGINES = {
    "nuwa": "zero-shot raster",
    "lip": "LIP",
    "restored": "· originals after the VQ-GAN",
    "renders": "· originals",
}
_HOLE_COLUMNS: tuple[Column, ...] = (
    ("subject", "subject right", "share"),
    ("place", "place right", "share"),
    ("border", "border", "levels"),
    ("inside", "inside, small holes", "levels"),
    ("frechet", "Fréchet", "0.00"),
    ("outside_identical", "outside bit-identical", "share"),
)
_KIND_COLUMNS = _HOLE_COLUMNS[:3]
_DIRECTIONS = {"right": "right", "left": "left", "down": "down", "up": "up"}
_DIRECTION_COLUMNS: tuple[Column, ...] = (
    ("seam", "seam score", "0.000"),
    ("edge", "at the given edge", "0.000"),
    ("place", "place right", "share"),
    ("block_fid", "Block-FID", "0.00"),
    ("above_truth", "times that of truth", "0.00"),
    ("given_identical", "given bit-identical", "share"),
)
_PICTURE_COLUMNS: tuple[Column, ...] = (
    ("seam", "seam score", "0.000"),
    ("worst", "worst border", "0.00"),
    ("place", "probability of the place", "share"),
)
_CLIP_COLUMNS: tuple[Column, ...] = tuple(
    (f"{name}_{number}", f"{name}, frame {number}", "share")
    for number in (50, 100, 200)
    for name in ("subject", "place")
)


def completion_tables(report: dict[str, Any]) -> list[str]:
    """Tables of the sections `completion`, `extension` and `long`; empty ones where they are not."""
    holes, long = report.get("completion", {}), report.get("long", {})
    return [
        figure_table("holes", holes, _ENGINES, _HOLE_COLUMNS, {}),
        _kind_table(holes.get("by_kind", {})),
        figure_table("extended", report.get("extension", {}), _DIRECTIONS, _DIRECTION_COLUMNS),
        figure_table("16 times as wide", long, {"picture": "a hill"}, _PICTURE_COLUMNS),
        figure_table("200 frames", long, {"clip": "clips"}, _CLIP_COLUMNS),
    ]


def completion_notes(report: dict[str, Any]) -> list[str]:
    """What the tables do not say."""
    return [*_hole_notes(report.get("completion", {})), *_way_notes(report)]


def _kind_table(kinds: dict[str, Any]) -> str:
    """Both engines beside each other, by kind of hole."""
    if not kinds:
        return ""
    engines = ("nuwa", "lip")
    titles = [f"{title}, {_ENGINES[e]}" for _, title, _ in _KIND_COLUMNS for e in engines]
    lines = [
        [
            kind,
            str(figures["lip"]["samples"]),
            *(in_words(figures[e].get(key), how) for key, _, how in _KIND_COLUMNS for e in engines),
        ]
        for kind, figures in kinds.items()
    ]
    return to_markdown(["kind of hole", "samples", *titles], lines)


def _hole_notes(holes: dict[str, Any]) -> Iterator[str]:
    if not holes:
        return
    yield (
        "Holes: the same scenes, holes, prompts and seeds for both engines. Border: mean absolute "
        "difference of the gradients across the hole's border to those of the original; inside: of "
        "the pixels; both in 1/255. Fréchet: of completed pictures to the originals."
    )
    told = []
    for key, title, how in _HOLE_COLUMNS:
        found = holes.get("difference", {}).get(key)
        if found:
            numbers = [in_words(found[end], how) for end in ("mean", "low", "high")]
            told.append(f"{title} {numbers[0]} ({numbers[1]} to {numbers[2]})")
    if told:
        yield f"LIP minus zero-shot raster, with 95 % intervals: {'; '.join(told)}."


def _way_notes(report: dict[str, Any]) -> Iterator[str]:
    extension, picture = report.get("extension", {}), report.get("long", {}).get("picture", {})
    if extension or picture:
        yield (
            "Seam score: gradient across borders between patches against that of lines nearby, 1 "
            "where nothing shows. Block-FID: Fréchet distance on evaluator features between drawn "
            "blocks and true ones, not the FID of the literature."
        )
    told = []
    for direction in _DIRECTIONS:
        interval = extension.get(direction, {}).get("seam_interval")
        if interval:
            told.append(f"{direction} {interval[0]:.3f} to {interval[1]:.3f}")
    if told:
        yield f"95 % intervals of the seam scores: {', '.join(told)}."
    against = extension.get("against_right", {})
    if against:
        told = [
            f"{direction}: "
            + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in figures.items())
            for direction, figures in against.items()
        ]
        yield f"As multiples of right: {'; '.join(told)}."
    if picture:
        shares = ", ".join(percent(share) for share in picture["place_by_block"])
        quarters = ", ".join(f"{value:.1f}" for value in picture["block_fid_by_quarter"])
        yield f"Probability of the hill, block by block: {shares}."
        yield (
            f"Block-FID of the four quarters of the way: {quarters}; of true hills "
            f"{picture['block_fid_of_truth']:.1f}."
        )
