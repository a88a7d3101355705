"""What is refused: the right status, one line, nothing on stdout, nothing written, no model
loaded."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
PICTURE = ("t2i", "a dog", "-o", "a.png")
CLIP = ("t2v", "a dog", "-o", "a.mp4")

USAGE = [
    (("t2i", "", "-o", "a.png"), "prompt ''"),
    (("t2i", " \t ", "-o", "a.png"), "says nothing"),
    (("t2i", "...", "-o", "a.png"), "says nothing"),
    (("t2i", "x" * 5000, "-o", "a.png"), "5000 characters"),
    (("t2i", b"a\xff", "-o", "a.png"), "not valid UTF-8"),
    (("t2i", "a dog", "", "-o", "a.png"), "prompt ''"),
    (("t2i", "a dog"), "missing option '-o'"),
    (("t2i", "-o", "a.png"), "missing argument 'PROMPT"),
    (("t2j", "a dog"), "did you mean"),
    ((*PICTURE, "--nope"), "no such option"),
    ((*PICTURE, "--seed", "-1"), "seed '-1'"),
    ((*PICTURE, "--seed", str(2**63)), "seed '"),
    ((*PICTURE, "--seed", str(2**63 - 1), "-n", "2"), "seed '"),
    ((*PICTURE, "--seed", "one"), "seed 'one'"),
    ((*PICTURE, "-n", "0"), "num '0'"),
    ((*PICTURE, "-n", "100000"), "num '100000'"),
    ((*PICTURE, "-n", "two"), "'-n'"),
    ((*PICTURE, "--best-of", "0"), "best-of '0'"),
    ((*PICTURE, "--top-k", "-1"), "top-k"),
    ((*PICTURE, "--top-p", "0"), "top-p"),
    ((*PICTURE, "--top-p", "1.1"), "top-p"),
    ((*PICTURE, "--top-p", "nan"), "top-p"),
    ((*PICTURE, "--temperature", "-1"), "temperature"),
    ((*PICTURE, "--temperature", "inf"), "temperature"),
    ((*PICTURE, "--guidance", "nan"), "guidance"),
    ((*PICTURE, "--guidance", "51"), "guidance"),
    ((*PICTURE, "--dtype", "int8"), "'--dtype'"),
    ((*PICTURE, "--attention", "magic"), "'--attention'"),
    ((*CLIP, "--frames", "0"), "frames '0'"),
    ((*CLIP, "--frames", "10000000"), "frames '10000000'"),
    ((*CLIP, "--fps", "0"), "fps '0"),
    ((*CLIP, "--fps", "nan"), "fps 'nan'"),
    (("t2i", "a dog", "-o", "a.mp4"), "no picture format"),
    (("t2i", "a dog", "-o", "a"), "no picture format"),
    (("t2v", "a dog", "-o", "a.png"), "no clip format"),
    (("t2v", "a dog", "-n", "2", "-o", "f/%d.png"), "holds one clip"),
    (("t2i", "a dog", "-o", "%d%d.png"), "2 number fields"),
    (("models", "verify", ""), "is no name"),
    (("storybook", "-o", "a.txt"), "no clip format"),
    (("storybook", "-o", "a.png", "--seed", "x"), "seed 'x'"),
]


@pytest.mark.parametrize(("words", "why"), USAGE, ids=lambda value: str(value)[:60])
def test_usage_errors(inside: Run, work: Path, words: tuple[str, ...], why: str) -> None:
    inside(*words).check_refusal(2, why)
    assert not list(work.iterdir())


def test_the_installed_command_refuses_too(nuwa: Run) -> None:
    for words, why in (USAGE[0], USAGE[4], USAGE[6]):
        nuwa(*words).check_refusal(2, why)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("taken.png", "exists; give --force"),
        ("folder.png", "is a folder"),
        ("missing/a.png", "folder does not exist; create it with: mkdir -p 'missing'"),
        ("taken.png/a.png", "not a directory"),
        ("x" * 300 + ".png", "file name too long"),
        ("new\nline/a.png", r"new\nline"),
    ],
)
def test_outputs_are_checked_before_the_model(
    inside: Run, work: Path, output: str, why: str
) -> None:
    (work / "taken.png").write_bytes(b"mine")
    (work / "folder.png").mkdir()
    inside("t2i", "a dog", "-o", output, "--model", "there is none").check_refusal(4, why)
    assert (work / "taken.png").read_bytes() == b"mine"


def test_frames_that_are_taken(inside: Run, work: Path) -> None:
    (work / "f").mkdir()
    (work / "f" / "0007.png").write_bytes(b"mine")
    inside("t2v", "a dog", "-o", "f/%04d.png", "--model", "there is none").check_refusal(
        4, "0007.png': exists"
    )


def test_models_that_are_refused(inside: Run, work: Path) -> None:
    (work / "m.pt").write_bytes(b"\x80\x02")
    for model, status, why in (
        ("none", 3, "known names: storybook"),
        ("m.pt", 3, "pickle checkpoints are not loaded"),
        (".", 3, "manifest.json"),
    ):
        inside("models", "verify", model).check_refusal(status, why)


def test_files_without_a_recipe(inside: Run, work: Path) -> None:
    (work / "a.png").write_bytes(b"no picture")
    for name in ("a.png", "missing.png", "."):
        inside("info", name).check_refusal(3, f"file '{name}'")


def test_missing_sprites(inside: Run, work: Path) -> None:
    inside("storybook", "-o", "a.png", "--sprites", "nowhere").check_refusal(3, "nowhere")
    assert not list(work.iterdir())


def test_help_of_everything_else(nuwa: Run) -> None:
    """No command: a tutorial and status 0. A group without a command: its help and status 2."""
    done = nuwa()
    assert done.status == 0
    assert 'nuwa t2v "play golf on grass" -o golf.mp4' in done.stdout
    assert nuwa("-h").stdout == done.stdout
    done = nuwa("models")
    assert (done.status, done.stdout) == (2, "")
    assert "nuwa models list" in done.stderr
    assert nuwa("--version").stdout.startswith("nuwa ")


def test_closed_and_full_stdout(command: str) -> None:
    """A reader that goes away ends the program silently with 141; a full disk is an error."""
    for words in (["--help"], ["--version"], ["models", "list"]):
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run([command, *words], stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        assert (done.returncode, done.stderr) == (141, b"")
    with open("/dev/full", "wb") as full:
        done = subprocess.run([command, "models", "list"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4
    assert b"stdout: no space left on device" in done.stderr


def test_closed_streams(command: str, work: Path) -> None:
    """Missing standard streams change nothing but where the answer goes."""
    for closed, words, status in (
        ("<&-", "--version", 0),
        ("2>&-", "t2i '' -o a.png", 2),
        (">&-", "models list", 4),
        (">&- 2>&-", "models list", 4),
    ):
        done = subprocess.run(f"'{command}' {words} {closed}", shell=True, cwd=work, check=False)
        assert done.returncode == status, (closed, words)


def test_poor_environments(command: str, work: Path) -> None:
    """No HOME, no locale, a terminal that knows only ASCII."""
    poor = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run([command, "--help"], cwd=work, env=poor, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "在草地上打高尔夫球".encode() in done.stdout
