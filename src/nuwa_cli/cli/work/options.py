"""Option groups, each declared once and shared by every command that needs it.

A command takes a group as one dataclass parameter; `takes_options` spreads its fields into single
options for the parser and puts the dataclass together again. Values are checked here, before any
model is loaded, with the same messages that the library gives.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from nuwa_cli.cli.work.output import Output
from nuwa_cli.cli.work.prompt_input import prompt_callback
from nuwa_cli.cli.work.strict import check_size
from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.media.naming import output_path

if TYPE_CHECKING:
    from nuwa_cli.api import Given

DEFAULT_SEED = 0
MAX_SEED = 2**63 - 1
MAX_NUM = 10_000
MAX_BEST_OF = 1_000
MAX_FRAMES = 10_000
MAX_FPS = 120.0

_GIVEN: ContextVar[Mapping[str, Any] | None] = ContextVar("given", default=None)

Prompts = Annotated[
    list[str],
    typer.Argument(
        metavar="PROMPT",
        help="What to make; {a|b} = both; - or @FILE = one prompt a line.",
        callback=prompt_callback,
    ),
]
OptionalPrompt = Annotated[
    str | None,
    typer.Argument(
        metavar="PROMPT", help="What it shows.", show_default=False, callback=prompt_callback
    ),
]
SeedText = Annotated[str, typer.Option("--seed", metavar="N|random", help="Same seed, same file.")]
JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
JsonStreamFlag = Annotated[
    bool, typer.Option("--json-stream", help="Print events as JSON lines while it works.")
]
QuietFlag = Annotated[
    bool, typer.Option("-q", "--quiet", help="No progress and no notes on stderr.")
]


@dataclass(frozen=True, kw_only=True)
class VoiceOptions:
    """What is said, and how, by a command that writes what it is told to."""

    json: JsonFlag = False
    json_stream: JsonStreamFlag = False
    quiet: QuietFlag = False

    def voice(self) -> Output:
        """What speaks so. Raises UsageError."""
        check_voice(as_json=self.json, as_events=self.json_stream)
        return Output(as_json=self.json, quiet=self.quiet, as_events=self.json_stream)


def check_voice(*, as_json: bool, as_events: bool) -> None:
    """Raise UsageError where stdout would be both."""
    if as_json and as_events:
        raise UsageError("json-stream: not with --json; the last event is the same result")


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Where a result goes, and what is said about it."""

    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            parser=output_path,
            help="File to write; its suffix picks the format.",
        ),
    ]
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace an existing file.")] = False
    no_metadata: Annotated[
        bool, typer.Option("--no-metadata", help="Do not embed the recipe in the file.")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, say what it takes; write nothing.")
    ] = False
    json: JsonFlag = False
    quiet: QuietFlag = False


@dataclass(frozen=True, kw_only=True)
class OutputOptions(FileOptions):
    """The same for commands that draw with a model; `-o -` is stdout."""

    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FMT",
            help="Format of -o - (stdout): png jpg webp mp4 webm y4m gif.",
        ),
    ] = None
    update: Annotated[
        bool, typer.Option("--update", help="Make only what its recipe says is out of date.")
    ] = False
    depfile: Annotated[
        Path | None,
        typer.Option("--depfile", metavar="FILE", help="Also write what make needs to know."),
    ] = None
    show: Annotated[bool, typer.Option("--show", help="Show results in the terminal as well.")] = (
        False
    )
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE", help="Also put all results on one picture."),
    ] = None
    preview: Annotated[
        Path | None,
        typer.Option("--preview", metavar="FILE", help="Picture of what there is, as it is made."),
    ] = None
    max_memory: Annotated[
        str | None,
        typer.Option("--max-memory", metavar="SIZE", help="Refuse to take more: 2G, 800M."),
    ] = None
    preset: Annotated[
        str | None,
        typer.Option("--preset", metavar="NAME", help="Options of [presets.NAME] in nuwa.toml."),
    ] = None
    strict_prompt: Annotated[
        bool, typer.Option("--strict-prompt", help="Refuse words that the model does not know.")
    ] = False
    json_stream: JsonStreamFlag = False

    def check(self) -> None:
        """Raise UsageError for what goes not together."""
        check_voice(as_json=self.json, as_events=self.json_stream)
        if self.max_memory is not None:
            from nuwa_cli.cli.forecast.plan import parse_size_bytes

            parse_size_bytes(self.max_memory)


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """How many results, and how tokens are drawn. None = the model's own default."""

    seed: SeedText = str(DEFAULT_SEED)
    num: Annotated[
        int,
        typer.Option("-n", "--num", metavar="N", help="Results a prompt; number i has seed N + i."),
    ] = 1
    temperature: Annotated[
        float | None,
        typer.Option("--temperature", metavar="T", help="0 = most likely, 1 = as learned."),
    ] = None
    top_k: Annotated[
        int | None,
        typer.Option("--top-k", metavar="K", help="Draw from the K likeliest tokens; 0 = all."),
    ] = None
    top_p: Annotated[
        float | None,
        typer.Option("--top-p", metavar="P", help="Draw from the likeliest mass P; 1 = all."),
    ] = None
    guidance: Annotated[
        float | None,
        typer.Option("--guidance", metavar="G", help="Follow the prompt harder; 1 = off."),
    ] = None

    sweep: Annotated[
        list[str] | None,
        typer.Option("--sweep", metavar="OPTION=A,B,…", help="One result for each of the values."),
    ] = None

    def first_seed(self) -> int:
        """The seed of the first result of each prompt. Raises UsageError."""
        return parse_seed(self.seed, largest=MAX_SEED - self.num + 1)

    def check(self) -> None:
        """Raise UsageError for any value out of range."""
        check_range("num", self.num, 1, MAX_NUM)
        self.first_seed()
        SamplingConfig(**self.overrides())

    def overrides(self) -> dict[str, Any]:
        """The sampling values that were given, by their names in SamplingConfig."""
        given = {
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "guidance_scale": self.guidance,
        }
        return {name: value for name, value in given.items() if value is not None}

    def candidates(self) -> int | None:
        """How many candidates to draw of each result, where that was said."""
        return None


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(DrawOptions):
    """The same for a command that can choose among candidates."""

    best_of: Annotated[
        int | None,
        typer.Option("--best-of", help="Draw K candidates and keep the best.", metavar="K"),
    ] = None

    def check(self) -> None:
        """Raise UsageError for any value out of range."""
        super().check()
        if self.best_of is not None:
            check_range("best-of", self.best_of, 1, MAX_BEST_OF)

    def candidates(self) -> int | None:
        """How many candidates to draw of each result, where that was said."""
        return self.best_of


@dataclass(frozen=True, kw_only=True)
class ClipOptions:
    """Length and speed of a clip, and how calm it is."""

    frames: Annotated[
        int | None, typer.Option("--frames", help="Number of frames.", metavar="N")
    ] = None
    fps: Annotated[float | None, typer.Option("--fps", metavar="N", help="Frames a second.")] = None
    persistence: Annotated[
        float | None,
        typer.Option("--persistence", metavar="P", help="Hold still backgrounds; 0 = as learned."),
    ] = None

    def check(self) -> None:
        """Raise UsageError for any value out of range."""
        if self.frames is not None:
            check_range("frames", self.frames, 1, MAX_FRAMES)
        if self.fps is not None:
            check_range("fps", self.fps, 0.1, MAX_FPS)
        SamplingConfig(**self.overrides())

    def overrides(self) -> dict[str, Any]:
        """The sampling value that was given, by its name in SamplingConfig."""
        return {} if self.persistence is None else {"persistence": self.persistence}


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How an input of another size becomes the model's square."""

    fit: Annotated[
        Literal["crop", "pad", "stretch"] | None,
        typer.Option("--fit", help="How an input of another shape meets the model's square."),
    ] = None


@dataclass(frozen=True, kw_only=True)
class WholeFitOptions(FitOptions):
    """The same where the result is no larger than what the model sees of the input."""

    strict_size: Annotated[
        bool, typer.Option("--strict-size", help="Refuse an input that would have to be fitted.")
    ] = False

    def check_given(self, given: Given, size: int) -> None:
        """Raise UsageError, if that was asked for, unless the input has `size` pixels a side."""
        if self.strict_size:
            check_size(given, size)


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, and where it runs."""

    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="Name, folder, or owner/name@revision.")
    ] = "storybook"
    device: Annotated[
        str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")
    ] = "auto"
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        typer.Option("--dtype", help="Number format of the transformer."),
    ] = "auto"
    attention: Annotated[
        Literal["auto", "reference", "matmul", "sdpa", "xformers", "flex"],
        typer.Option("--attention", help="Back end of 3D Nearby Attention."),
    ] = "auto"


def parse_seed(text: str, largest: int = MAX_SEED) -> int:
    """A seed as a number; `random` draws one. Raises UsageError."""
    if text == "random":
        return int.from_bytes(os.urandom(4))
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= largest:
        raise UsageError(f"seed '{text[:40]}': give 0 … {largest}, or the word random")
    return value


def check_range(what: str, value: float, low: float, high: float) -> None:
    """Raise UsageError unless low <= value <= high (NaN is outside)."""
    if math.isnan(value) or not low <= value <= high:
        raise UsageError(f"{what} '{value}': out of range; give {low:g} … {high:g}")


def given_values() -> dict[str, Any]:
    """Parameters of the running command whose values differ from their defaults, whoever gave them."""
    return dict(_GIVEN.get() or {})


def takes_options(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take option groups (dataclasses) as single parameters."""
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        hint = hints[parameter.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            groups[parameter.name] = hint
            parameters += _spread(hint)
        else:
            parameters.append(parameter.replace(annotation=hint, kind=parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        given = {
            parameter.name: values[parameter.name]
            for parameter in parameters
            if values[parameter.name] != parameter.default
        }
        arguments = {
            name: group(**{f.name: values.pop(f.name) for f in dataclasses.fields(group)})
            for name, group in groups.items()
        }
        token = _GIVEN.set(given)
        try:
            command(**arguments, **values)
        finally:
            _GIVEN.reset(token)

    # The parser reads both; the wrapped function would lead it back to the groups.
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    del wrapper.__wrapped__
    return wrapper


def _spread(group: type[Any]) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=hints[field.name],
            default=(
                inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
            ),
        )
        for field in dataclasses.fields(group)
    ]
