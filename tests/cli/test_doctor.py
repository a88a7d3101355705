"""`nuwa doctor`: what belongs into a bug report, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nuwa_cli.hub.catalog import CatalogEntry

Run = Callable[..., Any]


def test_it_says_what_is_there(inside: Run) -> None:
    done = inside("doctor", "--json")
    assert done.status == 0, done
    report = json.loads(done.stdout)
    assert report["schema"] == "nuwa.doctor/1"
    assert report["problems"] == []
    for package in ("nuwa", "python", "torch", "av", "pillow", "typer"):
        assert report["versions"][package], package
    assert report["processor"]["usable cores"] >= 1
    assert report["processor"]["dtype"] in ("bfloat16", "float32")
    assert report["memory"]["total"]
    assert report["model"]["intact"] is True
    names = [line.partition(":")[0] for line in inside("doctor").paths]
    assert names == [name for name in report if name not in ("schema", "problems")]


def test_nothing_personal(inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "jane.doe"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HF_ENDPOINT", "https://jane.example")
    for words in (["doctor"], ["doctor", "--json"]):
        done = inside(*words)
        assert "~/.config/nuwa" in done.stdout
        assert "$XDG_STATE_HOME/nuwa" in done.stdout
        for secret in ("jane", "hf_secret", str(tmp_path)):
            assert secret not in done.stdout + done.stderr


def test_a_damaged_model_is_found(
    inside: Run, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in model_folder.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = broken / "transformer.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    monkeypatch.setattr(CatalogEntry, "folder", property(lambda _: broken))
    done = inside("doctor", "--json")
    assert done.status == 5
    report = json.loads(done.stdout)
    assert report["model"]["intact"] is False
    assert "transformer.safetensors" in report["problems"][0]
    assert done.stderr.count("\n") == 1
    assert "transformer.safetensors" in done.stderr


def test_a_wrong_file_of_settings_is_found(inside: Run, work: Path) -> None:
    (work / "nuwa.toml").write_text("sed = 3\n")
    done = inside("doctor")
    assert done.status == 5
    assert "did you mean seed?" in done.stderr
    assert done.stdout.startswith("versions: ")
