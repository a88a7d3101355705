"""`nuwa eval` from end to end, on a model and a judge with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from nuwa_cli.cli.app import run
from nuwa_cli.evaluation.store import save_evaluator
from nuwa_cli.model.evaluator import DIRECTIONS, Evaluator, EvaluatorConfig


@pytest.fixture
def judge_folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = EvaluatorConfig(
        subjects=("horse", "dog", "golfer"),
        places=("grass_hill", "beach", "snow"),
        directions=DIRECTIONS,
        image_size=32,
        frame_widths=(8,),
        frame_depths=(1,),
        motion_widths=(8,),
        motion_depths=(1,),
    )
    save_evaluator(Evaluator(config), tmp_path / "judge", {"subject": 0.99})
    return tmp_path / "judge"


def test_report_sheet_and_table(
    model_folder: Path,
    judge_folder: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)  # where there is no sprite pack
    words = ["eval", "--model", str(model_folder), "--evaluator", str(judge_folder)]
    words += ["--num", "3", "--clips", "2", "--pairs", "2"]
    assert run([*words, "-o", "report.json", "--sheet", "sheet.png"]) == 0
    shown = capfd.readouterr()
    assert shown.out.splitlines() == ["report.json", "sheet.png"]
    assert "| T2I | 3 |" in shown.err and "needs true renders" in shown.err
    assert "no segmenter" in shown.err and "“a horse runs on the beach” | 2 |" in shown.err
    report = json.loads(Path("report.json").read_text())
    assert report["model"]["name"] == "tiny" and report["evaluator_accuracy"] == {"subject": 0.99}
    assert report["sets"]["t2i"]["samples"] == 3 and report["sets"]["t2v"]["samples"] == 2
    assert report["sets"]["t2v"]["direction"] is not None and report["tasks"] == {}
    assert list(report["pairs"]) == ["a horse runs on the beach"]  # this judge knows no golfer
    assert -1 <= report["sets"]["t2i"]["similarity"] <= 1
    assert Image.open("sheet.png").size[0] > 128
    assert not list(tmp_path.glob("*.partial*"))

    assert run([*words, "--json", "--quiet"]) == 0
    again = json.loads(capfd.readouterr().out)
    assert again["sets"] == report["sets"]  # the same seeds, the same verdicts


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--num", "-1"], 2),
        (["--best-of", "0"], 2),
        (["--sketch-clips", "-1"], 2),
        (["--only", "nonsense"], 2),
        (["--guidance", "nan"], 2),
        (["-o", "absent/report.json"], 4),
    ],
)
def test_refused_before_anything_is_loaded(
    words: list[str], status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "--model", "no/such-model", *words]) == status
    assert capfd.readouterr().err.count("\n") == 1


def test_a_model_without_a_judge_is_refused(
    model_folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(["eval", "--model", str(model_folder), "--num", "1", "--quiet"]) == 3
    assert "evaluator.json" in capfd.readouterr().err
