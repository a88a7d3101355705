"""Prompts: refused before any work when they say nothing, tokenized when they do."""

from __future__ import annotations

import unicodedata

from nuwa_cli.errors import UsageError

MAX_PROMPT_CHARACTERS = 4096
"""Far above 77 tokens: what is longer is a file given by mistake."""


def check_prompt(prompt: str) -> str:
    """The prompt without blanks at its ends.

    Raises UsageError when it holds no letter, digit or symbol, is not valid Unicode, or is longer
    than `MAX_PROMPT_CHARACTERS`.
    """
    shown = prompt[:40] + ("…" if len(prompt) > 40 else "")
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError:
        raise UsageError(f"prompt '{shown}': is not valid UTF-8; retype it") from None
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise UsageError(
            f"prompt '{shown}': has {len(prompt)} characters; "
            f"give at most {MAX_PROMPT_CHARACTERS}, a sentence is best"
        )
    if not any(unicodedata.category(character)[0] in "LNS" for character in prompt):
        raise UsageError(
            f"prompt '{shown}': says nothing; describe what to draw, e.g. \"a dog on the beach\""
        )
    return prompt.strip()
