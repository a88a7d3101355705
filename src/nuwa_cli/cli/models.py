"""`nuwa models`: which models there are, and whether their files are intact."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nuwa_cli.cli.options import JsonFlag
from nuwa_cli.cli.output import print_json, print_line
from nuwa_cli.errors import MismatchError

MODELS_SCHEMA = "nuwa.models/1"

models_app = typer.Typer(
    help="nuwa models list\n\nThe models that nuwa knows, and the state of their files.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add `nuwa models …` to the command line."""
    app.add_typer(models_app, name="models", short_help="List models, verify their files.")


@models_app.command("list", short_help="Show the models that need no download.")
def list_models(json: JsonFlag = False) -> None:
    """nuwa models list

    Show the models that need no download. Any model folder, and any owner/name@revision
    of the Hugging Face hub that holds one, can be given to --model as well.
    """
    from nuwa_cli.hub.catalog import CATALOG

    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "summary": entry.summary,
            "folder": None if entry.folder is None else str(entry.folder),
        }
        for entry in CATALOG
    ]
    if json:
        print_json({"schema": MODELS_SCHEMA, "models": rows})
        return
    for row in rows:
        state = "installed" if row["folder"] else "not installed"
        print_line(f"{row['name']}: {row['summary']} ({state})")


@models_app.command("verify", short_help="Compare the files of a model with its manifest.")
def verify(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or folder.")] = "storybook",
    json: JsonFlag = False,
) -> None:
    """nuwa models verify storybook

    Compare size and sha256 of every file of a model with its manifest.
    Status 0 if all agree, 7 if one differs.
    """
    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import verify_files

    folder = find_model(model)
    manifest, problems = verify_files(folder)
    if json:
        files = {name: vars(record) for name, record in sorted(manifest.files.items())}
        facts = {"folder": str(folder), "sha256": manifest.digest, "files": files}
        print_json({"schema": MODELS_SCHEMA, **facts, "problems": problems})
    elif not problems:
        print_line(f"{folder}: {len(manifest.files)} files intact, sha256 {manifest.digest}")
    if problems:
        raise MismatchError(problems[0])
