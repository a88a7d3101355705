"""Models of the Hugging Face hub: `owner/name@revision` into the hub's own cache.

The cache is asked first, so a model that was fetched once needs no network. What the manifest says is
compared with every file before a folder is given out: a damaged file is moved aside, and the next run
downloads it anew. The download itself runs in a process of its own (`download.py`), which is ended when
nothing arrives any more: a hub that hangs costs seconds, not a run.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.hub.manifest import MANIFEST_NAME, Manifest, open_verified, read_manifest

STALL_SECONDS = 8.0
"""How long a download may stand still before it is given up …"""
STALL_BYTES = 4096
"""… and what it must bring in that time not to count as standing still."""

_verified: set[tuple[Path, str]] = set()
"""What this process has compared already; loading compares again the bytes that it uses."""
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 2.0
_ASIDE = ".damaged"
_QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_ETAG_TIMEOUT": "5",
}


def fetch_repository(spec: str) -> Path:
    """Folder of `owner/name` or `owner/name@revision`, downloaded unless it is in the cache.

    Raises EnvironmentFault when the hub cannot be reached, refuses or hangs, InputError when the
    repository holds no model of ours or a file of it is damaged.
    """
    repository, _, revision = spec.partition("@")
    folder = cached_folder(spec)
    if folder is None:
        folder = _download(spec, repository, revision)
    manifest = read_manifest(folder)
    for name in [] if (folder, manifest.digest) in _verified else sorted(manifest.files):
        try:
            open_verified(folder, name, manifest).close()
        except InputError as error:
            _move_aside(folder / name)
            raise InputError(str(error).replace("fetch the model again", "run it again")) from error
    _verified.add((folder, manifest.digest))
    return folder


def cached_folder(spec: str) -> Path | None:
    """The complete snapshot of a repository in the cache, not verified; None when there is none."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = spec.partition("@")
    found = try_to_load_from_cache(repository, MANIFEST_NAME, revision=revision or None)
    if not isinstance(found, str) or not os.path.isfile(found):
        return None
    folder = Path(found).parent
    try:
        manifest: Manifest = read_manifest(folder)
    except InputError:
        return None
    return folder if all((folder / name).is_file() for name in manifest.files) else None


def is_offline() -> bool:
    """Whether the user has forbidden the network (HF_HUB_OFFLINE)."""
    from huggingface_hub.constants import is_offline_mode

    return bool(is_offline_mode())


def _download(spec: str, repository: str, revision: str) -> Path:
    if is_offline():
        raise EnvironmentFault(
            f"model '{spec}': is not in the cache, and HF_HUB_OFFLINE forbids to fetch it; "
            "unset it, or use --model storybook"
        )
    answer = _ask_child(spec, repository, revision)
    if answer.get("is_no_model"):
        raise InputError(
            f"model '{spec}': the repository has no usable {MANIFEST_NAME}, so it is no model of "
            "nuwa; choose another one"
        )
    if "folder" not in answer:
        raise _unreachable(spec, str(answer.get("error", "no answer")))
    return Path(answer["folder"])


def _ask_child(spec: str, repository: str, revision: str) -> dict[str, Any]:
    # -P: never import from the working folder, which may be anybody's.
    words = [sys.executable, "-P", "-m", "nuwa_cli.hub.download", repository, revision]
    process = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_QUIET},
    )
    try:
        _watch(spec, process, _cache_of(repository))
        content, _ = process.communicate()
    finally:
        if process.poll() is None:
            process.terminate()  # it removes what it has not finished
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
            process.kill()
            process.wait()
    try:
        answer = json.loads(content)
    except ValueError:
        return {"error": f"the download ended with status {process.returncode}"}
    return answer if isinstance(answer, dict) else {}


def _watch(spec: str, process: subprocess.Popen[bytes], cache: Path) -> None:
    """Wait for the end of the process. Raises EnvironmentFault when nothing arrives any more."""
    size, since = _bytes_in(cache), time.monotonic()
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
        now = _bytes_in(cache)
        if now - size >= STALL_BYTES:
            size, since = now, time.monotonic()
        elif time.monotonic() - since > STALL_SECONDS:
            raise _unreachable(spec, f"nothing arrived for {STALL_SECONDS:g} s")


def _cache_of(repository: str) -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def _bytes_in(cache: Path) -> int:
    """Bytes of all blobs, unfinished ones included; they only ever grow."""
    total = 0
    with contextlib.suppress(OSError), os.scandir(cache / "blobs") as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                total += entry.stat().st_size
    return total


def _move_aside(path: Path) -> None:
    """Take a damaged file out of the cache, so that the next run downloads it anew."""
    with contextlib.suppress(OSError):
        blob = path.resolve()
        blob.replace(blob.with_name(blob.name + _ASIDE))
        if path.is_symlink():
            path.unlink()


def _unreachable(spec: str, reason: str) -> EnvironmentFault:
    return EnvironmentFault(
        f"model '{spec}': is not in the cache, and the hub did not give it ({reason[:60]}); check name "
        "and network (HF_HUB_OFFLINE=1 asks the cache only), or use --model storybook"
    )
