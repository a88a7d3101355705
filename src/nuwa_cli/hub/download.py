"""The process that talks to the hub: `python -m nuwa_cli.hub.download REPOSITORY REVISION`.

Started by `fetch.py`, which ends it when nothing arrives any more. It fetches the manifest first, then
what the manifest names, into the hub's own cache, and prints one JSON object: {"folder"} or {"error"}.
The hub client takes care of retries, ranges and locks.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from nuwa_cli.errors import InputError
from nuwa_cli.hub.manifest import CARD_NAME, MANIFEST_NAME, read_manifest

_PAUSES = (0.5, 1.0, 2.0, None)  # seconds before the next attempt


def main(repository: str, revision: str) -> dict[str, Any]:
    """Download one model; the answer as JSON."""
    from huggingface_hub.errors import EntryNotFoundError

    def fetch(name: str) -> Path:
        return _fetch(repository, name, revision or None)

    try:
        folder = fetch(MANIFEST_NAME).parent
        files = read_manifest(folder).files
    except (EntryNotFoundError, InputError) as error:
        return {"error": str(error), "is_no_model": True}
    except Exception as error:  # the client raises errors of three libraries
        return {"error": _reason(error)}
    try:
        if any(fetch(name).parent != folder for name in files):
            return {"error": "the repository changed meanwhile; run it again"}
        with contextlib.suppress(EntryNotFoundError):  # a model card is welcome, not needed
            fetch(CARD_NAME)
    except Exception as error:
        return {"error": _reason(error)}
    return {"folder": str(folder)}


def _fetch(repository: str, name: str, revision: str | None) -> Path:
    """One file into the cache; a server that is busy is asked again, which the client does not do."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    for pause in _PAUSES:
        try:
            return Path(hf_hub_download(repository, name, revision=revision))
        except HfHubHTTPError as error:
            status = getattr(error.response, "status_code", 0)
            if status < 500 or pause is None:
                raise
            time.sleep(pause)
    raise AssertionError("the last pause is None")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror.lower()}"
    return type(error).__name__


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the client removes unfinished files
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's, which then ends us
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
