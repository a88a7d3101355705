"""The rows of the fault table, and their status at the end of a run.

A test belongs to a row by the mark `row("A1")`; the status of a row is that of its tests together. Used
as a plugin by tests/conftest.py, because the process that prints the summary of a parallel run does not
load the conftest of this folder.
"""

from __future__ import annotations

from typing import Any

import pytest

ROWS = {
    "A1": "truncated or extended weights",
    "A2": "header bombs",
    "A3": "duplicate keys, blanks, holes, polyglots",
    "A4": "tensors that do not fit the config",
    "A5": "NaN and infinity in weights",
    "A6": "bad configs",
    "A7": "an index that names other files",
    "A8": "pickles",
    "A9": "sha256 that does not match",
    "A10": "downloads that break off",
    "A11": "no network",
    "A12": "odd caches",
    "A13": "weights that change while they are read",
    "A14": "hostile repository names",
    "B1": "picture bombs",
    "B2": "other formats",
    "B3": "animations as pictures",
    "B4": "modes and depths",
    "B5": "orientation, damaged EXIF",
    "B6": "damaged pictures",
    "B7": "masks",
    "B8": "no regular file",
    "C1": "playlists in disguise",
    "C2": "no video in it",
    "C3": "time stamps",
    "C4": "rotation, odd sizes, oblong pixels",
    "C5": "depths, subsampling, ranges",
    "C6": "sound",
    "C7": "endless and huge clips",
    "C8": "damaged clips",
    "C9": "a decoder that crashes",
    "D1": "prompts that say nothing",
    "D2": "giant prompts",
    "D3": "any Unicode",
    "D4": "prompts that look like something else",
    "D5": "every option at its limits",
    "D6": "logits that are not finite",
    "D7": "devices and number formats",
    "E1": "outputs that exist",
    "E2": "outputs that cannot be",
    "E3": "output is input",
    "E4": "disk full",
    "E5": "stdout",
    "E6": "odd file names",
    "E7": "Ctrl-C",
    "E8": "SIGTERM and SIGHUP",
    "E9": "kill -9 and power loss",
    "E10": "no memory",
    "E11": "no GPU memory",
    "E12": "two processes at once",
    "E13": "poor environments",
}

_PROPERTY = "fault row"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(name): the row of the fault table that a test proves")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("row"):
            for name in mark.args:
                assert name in ROWS, f"{item.nodeid}: there is no row {name}"
                item.user_properties.append((_PROPERTY, name))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line a row that was asked for, and the count."""
    tests: dict[str, dict[str, list[Any]]] = {}
    for outcome in ("passed", "failed", "error", "skipped", "xfailed", "xpassed"):
        for report in terminalreporter.stats.get(outcome, []):
            for key, row in getattr(report, "user_properties", []):
                if key == _PROPERTY:
                    tests.setdefault(row, {}).setdefault(outcome, []).append(report)
    if not tests:
        return
    terminalreporter.section("fault table")
    held = 0
    for row, what in ROWS.items():
        if row in tests:
            status = _status(tests[row])
            held += status.startswith("holds")
            terminalreporter.write_line(f"{row:<4} {status}  ({what})")
    absent = [row for row in ROWS if row not in tests]
    terminalreporter.write_line(
        f"{held} of {len(ROWS)} rows hold" + (f"; not run: {' '.join(absent)}" if absent else "")
    )


def _status(outcomes: dict[str, list[Any]]) -> str:
    count = len(outcomes.get("passed", []))
    for outcome in ("failed", "error", "xpassed"):
        if outcome in outcomes:
            return f"FAILS: {outcomes[outcome][0].nodeid.rpartition('::')[2]}"
    if "xfailed" in outcomes:
        reason = getattr(outcomes["xfailed"][0], "wasxfail", "")
        return f"fails: {reason}"
    if not count:
        return f"not applicable: {_reason(outcomes['skipped'][0])}"
    skipped = f", {len(outcomes['skipped'])} skipped" if "skipped" in outcomes else ""
    return f"holds, {count} test{'s' if count > 1 else ''}{skipped}"


def _reason(report: Any) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(reason).removeprefix("Skipped: ")
