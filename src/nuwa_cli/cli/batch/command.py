"""`nuwa batch`: many jobs of any kind with one model, checked first, resumable, told line by line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from nuwa_cli.cli.work.options import (
    JsonFlag,
    JsonStreamFlag,
    ModelOptions,
    QuietFlag,
    check_range,
    check_voice,
    takes_options,
)
from nuwa_cli.errors import UsageError

JobFiles = Annotated[
    list[Path],
    typer.Argument(metavar="JOBS", help="Job files: .jsonl .csv .toml, or - for JSON lines."),
]

_MAX_WORKERS = 256


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Where results go, what happens when a job fails, and who works."""

    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Folder for outputs; it is made."),
    ] = None
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", metavar="FILE", help="Result list; JOBS.results.jsonl if not given."
        ),
    ] = None
    keep_going: Annotated[
        bool, typer.Option("-k", "--keep-going", help="Do the other jobs when one fails.")
    ] = False
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip jobs that an earlier run did; same files.")
    ] = False
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace existing files.")] = False
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check every job and name the files; write none.")
    ] = False
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", help="Processes that draw; if not given, as many as help."
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option("--ray", metavar="ADDRESS|local", help="Spread the jobs over a Ray cluster."),
    ] = None
    json: JsonFlag = False
    json_stream: JsonStreamFlag = False
    quiet: QuietFlag = False

    def check(self) -> None:
        """Raise UsageError for options that cannot be meant."""
        check_voice(as_json=self.json, as_events=self.json_stream)
        if self.workers is not None:
            check_range("workers", self.workers, 1, _MAX_WORKERS)
        if self.resume and self.force:
            raise UsageError("resume: with --force nothing is kept; leave one of them out")


def register(app: typer.Typer) -> None:
    """Add `nuwa batch` to the command line."""
    app.command("batch", short_help="Do many jobs from a file with one model.")(batch)


@takes_options
def batch(
    context: typer.Context, jobs: JobFiles, options: BatchOptions, model: ModelOptions
) -> None:
    """nuwa batch jobs.jsonl -o out --keep-going

    Do many jobs of any kind. One model is loaded, like jobs are drawn together, and every
    file is byte for byte that of a single call. All jobs are checked before the first one
    runs. A job may read what an earlier one makes. In jobs.jsonl each line is a job, with
    the arguments and long options of its command as they are called in its help:

    \b
      {"command": "t2i", "prompt": "a hill", "output": "hill.png"}
      {"command": "predict", "media": "hill.png", "seed": [1, 2], "output": "{seed}.mp4"}

    \b
    .jsonl  a first line {"defaults": {"best-of": 4}} is for all jobs that know it
    .csv    the first row has the names; an empty cell is not given
    .toml   [defaults], and a table [[jobs]] for each

    A list where one value is taken makes a job of each; several lists, of each combination.
    Names of files have the fields {job} {slug} {index} {seed} and those of such lists.

    The result list has a line of JSON for each job that ended. With it --resume goes on
    after any stop, to the same files: it skips jobs whose files are what the list says.

    \b
    nuwa batch jobs.csv --resume
    nuwa batch jobs.toml --workers 2 --json > result.json
    jq -c '{command: "t2i", prompt: .}' prompts.json | nuwa batch - -o pictures
    """
    options.check()

    from nuwa_cli.cli.batch.office import run_batch

    typed = {
        name: value
        for name, value in vars(model).items()
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    }
    run_batch(jobs, options, defaults=typed)
