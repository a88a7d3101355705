"""Names of outputs: which suffixes there are, numbered names, several outputs of one name.

out.png, three pictures   out-0000.png  out-0001.png  out-0002.png
out-%02d.png              out-00.png    out-01.png    out-02.png
frames/%04d.png, a clip   one PNG a frame
{seed}-{slug}.png         7-a-red-bus.png  7-a-blue-bird.png
out/                      out/0000-a-red-bus.png  out/0001-a-blue-bird.png

Fields are found and replaced as text: user text never reaches a format operation. Only a word in
braces is a field, `{0}` is text, and `{{` `}}` are braces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from nuwa_cli.errors import UsageError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
VIDEO_SUFFIXES = (".mp4", ".webm", ".gif", ".webp", ".apng")

Kind = Literal["image", "video"]

FIELDS = ("seed", "slug", "prompt", "index", "n", "suffix")
MAX_SLUG_BYTES = 60

_FIELD = re.compile(r"%(0[1-9])?d")
_WORD = re.compile(r"\{\{|\}\}|\{([A-Za-z][A-Za-z0-9_-]*)\}")
_IN_FOLDER = "{index}-{slug}{suffix}"
_SUFFIX = {"image": ".png", "video": ".mp4"}


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


def output_path(text: str) -> Path:
    """The output that a user names; a name that ends in a slash is a folder for all of them."""
    return Path(text) / _IN_FOLDER if text.endswith("/") else Path(text)


def makes_folder(path: Path) -> bool:
    """Whether a run makes the last folder of its outputs: it was given as `out/`, or the folder's own
    name has fields."""
    if path.name.endswith("{suffix}"):
        return True
    return any(word[1] for word in _WORD.finditer(str(path.parent)))


def output_names(path: Path, kind: Kind, count: int) -> list[Path]:
    """The name of each of `count` outputs, with no field in it. Raises UsageError for an unusable
    name."""
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


def output_names_for(
    path: Path,
    kind: Kind,
    jobs: Sequence[tuple[str, int]],
    more: Sequence[Mapping[str, str]] = (),
) -> list[Path]:
    """The name of each output of (prompt, seed); `more` holds further fields of each.

    Raises UsageError for an unusable name, an unknown field, and two outputs of one name.
    """
    plain, has_fields = fill(path, dict.fromkeys((*FIELDS, *(more[0] if more else ())), ""))
    if not has_fields:
        return output_names(plain, kind, len(jobs))
    names = []
    for index, (prompt, seed) in enumerate(jobs):
        name = slug(prompt)
        values = {
            "seed": str(seed),
            "slug": name,
            "prompt": name,
            "index": f"{index:04d}",
            "n": str(index + 1),
            "suffix": _SUFFIX[kind],
        }
        filled, _ = fill(path, {**(more[index] if more else {}), **values})
        check_suffix(filled, kind)
        is_numbered = is_template(filled) and not (kind == "video" and is_sequence(filled))
        names.append(numbered(filled, index) if is_numbered else filled)
    _refuse_equal(path, names)
    return names


def fill(path: Path, values: Mapping[str, str]) -> tuple[Path, bool]:
    """`path` with the values of its fields, and whether it has any.

    Characters of a value that cannot stand in a name become `-`. Raises UsageError for a field that
    has no value.
    """
    has_fields = False

    def replaced(match: re.Match[str]) -> str:
        nonlocal has_fields
        word = match[1]
        if word is None:
            return match[0][0]
        has_fields = True
        if word.replace("-", "_") not in values:
            known = " ".join(f"{{{name}}}" for name in values)
            raise UsageError(
                f"output '{path}': there is no field {match[0]}; use {known}, or {{{{ for a brace"
            )
        return _nameable(values[word.replace("-", "_")])

    return Path(_WORD.sub(replaced, str(path))), has_fields


def fill_some(text: str, values: Mapping[str, str]) -> tuple[str, bool]:
    """A name with the values of some of its fields, all else as it is, and whether it had one."""
    has_one = False

    def replaced(match: re.Match[str]) -> str:
        nonlocal has_one
        word = (match[1] or "").replace("-", "_")
        has_one = has_one or word in values
        return _nameable(values[word]) if word in values else match[0]

    return _WORD.sub(replaced, text), has_one


def slug(text: str) -> str:
    """A text as part of a file name: letters and digits of any script, all else one `-`."""
    text = unicodedata.normalize("NFKC", text).lower()
    words = "".join(c if _is_letter(c) else " " for c in text).split()
    short = "-".join(words).encode("utf-8", "ignore")[:MAX_SLUG_BYTES]
    return short.decode("utf-8", "ignore").strip("-") or "untitled"


def _nameable(value: str) -> str:
    return "".join(c if _is_letter(c) or c in "-+._" else "-" for c in value)


def _is_letter(character: str) -> bool:
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _refuse_equal(path: Path, names: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for name in names:
        if name in seen:
            raise UsageError(
                f"output '{path}': several results would be '{name}'; "
                "put {seed} or {index} into the name"
            )
        seen.add(name)
