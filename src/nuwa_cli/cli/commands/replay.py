"""`nuwa replay`: run the recipe in a file again, and with --check see whether it makes the same file.

A recipe becomes a command line (`recall`), which runs in this process, so several files share one loaded
model. Settings files and variables of today have no part in it: a recipe says all that was given.

A check compares bytes. Where they differ it says by how much: pixels in decibels, tokens as a share, and
which entries of the recipe. An entry that was changed is a difference too, even where the pixels are the
same: the file is then not what its recipe makes.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuwa_cli.cli.main_errors import complain
from nuwa_cli.cli.work.options import VoiceOptions, parse_seed, takes_options
from nuwa_cli.cli.work.output import print_json, print_line
from nuwa_cli.errors import InputError, MismatchError, NuwaError, UsageError

if TYPE_CHECKING:
    from nuwa_cli.cli.recipes.replay_inputs import Inputs
    from nuwa_cli.cli.recipes.rerun import Rerun

REPLAY_SCHEMA = "nuwa.replay/1"

Files = Annotated[
    list[Path], typer.Argument(metavar="FILE", help="Pictures and clips of nuwa, frames/%04d.png.")
]
Target = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="File to write; FILE-replay unless given."),
]
OtherSeed = Annotated[
    str | None, typer.Option("--seed", metavar="N|random", help="Instead of the recipe's seed.")
]
InputFiles = Annotated[
    list[Path] | None,
    typer.Option("--input", metavar="PATH", help="Where an input file is now; repeatable."),
]
OtherModel = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME", help="Where the model is now: name, folder, owner/name."
    ),
]
Check = Annotated[
    bool, typer.Option("--check", help="Write nothing; status 7 unless it makes the same file.")
]


def register(app: typer.Typer) -> None:
    """Add `nuwa replay` to the command line."""
    app.command("replay", short_help="Make a file again from the recipe in it, or check it.")(
        replay
    )


@takes_options
def replay(
    context: typer.Context,
    files: Files,
    voice: VoiceOptions,
    output: Target = None,
    seed: OtherSeed = None,
    inputs: InputFiles = None,
    model: OtherModel = None,
    check: Check = False,
) -> None:
    """nuwa replay golf.gif --seed 8 -o golf-8.gif

    Run the recipe in a file again: same command, prompt, options and model. The result is
    golf-replay.gif unless -o names it, in any format. Input files are looked for by name
    beside FILE and here; they must be the very files that they were.

    With --check nothing is written: status 0 if the recipe makes FILE again byte for byte,
    7 if not, and how far they are apart.

    \b
    nuwa replay edited.png --input originals/hill.png
    nuwa replay --check out/*.png out/*.mp4
    """
    if check and output is not None:
        raise UsageError(f"output '{output}': --check writes nothing; leave one of them out")
    if output is not None and len(files) > 1:
        raise UsageError(f"output '{output}': is one name for {len(files)} files; give one FILE")
    # A model or seed that a settings file names is one for new pictures.
    typed = {
        name
        for name in ("model", "seed")
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    number = parse_seed(seed) if seed is not None and "seed" in typed else None

    from nuwa_cli.cli.recipes.replay_inputs import Inputs

    run = _Run(
        seed=number,
        model=model if "model" in typed else None,
        inputs=Inputs(inputs or ()),
        is_check=check,
        options=voice,
    )
    run.all(files, output)


class _Run:
    """One call of the command."""

    def __init__(
        self,
        *,
        seed: int | None,
        model: str | None,
        inputs: Inputs,
        is_check: bool,
        options: VoiceOptions,
    ) -> None:
        """Raises UsageError for options that go not together."""
        self.seed, self.model, self.inputs, self.is_check = seed, model, inputs, is_check
        self.options, self.voice = options, options.voice()
        self.results: list[dict[str, Any]] = []

    def all(self, files: list[Path], output: Path | None) -> None:
        """Every file in turn. A check goes on after a bad one, and ends with the worst news.

        Raises MismatchError, and what a single file raises.
        """
        refusals: list[NuwaError] = []
        with self.voice.progress(len(files), "file") as progress:
            for path in files:
                try:
                    self.one(path, output)
                except (InputError, MismatchError) as error:
                    if not self.is_check or len(files) == 1:
                        self.finish()
                        raise
                    complain(str(error))
                    refusals.append(error)
                progress.next()
        self.finish()
        if refusals:
            differs = [error for error in refusals if isinstance(error, MismatchError)]
            raise (MismatchError if differs else InputError)(
                f"replay: {len(refusals)} of {len(files)} files could not be confirmed"
            )

    def one(self, path: Path, output: Path | None) -> None:
        """Make one file again, or check it."""
        from nuwa_cli.cli.recipes.rerun import Original, Rerun

        original = Original.read(path, is_check=self.is_check)
        rerun = Rerun.of(original, self.inputs, self.seed, self.model)
        if self.is_check:
            rerun.require_model()
            self.check(rerun)
        else:
            self.make(rerun, output or original.default_output())

    def make(self, rerun: Rerun, output: Path) -> None:
        """Write it anew."""
        for note in rerun.notes():
            self.voice.note(note)
        made, notes = rerun.make(output)
        for note in notes:
            self.voice.note(note)
        path = rerun.original.path
        self.tell({"path": str(path), "status": "made", "output": str(made)}, line=str(made))

    def check(self, rerun: Rerun) -> None:
        """Make it beside, and compare. Raises MismatchError."""
        from nuwa_cli.cli.recipes.rerun import scratch

        path = rerun.original.path
        with scratch() as folder:
            found = rerun.original.compare(rerun.remake(folder))
        status = "identical" if found.is_identical else "differs"
        line = f"{path}: identical" if found.is_identical else None
        self.tell({"path": str(path), "status": status, **found.facts()}, line=line)
        if not found.is_identical:
            raise MismatchError(
                f"replay '{path}': differs: {found.describe()}; look at it with: nuwa replay '{path}'"
            )

    def tell(self, result: dict[str, Any], *, line: str | None) -> None:
        """What became of one file."""
        self.results.append(result)
        self.voice.event("output", **result)
        if line is not None and not self.options.json and not self.options.json_stream:
            print_line(line)

    def finish(self) -> None:
        """The JSON document or the last event, if one was asked for."""
        document = {"schema": REPLAY_SCHEMA, "command": "replay", "files": self.results}
        self.voice.event("result", **document)
        if self.options.json and self.results:
            print_json(document)
