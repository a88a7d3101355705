"""Models of the Hugging Face hub: `owner/name@revision` into the hub's own cache.

The cache is asked first, so a model that was fetched once needs no network. Only the files of a
model folder are fetched; the manifest in it is what the loader trusts, not the server.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.hub.manifest import CARD_NAME, MANIFEST_NAME, OPTIONAL_NAMES, REQUIRED_NAMES


def fetch_repository(spec: str) -> Path:
    """Folder of `owner/name` or `owner/name@revision`, downloaded unless it is in the cache.

    Raises EnvironmentFault when the hub cannot be reached or refuses, InputError when the
    repository holds no model of ours.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    repository, _, revision = spec.partition("@")
    wanted = [*REQUIRED_NAMES, *OPTIONAL_NAMES, MANIFEST_NAME, CARD_NAME]

    def snapshot(*, offline: bool) -> Path:
        with contextlib.redirect_stderr(io.StringIO()):  # its notes would break "one line"
            return Path(
                snapshot_download(
                    repository,
                    revision=revision or None,
                    allow_patterns=wanted,
                    local_files_only=offline,
                )
            )

    with contextlib.suppress(LocalEntryNotFoundError):
        folder = snapshot(offline=True)
        if (folder / MANIFEST_NAME).is_file():
            return folder
    try:
        folder = snapshot(offline=False)
    except Exception as error:  # the hub client raises errors of three libraries
        raise EnvironmentFault(
            f"model '{spec}': not in the cache, and the hub did not give it "
            f"({type(error).__name__}); check name and network, or use --model storybook"
        ) from error
    if not (folder / MANIFEST_NAME).is_file():
        raise InputError(
            f"model '{spec}': the repository has no {MANIFEST_NAME}, so it is no model of nuwa; "
            "choose another one"
        )
    return folder
