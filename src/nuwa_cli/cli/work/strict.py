"""`--strict-prompt` and `--strict-size`: what is otherwise done with a note is refused, before a model is loaded.

For scripts that cannot read notes: a misspelt subject would be left out of the picture, and a picture of another
shape would lose its edges.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nuwa_cli.errors import UsageError

if TYPE_CHECKING:
    from nuwa_cli.api import Given

_SHOWN = 40  # characters of a prompt in a message


def check_words(prompts: Iterable[str], model: str) -> None:
    """Raise UsageError for a prompt that the model does not know all of, or all the words of."""
    prompts = [prompt for prompt in dict.fromkeys(prompts) if prompt]
    if not prompts:
        return

    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import TEXT_NAME, read_manifest, read_verified
    from nuwa_cli.hub.model_config import read_config
    from nuwa_cli.tokenizer.text import TextTokenizer

    folder = find_model(model)
    read_verified(folder, TEXT_NAME, read_manifest(folder))
    text = TextTokenizer.load(folder / TEXT_NAME)
    most = read_config(folder).transformer.max_text_len
    for prompt in prompts:
        shown = prompt if len(prompt) <= _SHOWN else f"{prompt[: _SHOWN - 1]}…"
        unknown = text.unknown_words(prompt)
        if unknown:
            word, nearest = unknown[0]
            advice = f"give {' or '.join(nearest)}" if nearest else "see: nuwa vocab"
            raise UsageError(f"prompt '{shown}': '{word[:_SHOWN]}' is unknown; {advice}")
        dropped = text.dropped_text(prompt, most)
        if dropped:
            raise UsageError(
                f"prompt '{shown}': too long, '{dropped[:_SHOWN]}' would be ignored; give a shorter one"
            )


def check_size(given: Given, size: int) -> None:
    """Raise UsageError unless the model sees the pixels of an input as they are, `size` a side."""
    from nuwa_cli.api.fitting import choose_fit

    fit = choose_fit(given, size)
    if fit is not None and fit.describe():
        name = given.sources[0]["name"]
        raise UsageError(
            f"input '{name}': would be {fit.describe()}; give {size}x{size} pixels, or leave --strict-size out"
        )
