"""Names of outputs: which suffixes there are, numbered names, several outputs of one name.

out.png, three pictures   out-0000.png  out-0001.png  out-0002.png
out-%02d.png              out-00.png    out-01.png    out-02.png
frames/%04d.png, a clip   one PNG a frame
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from nuwa_cli.errors import UsageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
VIDEO_SUFFIXES = (".mp4", ".webm", ".gif", ".webp", ".apng")

Kind = Literal["image", "video"]

_FIELD = re.compile(r"%(0[1-9])?d")


def check_suffix(path: Path, kind: Kind) -> None:
    """Raise UsageError unless a file of this kind can have this name."""
    suffix = path.suffix.lower()
    if str(path) == "-":
        raise UsageError("output '-': results go to files; give a file name")
    if kind == "image" and suffix not in IMAGE_SUFFIXES:
        raise UsageError(
            f"output '{path}': '{suffix}' is no picture format; use {' '.join(IMAGE_SUFFIXES)}"
        )
    if kind == "video" and suffix not in VIDEO_SUFFIXES and not is_sequence(path):
        raise UsageError(
            f"output '{path}': '{suffix}' is no clip format; "
            f"use {' '.join(VIDEO_SUFFIXES)} or frames/%04d.png"
        )


def kind_of(path: Path) -> Kind:
    """What a command that makes both writes under this name: a clip, unless only a picture can
    have the suffix."""
    only_picture = path.suffix.lower() in set(IMAGE_SUFFIXES) - set(VIDEO_SUFFIXES)
    return "image" if only_picture and not is_sequence(path) else "video"


def is_sequence(path: Path) -> bool:
    """Whether a clip under this name is one picture a frame: `%04d.png`, but not `%04d.mp4`."""
    return is_template(path) and path.suffix.lower() in (".png", ".jpg", ".jpeg")


def is_template(path: Path) -> bool:
    """Whether the file name has a number field such as `%04d`.

    Raises UsageError when it has more than one, which would be ambiguous.
    """
    fields = _FIELD.findall(path.name)
    if len(fields) > 1:
        raise UsageError(f"output '{path}': has {len(fields)} number fields; keep one")
    return bool(fields)


def numbered(path: Path, index: int) -> Path:
    """`path` with its number field filled, or with `-0007` in front of the suffix.

    The field is found and replaced as text: user text never reaches a format operation.
    """
    match = _FIELD.search(path.name)
    if match is None:
        return path.with_name(f"{path.stem}-{index:04d}{path.suffix}")
    width = int(match.group(1) or 0)
    head, tail = path.name[: match.start()], path.name[match.end() :]
    return path.with_name(f"{head}{index:0{width}d}{tail}")


def existing_frames(path: Path) -> list[Path]:
    """Files that already bear a number of this template, lowest first."""
    head, tail = _FIELD.split(path.name, maxsplit=1)[:: _FIELD.groups + 1]
    pattern = re.compile(re.escape(head) + r"\d+" + re.escape(tail))
    return sorted(entry for entry in path.parent.iterdir() if pattern.fullmatch(entry.name))


def output_names(path: Path, kind: Kind, count: int) -> list[Path]:
    """The name of each of `count` outputs. Raises UsageError for an unusable name."""
    check_suffix(path, kind)
    if kind == "video" and is_sequence(path):
        if count > 1:
            raise UsageError(
                f"output '{path}': holds one clip, {count} are asked for; "
                "use out-%04d.mp4, or one run a clip"
            )
        return [path]
    if count == 1 and not is_template(path):
        return [path]
    return [numbered(path, index) for index in range(count)]
