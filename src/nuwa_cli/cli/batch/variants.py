"""Several prompts from one, and several values of an option.

"a {red|blue} bus"     two prompts, in this order; groups multiply, the last one runs fastest
guidance=1,2,4         three values of an option; sweeps multiply too

Braces without a bar are text, and so are `{{` and `}}`, which stand for one brace each; a group holds
no braces. Everything is counted before it is built: no more than `MAX_VARIANTS` come of one call.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

from nuwa_cli.errors import UsageError

MAX_VARIANTS = 10_000

_PART = re.compile(r"\{\{|\}\}|\{([^{}|]*(?:\|[^{}|]*)+)\}")


def expand_prompts(prompts: Sequence[str | None]) -> list[str | None]:
    """Every prompt in all its variants, in order; None stays. Raises UsageError above the bound."""
    expanded: list[str | None] = []
    for prompt in prompts:
        if prompt is None:
            expanded.append(None)
            continue
        parts = _parts(prompt)
        _check_count(f"prompt '{prompt[:40]}'", len(expanded) + math.prod(map(len, parts)))
        for chosen in itertools.product(*parts):
            text = "".join(chosen)
            # An empty alternative leaves the blanks around it.
            expanded.append(" ".join(text.split()) if "" in chosen else text)
    return expanded


def literal(prompt: str) -> str:
    """The text that `expand_prompts` turns into exactly this prompt."""
    return prompt.replace("{", "{{").replace("}", "}}")


def sweep_settings(texts: Sequence[str]) -> list[dict[str, str]]:
    """All combinations of `guidance=1,2` and its like: option name → value, [{}] for no sweep.

    Raises UsageError.
    """
    sweeps: dict[str, list[str]] = {}
    for text in texts:
        option, values = _parse_sweep(text)
        if option in sweeps:
            raise UsageError(f"sweep '{text[:40]}': '{option}' is swept already; keep one")
        sweeps[option] = values
    return combinations(sweeps)


def combinations(sweeps: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """All combinations of the values of each name, the last name fastest. Raises UsageError."""
    _check_count(f"sweep '{', '.join(sweeps)}'", math.prod(map(len, sweeps.values())))
    return [
        dict(zip(sweeps, chosen, strict=True)) for chosen in itertools.product(*sweeps.values())
    ]


def swept(groups: Sequence[Any], setting: Mapping[str, str]) -> list[Any]:
    """The option groups (dataclasses) with the values of one setting of `sweep_settings`.

    Raises UsageError for a value of another type, or a name that none of the groups has.
    """
    known: dict[str, Any] = {}
    for group in groups:
        known |= get_type_hints(type(group))
    for name in setting:
        if name not in known:
            names = ", ".join(sorted(name.replace("_", "-") for name in known))
            raise UsageError(f"sweep '{name}': cannot be swept here; use {names}")
    return [
        dataclasses.replace(
            group,
            **{
                field.name: _converted(field.name, setting[field.name], known[field.name])
                for field in dataclasses.fields(group)
                if field.name in setting
            },
        )
        for group in groups
    ]


def _parts(prompt: str) -> list[list[str]]:
    """Text and groups in turn, each as its alternatives."""
    parts, end = [], 0
    for match in _PART.finditer(prompt):
        parts.append([prompt[end : match.start()]])
        parts.append([match[0][0]] if match[1] is None else match[1].split("|"))
        end = match.end()
    parts.append([prompt[end:]])
    return [part for part in parts if part != [""]]


def _parse_sweep(text: str) -> tuple[str, list[str]]:
    name, equals, values = text.partition("=")
    option = name.strip().lstrip("-").replace("-", "_")
    chosen = [value.strip() for value in values.split(",")]
    if not (option.isidentifier() and equals and all(chosen)):
        raise UsageError(
            f"sweep '{text[:40]}': give an option and its values, such as guidance=1,2,4"
        )
    return option, chosen


def _converted(name: str, text: str, hint: Any) -> Any:
    """A value of the type of a field: str, int, float, a choice, or one of these or None."""
    for kind in get_args(hint) or (hint,):
        choices = get_args(kind) if get_origin(kind) is Literal else ()
        if text in choices or kind is str:
            return text
        if get_origin(hint) is Literal and text in get_args(hint):
            return text
        if kind in (int, float):
            try:
                return kind(text)
            except ValueError:
                break
    raise UsageError(f"sweep '{name}': '{text[:40]}' is no value of it; see --help")


def _check_count(what: str, count: int) -> None:
    if count > MAX_VARIANTS:
        raise UsageError(f"{what}: gives {count} variants; at most {MAX_VARIANTS} in one call")
