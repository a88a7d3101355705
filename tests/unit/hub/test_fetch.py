"""Models of the hub without a hub; with one, and all that it can do wrong: tests/robustness."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nuwa_cli.errors import EnvironmentFault, InputError
from nuwa_cli.hub import fetch
from nuwa_cli.hub.catalog import find_model
from nuwa_cli.hub.manifest import MANIFEST_NAME


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: str) -> list[list[str]]:
    """Let the downloading process print this; the list fills with what it was started with."""
    started: list[list[str]] = []
    popen = subprocess.Popen

    def start(words: list[str], **options: Any) -> Any:
        started.append(words)
        return popen([sys.executable, "-S", "-c", f"print({answer!r})"], **options)

    monkeypatch.setattr(fetch.subprocess, "Popen", start)
    monkeypatch.setattr(fetch, "is_offline", lambda: False)
    return started


def test_offline_is_obeyed() -> None:
    with pytest.raises(EnvironmentFault, match=r"owner/name@v1.*HF_HUB_OFFLINE") as caught:
        find_model("owner/name@v1")
    assert "\n" not in str(caught.value)


def test_what_is_asked_for(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = answer_with(monkeypatch, f'{{"folder": "{model_folder}"}}')
    assert find_model("owner/name@v1") == find_model("owner/name") == model_folder
    assert [words[-2:] for words in started] == [["owner/name", "v1"], ["owner/name", ""]]
    assert all("-P" in words for words in started)  # the working folder is nobody's library


@pytest.mark.parametrize(
    ("answer", "error", "why"),
    [
        ("", EnvironmentFault, "status 0"),
        ("[]", EnvironmentFault, "no answer"),
        ('{"error": "ConnectError"}', EnvironmentFault, "ConnectError"),
        ('{"error": "x", "is_no_model": true}', InputError, f"no usable {MANIFEST_NAME}"),
    ],
)
def test_answers(
    monkeypatch: pytest.MonkeyPatch, answer: str, error: type[Exception], why: str
) -> None:
    answer_with(monkeypatch, answer)
    with pytest.raises(error, match=why):
        find_model("owner/name")
