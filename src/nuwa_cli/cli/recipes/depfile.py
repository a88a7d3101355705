"""`--depfile`: what an output was made from, in the syntax of make, as compilers write it.

    a.png: hill.png mask.png

    hill.png:
    mask.png:

The empty rules keep make going when a prerequisite is gone: its target is then simply made again. Such a
file is for `-include` in a Makefile; it is written when the outputs are.

Names are escaped as GNU make reads them. Make has no way to say some characters at all; names with those
are refused before any work.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from nuwa_cli.errors import UsageError
from nuwa_cli.media.atomic import check_output, write_bytes
from nuwa_cli.media.naming import is_sequence, numbered

_UNSAYABLE = re.compile(r"[\x00-\x1f\x7f|;&]|[ \\]$")
_ESCAPED = re.compile(r"(\\*)([ #:*?\[])")  # backslashes in front of such a character count twice
_EQUALS = "nuwa.equals"  # an equals sign would make a variable of the rule


def check_depfile(path: Path, targets: Sequence[Path], prerequisites: Sequence[Path] = ()) -> None:
    """Say before the slow part whether the file can be written.

    Raises UsageError for outputs without a name and for names that make cannot hold, OutputError when
    the file cannot be written.
    """
    for target in targets:
        if str(target) == "-":
            raise UsageError("depfile: stdout is no target of make; give -o a file name")
    made = [_file(target) for target in targets]
    for name in (*made, *prerequisites):
        if _UNSAYABLE.search(str(name)) or (name in made and "%" in str(name)):  # a pattern rule
            raise UsageError(f"depfile '{path}': make cannot say the name '{name}'; rename it")
    check_output(path, force=True)


def write_depfile(path: Path, targets: Sequence[Path], prerequisites: Sequence[Path]) -> None:
    """Write the rule of the targets; one that is there is replaced, as make expects.

    Raises OutputError.
    """
    content = depfile_text(targets, prerequisites)
    write_bytes(path, content.encode("utf-8", "surrogateescape"), force=True)


def depfile_text(targets: Sequence[Path], prerequisites: Sequence[Path]) -> str:
    """The rule of the targets, and an empty one for each prerequisite. A sequence of numbered frames
    is represented by its first."""
    made = [escaped(_file(path)) for path in targets]
    needed = [escaped(path) for path in dict.fromkeys(prerequisites)]
    rule = f"{' '.join(made)}:{''.join(f' {name}' for name in needed)}\n"
    # A rule for a name with a percent sign would be one for many files.
    empty = "".join(f"\n{name}:\n" for name in needed if name not in made and "%" not in name)
    needs_equals = any(_EQUALS in name for name in (*made, *needed))
    return (f"{_EQUALS} := =\n" if needs_equals else "") + rule + empty


def escaped(path: Path) -> str:
    """A file name as a target or prerequisite of a rule."""
    name = os.fspath(path)
    if name.startswith("~"):
        name = f"./{name}"  # a home folder otherwise
    name = _ESCAPED.sub(lambda found: 2 * found[1] + "\\" + found[2], name)
    return name.replace("$", "$$").replace("=", f"$({_EQUALS})")


def _file(target: Path) -> Path:
    return numbered(target, 0) if is_sequence(target) else target
