"""`nuwa models`: list, info, pull, verify and rm, with a hub on the loopback interface."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hub_server import serve

Run = Callable[..., Any]


def test_what_ships_with_nuwa(inside: Run) -> None:
    assert "storybook: 256x256" in inside("models", "list").stdout
    said = inside("models", "info").stdout
    assert "pictures of 256x256, clips of 10 frames" in said
    document = json.loads(inside("models", "info", "--json").stdout)
    assert document["schema"] == "nuwa.models/1"
    assert document["config"]["transformer"]["dim"] == 288


def test_a_model_folder(inside: Run, model_folder: Path) -> None:
    assert inside("models", "info", model_folder).stdout.startswith("tiny: pictures of 32x32")
    (copy := model_folder.parent / "damaged").mkdir(exist_ok=True)
    inside("models", "info", copy).check_refusal(3, "manifest.json")


def test_a_model_comes_and_goes(
    nuwa: Run, tmp_path: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(model_folder) as hub:
        for name, value in (
            ("HF_HUB_OFFLINE", "0"),
            ("HF_ENDPOINT", hub.endpoint),
            ("HF_HUB_CACHE", str(tmp_path / "cache")),
            ("no_proxy", "*"),
        ):
            monkeypatch.setenv(name, value)
        done = nuwa("models", "pull", "me/tiny@main")
        assert done.status == 0, done
        assert (Path(done.stdout.strip()) / "transformer.safetensors").is_file()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "me/tiny@main: fetched from the hub" in nuwa("models", "list").stdout
    assert nuwa("models", "info", "me/tiny@main").stdout.startswith("tiny: ")
    assert nuwa("models", "verify", "me/tiny@main").status == 0
    nuwa("models", "rm", "me/tiny").check_refusal(2, "give --yes")
    assert "me/tiny: removed" in nuwa("models", "rm", "me/tiny", "--yes").stdout
    assert "me/tiny" not in nuwa("models", "list").stdout
    nuwa("models", "rm", "me/tiny", "--yes").check_refusal(3, "is not in the cache")


@pytest.mark.parametrize("name", ["storybook", "me/tiny@", "a/../b", "", "https://x/y"])
def test_what_is_no_repository(inside: Run, name: str) -> None:
    for words in (("pull", name), ("rm", name, "--yes")):
        inside("models", *words).check_refusal(2, "is no owner/name of the hub")
