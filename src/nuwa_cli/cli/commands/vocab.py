"""`nuwa vocab`: the words that a model learned from, so that prompts can use them."""

from __future__ import annotations

from typing import Annotated

import typer

from nuwa_cli.cli.work.options import JsonFlag
from nuwa_cli.cli.work.output import Output, print_json, print_line

VOCAB_SCHEMA = "nuwa.vocab/1"


def register(app: typer.Typer) -> None:
    """Add `nuwa vocab` to the command line."""
    app.command("vocab", short_help="List the words that a model learned from.")(vocab)


def vocab(
    like: Annotated[str, typer.Argument(metavar="TEXT", help="Only words that contain this.")] = "",
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="Name, folder, or owner/name@revision.")
    ] = "storybook",
    json: JsonFlag = False,
) -> None:
    """nuwa vocab

    List the words of the captions that a model was trained on, one a line.

    \b
    nuwa vocab whale        is there a whale?
    nuwa vocab 鲸           and in Chinese?
    """
    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import TEXT_NAME, read_manifest, read_verified
    from nuwa_cli.tokenizer.text import TextTokenizer, normalize

    folder = find_model(model)
    read_verified(folder, TEXT_NAME, read_manifest(folder))
    wanted = normalize(like)
    words = sorted(word for word in TextTokenizer.load(folder / TEXT_NAME).words if wanted in word)
    if json:
        print_json({"schema": VOCAB_SCHEMA, "words": words})
        return
    if not words:
        Output(as_json=False, quiet=False).note(f"no word that it knows contains '{like[:40]}'")
    for word in words:
        print_line(word)
