"""Job files: JSON lines, CSV and TOML become the same thing, a list of `Entry`.

    {"defaults": {"seed": 3}}                               # JSON lines: may stand first
    {"command": "t2i", "prompt": "a dog", "output": "dog.png"}

    command,prompt,output,box,box                           # CSV: an empty cell is not given
    t2i,a dog,dog.png,,

    [defaults]                                              # TOML
    seed = 3
    [[jobs]]
    command = "t2i"

Only the form of a file is checked here; what a key means is for `translation`. Reading is bounded in
bytes and jobs, and strict: no key twice, no NaN, no value but text, numbers, true and false, and lists of
them.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import stat
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuwa_cli.errors import InputError, UsageError

MAX_BYTES = 64 * 1024**2
MAX_JOBS = 100_000
STDIN = "-"

Value = str | int | float | bool | list[str | int | float | bool]

_Row = tuple[int, dict[str, Value], dict[str, Value]]
"""line, values, defaults"""

_FORMATS = (".jsonl", ".csv", ".toml")
_TOML_JOB = re.compile(r"^[ \t]*\[\[[ \t]*jobs[ \t]*\]\]", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """One job of a file: where it stands, its values, and the defaults of the file."""

    place: str
    line: int
    values: dict[str, Value]
    defaults: dict[str, Value]


def read_entries(files: Sequence[Path]) -> list[Entry]:
    """All jobs of all files, in order; `-` is stdin. Raises UsageError, InputError."""
    if sum(str(path) == STDIN for path in files) > 1:
        raise UsageError("jobs '-': stdin can be read once; leave the second '-' out")
    entries: list[Entry] = []
    for path in files:
        for entry in _read(path):
            if len(entries) == MAX_JOBS:
                raise UsageError(f"jobs '{path}': more than {MAX_JOBS} jobs; split them")
            entries.append(entry)
    if not entries:
        raise UsageError(f"jobs '{files[0]}': holds no job; give at least one")
    return entries


def _read(path: Path) -> Iterator[Entry]:
    name = str(path)
    suffix = ".jsonl" if name == STDIN else path.suffix.lower()
    if suffix not in _FORMATS:
        raise UsageError(
            f"jobs '{name}': '{suffix}' is no job file; use {' '.join(_FORMATS)}, or - for JSON "
            "lines from stdin"
        )
    text = _text(name, _content(path))
    read = {".jsonl": _json_lines, ".csv": _csv, ".toml": _toml}[suffix]
    for line, values, defaults in read(name, text):
        yield Entry(f"jobs '{name}' line {line}", line, values, defaults)


def _content(path: Path) -> bytes:
    name = str(path)
    try:
        if name == STDIN:
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("jobs '-': stdin is a terminal; pipe JSON lines into it")
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            if not stat.S_ISREG(path.stat().st_mode):  # a pipe would block for ever
                raise InputError(f"jobs '{name}': is not a regular file; use - to read from a pipe")
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        code = getattr(error, "errno", None)
        why = os.strerror(code).lower() if code else str(error)
        raise InputError(f"jobs '{name}': {why}; check the name") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"jobs '{name}': is larger than {MAX_BYTES // 1024**2} MiB; split it")
    return content


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"jobs '{name}' line {line}: is not valid UTF-8; save the file as UTF-8"
        ) from None


def _json_lines(name: str, text: str) -> Iterator[_Row]:
    defaults: dict[str, Value] = {}
    is_first = True
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"jobs '{name}' line {number}"
        if not line.lstrip().startswith("{"):
            raise UsageError(
                f'{place}: is no JSON object; write {{"command": "t2i", "prompt": "a dog", '
                '"output": "dog.png"}, one a line'
            )
        found = _json_object(place, line)
        if is_first and set(found) == {"defaults"}:
            defaults = _values(f"{place} defaults", found["defaults"])
        else:
            yield number, _values(place, found), defaults
        is_first = False


def _json_object(place: str, line: str) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise UsageError(f"{place}: '{name}' is given twice; keep one, or give a list")
            found[name] = value
        return found

    def refuse(text: str) -> Any:
        raise UsageError(f"{place}: '{text}' is no number; leave it out")

    try:
        return json.loads(line, object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        why = error.msg.lower() if isinstance(error, json.JSONDecodeError) else "cannot be read"
        column = f" at character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else ""
        raise UsageError(f"{place}: {why}{column}; one JSON object a line is needed") from None


def _csv(name: str, text: str) -> Iterator[_Row]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    line = 1
    try:
        for row in rows:
            place, line = (line, rows.line_num + 1)
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = [cell.strip() for cell in row]
                continue
            yield place, _csv_row(f"jobs '{name}' line {place}", header, row), {}
    except csv.Error as error:
        raise UsageError(
            f"jobs '{name}' line {rows.line_num}: {error}; check the quotes of this row"
        ) from None


def _csv_row(place: str, header: list[str], row: list[str]) -> dict[str, Value]:
    if len(row) != len(header):
        raise UsageError(
            f"{place}: has {len(row)} cells, the header has {len(header)}; "
            'put cells with commas in it into "…"'
        )
    values: dict[str, Value] = {}
    for key, cell in zip(header, row, strict=True):
        if not cell.strip():
            continue
        if not key:
            raise UsageError(f"{place}: '{cell[:40]}' stands in a column without a name; name it")
        if key in values:  # a column that is there twice gives a list
            earlier = values[key]
            values[key] = [*(earlier if isinstance(earlier, list) else [earlier]), cell]
        else:
            values[key] = cell
    return values


def _toml(name: str, text: str) -> Iterator[_Row]:
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        why = str(error).partition(" (at ")[0].rstrip(".")
        why = why[:1].lower() + why[1:] or "cannot be read"
        raise UsageError(f"jobs '{name}' line {line}: {why}; check this line of TOML") from None
    unknown = sorted(set(document) - {"defaults", "jobs"})
    if unknown:
        raise UsageError(f"jobs '{name}': '{unknown[0]}' is unknown; use [defaults] and [[jobs]]")
    jobs = document.get("jobs", [])
    if not isinstance(jobs, list):
        raise UsageError(f"jobs '{name}': [jobs] is one table; write [[jobs]] before each job")
    defaults = _values(f"jobs '{name}' defaults", document.get("defaults", {}))
    lines = [text.count("\n", 0, match.start()) + 1 for match in _TOML_JOB.finditer(text)]
    if len(lines) != len(jobs):  # written inline, or the words stand in a text: count jobs then
        lines = list(range(1, len(jobs) + 1))
    for line, job in zip(lines, jobs, strict=True):
        yield line, _values(f"jobs '{name}' line {line}", job), defaults


def _values(place: str, found: Any) -> dict[str, Value]:
    """The values of an object; those that are null are left out. Raises UsageError."""
    if not isinstance(found, dict):
        raise UsageError(f"{place}: is no table of options; write names and values")
    return {key: _value(place, key, value) for key, value in found.items() if value is not None}


def _value(place: str, key: str, value: Any) -> Value:
    if isinstance(value, list):
        if not value:
            raise UsageError(f"{place}: '{key}' is an empty list; leave it out")
        if all(_is_single(item) for item in value):
            return value
    elif _is_single(value):
        return value
    raise UsageError(
        f"{place}: '{key}' is {type(value).__name__}; give text, a number, true or false, or a "
        "list of these"
    )


def _is_single(value: Any) -> bool:
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")  # TOML has nan and inf
    return isinstance(value, (str, int))
