"""Models of the hub: the cache first, one network call, and errors that say what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.hub.catalog import find_model
from nuwa_cli.hub.manifest import OPTIONAL_NAMES, REQUIRED_NAMES


class Hub:
    """A hub with one repository; counts what it is asked."""

    def __init__(self, cached: Path | None, remote: Path | None) -> None:
        self.cached, self.remote = cached, remote
        self.asked: list[dict[str, Any]] = []

    def snapshot_download(self, repository: str, **options: Any) -> str:
        self.asked.append({"repository": repository, **options})
        folder = self.cached if options["local_files_only"] else self.remote
        if folder is None:
            if options["local_files_only"]:
                raise LocalEntryNotFoundError("not cached")
            raise OSError("connection refused\nsecond line")
        return str(folder)


def use(monkeypatch: pytest.MonkeyPatch, cached: Path | None, remote: Path | None) -> Hub:
    hub = Hub(cached, remote)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    return hub


def test_the_cache_comes_first(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = use(monkeypatch, cached=model_folder, remote=None)
    assert find_model("owner/name@v1") == model_folder
    (asked,) = hub.asked
    assert (asked["repository"], asked["revision"]) == ("owner/name", "v1")
    assert asked["local_files_only"]
    assert {*REQUIRED_NAMES, *OPTIONAL_NAMES} < set(asked["allow_patterns"])
    assert not [p for p in asked["allow_patterns"] if "*" in p]  # no file but those we know


def test_a_download(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = use(monkeypatch, cached=None, remote=model_folder)
    assert find_model("owner/name") == model_folder
    assert [a["local_files_only"] for a in hub.asked] == [True, False]
    assert hub.asked[1]["revision"] is None


def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, cached=None, remote=None)
    with pytest.raises(EnvironmentFault, match=r"\(OSError\); check name and network") as caught:
        find_model("owner/name@v1")
    assert "\n" not in str(caught.value)


def test_a_repository_of_something_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, cached=None, remote=tmp_path)
    with pytest.raises(InputError, match=r"no manifest\.json"):
        find_model("owner/name")
