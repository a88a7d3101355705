"""Models that were fetched before: what lies in the hub's cache, and how to be rid of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.hub.manifest import MANIFEST_NAME


@dataclass(frozen=True)
class CachedModel:
    """A repository in the cache that holds a model of ours."""

    repository: str
    revisions: tuple[str, ...]  # branches and tags that point to it, else its commit
    folder: Path
    size: int  # bytes on the disk


def cached_models() -> list[CachedModel]:
    """All of them, by name; none where there is no cache."""
    return [
        CachedModel(repo.repo_id, names, revision.snapshot_path, revision.size_on_disk)
        for repo in sorted(_repositories(), key=lambda repo: repo.repo_id)
        for revision in sorted(repo.revisions, key=lambda revision: revision.commit_hash)
        if (revision.snapshot_path / MANIFEST_NAME).is_file()
        for names in [tuple(sorted(revision.refs)) or (revision.commit_hash,)]
    ]


def remove_cached(repository: str) -> int:
    """Delete every revision of a repository from the cache; the bytes that are free then.

    Raises InputError when it is not there, EnvironmentFault when it cannot be deleted.
    """
    from huggingface_hub import scan_cache_dir

    found = [repo for repo in _repositories() if repo.repo_id == repository]
    if not found:
        raise InputError(f"model '{repository}': is not in the cache; see: nuwa models list")
    commits = [revision.commit_hash for repo in found for revision in repo.revisions]
    plan = scan_cache_dir().delete_revisions(*commits)
    plan.execute()
    if any(repo.repo_path.exists() for repo in found):
        raise EnvironmentFault(
            f"model '{repository}': could not be removed from {found[0].repo_path}; "
            "look at its permissions"
        )
    return int(plan.expected_freed_size)


def _repositories() -> list[Any]:
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        return [repo for repo in scan_cache_dir().repos if repo.repo_type == "model"]
    except (CacheNotFound, OSError, ValueError):
        return []
