"""`nuwa models`: which models there are, fetching and converting them, and whether their files are intact."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nuwa_cli.cli.work.options import JsonFlag
from nuwa_cli.cli.work.output import print_json, print_line
from nuwa_cli.errors import MismatchError, UsageError

MODELS_SCHEMA = "nuwa.models/1"

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name, folder, or owner/name@revision.")
]
Repository = Annotated[str, typer.Argument(metavar="OWNER/NAME", help="A repository of the hub.")]

models_app = typer.Typer(
    help="nuwa models list\n\nThe models that nuwa knows, and the state of their files.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add `nuwa models …` to the command line."""
    app.add_typer(
        models_app, name="models", short_help="List, fetch, verify, convert and remove models."
    )


@models_app.command("list", short_help="Show the models that need no download.")
def list_models(json: JsonFlag = False) -> None:
    """nuwa models list

    Show the models that need no download: those that ship with nuwa, and those that were
    fetched before. Any model folder, and any owner/name@revision of the Hugging Face hub
    that holds one, can be given to --model as well.
    """
    from nuwa_cli.hub.cache import cached_models
    from nuwa_cli.hub.catalog import CATALOG

    rows: list[dict[str, Any]] = [
        {
            "name": entry.name,
            "summary": entry.summary,
            "folder": None if entry.folder is None else str(entry.folder),
        }
        for entry in CATALOG
    ]
    rows += [
        {
            "name": f"{model.repository}@{model.revisions[0]}",
            "summary": f"fetched from the hub, {_megabytes(model.size)}",
            "folder": str(model.folder),
        }
        for model in cached_models()
    ]
    if json:
        print_json({"schema": MODELS_SCHEMA, "models": rows})
        return
    for row in rows:
        state = "installed" if row["folder"] else "not installed"
        print_line(f"{row['name']}: {row['summary']} ({state})")


@models_app.command("info", short_help="Show what a model is and can do.")
def info(model: Model = "storybook", json: JsonFlag = False) -> None:
    """nuwa models info storybook

    Show what a model is: its nets, sizes and defaults. Its weights are not loaded.
    """
    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import RERANKER_NAME, SKETCH_NAME, read_manifest
    from nuwa_cli.hub.model_config import read_config

    folder = find_model(model)
    manifest = read_manifest(folder)
    config = read_config(folder, manifest)
    size = config.tokenizer.image_size
    facts: dict[str, Any] = {
        "name": config.name,
        "folder": str(folder),
        "sha256": manifest.digest,
        "bytes": sum(record.size for record in manifest.files.values()),
        "picture": [size, size],
        "frames": config.num_frames,
        "fps": config.fps,
        "sketches": SKETCH_NAME in manifest.files,
        "best_of": RERANKER_NAME in manifest.files,
        "defaults": config.defaults.to_dict(),
    }
    if json:
        print_json({"schema": MODELS_SCHEMA, **facts, "config": config.to_dict()})
        return
    able = [name for name in ("sketches", "best_of") if facts[name]]
    transformer = config.transformer
    print_line(f"{config.name}: pictures of {size}x{size}, clips of {config.num_frames} frames")
    print_line(f"  folder: {folder}, {_megabytes(facts['bytes'])}")
    print_line(f"  sha256: {manifest.digest}")
    print_line(
        f"  transformer: {transformer.encoder_layers} + {transformer.decoder_layers} layers, "
        f"{transformer.dim} wide; {config.tokenizer.codebook_size} codes"
    )
    print_line(f"  also reads or does: {', '.join(able).replace('_', '-') or 'nothing else'}")


@models_app.command("pull", short_help="Fetch a model of the hub, and verify it.")
def pull(model: Repository, json: JsonFlag = False) -> None:
    """nuwa models pull owner/name@v1

    Fetch a model of the Hugging Face hub into its cache, and compare every file with the
    manifest. A model that is there is only verified. This is the only command, with
    --model owner/name, that uses the network; HF_HUB_OFFLINE=1 forbids it.
    """
    from nuwa_cli.hub.catalog import is_repository
    from nuwa_cli.hub.fetch import fetch_repository
    from nuwa_cli.hub.manifest import read_manifest

    _require_repository(model, is_valid=is_repository(model))
    folder = fetch_repository(model)
    digest = read_manifest(folder).digest
    if json:
        facts = {"name": model, "folder": str(folder), "sha256": digest}
        print_json({"schema": MODELS_SCHEMA, **facts})
    else:
        print_line(str(folder))


@models_app.command("rm", short_help="Remove a fetched model from the cache.")
def remove(
    model: Repository,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    json: JsonFlag = False,
) -> None:
    """nuwa models rm owner/name

    Remove all revisions of a fetched model from the cache. Asks first on a terminal;
    elsewhere --yes is needed.
    """
    from nuwa_cli.hub.cache import remove_cached
    from nuwa_cli.hub.catalog import is_repository

    _require_repository(model, is_valid=is_repository(model) and "@" not in model)
    if not yes:
        if sys.stdin is None or not sys.stdin.isatty():
            raise UsageError(f"model '{model}': nobody can be asked here; give --yes to remove it")
        if not typer.confirm(f"Remove {model} from the cache?", err=True):
            raise UsageError(f"model '{model}': was not removed")
    freed = remove_cached(model)
    if json:
        print_json({"schema": MODELS_SCHEMA, "removed": model, "bytes": freed})
    else:
        print_line(f"{model}: removed, {_megabytes(freed)}")


@models_app.command("convert", short_help="Write a model in another number format.")
def convert(
    target: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="New folder.")],
    dtype: Annotated[
        Literal["bfloat16", "float16", "float32"],
        typer.Option("--dtype", help="Number format of all weights."),
    ],
    model: Model = "storybook",
    force: Annotated[bool, typer.Option("-f", "--force", help="Replace the model there.")] = False,
    json: JsonFlag = False,
) -> None:
    """nuwa models convert storybook --dtype float32 -o storybook-32

    Write a model once more, its weights in another number format, for programs that cannot
    read bfloat16. Every command takes the new folder as --model.
    """
    from nuwa_cli.hub.catalog import find_model

    folder = find_model(model)

    import torch

    from nuwa_cli.hub.convert import convert_model

    digest = convert_model(folder, target, getattr(torch, dtype), force=force)
    if json:
        facts = {"folder": str(target), "dtype": dtype, "sha256": digest}
        print_json({"schema": MODELS_SCHEMA, **facts})
    else:
        print_line(str(target))


@models_app.command("verify", short_help="Compare the files of a model with its manifest.")
def verify(model: Model = "storybook", json: JsonFlag = False) -> None:
    """nuwa models verify storybook

    Compare size and sha256 of every file of a model with its manifest.
    Status 0 if all agree, 7 if one differs.
    """
    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import verify_files

    folder: Path = find_model(model)
    manifest, problems = verify_files(folder)
    if json:
        files = {name: vars(record) for name, record in sorted(manifest.files.items())}
        facts = {"folder": str(folder), "sha256": manifest.digest, "files": files}
        print_json({"schema": MODELS_SCHEMA, **facts, "problems": problems})
    elif not problems:
        print_line(f"{folder}: {len(manifest.files)} files intact, sha256 {manifest.digest}")
    if problems:
        raise MismatchError(problems[0])


def _require_repository(spec: str, *, is_valid: bool) -> None:
    from nuwa_cli.hub.catalog import CATALOG

    if any(entry.name == spec for entry in CATALOG):
        raise UsageError(
            f"model '{spec}': is no owner/name of the hub: it ships with nuwa, and stays"
        )
    if not is_valid:
        raise UsageError(f"model '{spec[:80]}': is no owner/name of the hub; see: nuwa models list")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
