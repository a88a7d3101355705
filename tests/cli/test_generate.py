"""`t2i` and `t2v` on the tiny model: once each as the installed program, the rest inside one process,
because starting torch takes longer than all of the work."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Run = Callable[..., Any]


def recipe_of(nuwa: Run, name: str) -> dict[str, Any]:
    recipe: dict[str, Any] = json.loads(nuwa("info", "--json", name).stdout)["files"][0]["recipe"]
    return recipe


def test_pictures_seeds_and_recipes(nuwa: Run, inside: Run, model_folder: Path, work: Path) -> None:
    """-n numbers the files; item i is, byte for byte, what its own seed gives alone; the recipe
    says how."""
    words = ("t2i", "a dog runs", "--top-k", "9", "--model", model_folder)
    done = nuwa(*words, "-o", "a.png", "-n", "3", "--seed", "5")
    assert done.status == 0, done
    assert done.paths == ["a-0000.png", "a-0001.png", "a-0002.png"]
    assert done.stderr == ""  # a fast run in a script is silent
    assert inside(*words, "-o", "b.png", "--seed", "7").paths == ["b.png"]
    files = [(work / name).read_bytes() for name in ("a-0000.png", "a-0002.png", "b.png")]
    assert files[1] == files[2] != files[0]
    with Image.open(work / "b.png") as picture:
        assert picture.size == (32, 32)
    recipe = recipe_of(inside, "b.png")
    assert (recipe["command"], recipe["prompt"], recipe["seed"]) == ("t2i", "a dog runs", 7)
    assert recipe["options"]["top_k"] == 9
    assert recipe["options"]["guidance"] == 2.0  # the model's own default
    assert recipe["model"]["name"] == "tiny"
    assert len(recipe["model"]["sha256"]) == 64


def test_clip_as_json_with_the_best_of_three(tiny: Run, inside: Run, work: Path) -> None:
    done = tiny(
        *("t2v", "play golf on grass", "-o", "a.mp4", "--json", "--best-of", "3"),
        *("--frames", "5", "--fps", "4", "--dtype", "float32"),
    )
    assert (done.status, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["schema"] == "nuwa.result/1"
    (output,) = result["outputs"]
    assert output["path"] == "a.mp4"
    assert (output["frames"], output["fps"], output["width"]) == (5, 4, 32)
    assert isinstance(output["score"], float)
    (facts,) = json.loads(inside("info", "a.mp4", "--json").stdout)["files"]
    assert (facts["format"], facts["frames"], facts["fps"]) == ("mp4", 5, 4)
    assert facts["recipe"] == output["recipe"]
    # The seed of the winner, alone, makes the same picture.
    again = tiny(
        *("t2v", "play golf on grass", "-o", "b.mp4", "--no-metadata", "--best-of", "1"),
        *("--frames", "5", "--fps", "4", "--dtype", "float32"),
        *("--seed", str(output["sample_seed"])),
    )
    assert again.status == 0
    assert recipe_of(inside, "b.mp4") is None
    import av

    shown = []
    for name in ("a.mp4", "b.mp4"):
        with av.open(str(work / name)) as container:
            shown.append([f.to_ndarray().tobytes() for f in container.decode(video=0)])
    assert shown[0] == shown[1]


def test_frames_and_force(tiny: Run, work: Path) -> None:
    """The folder of a frame sequence is made; force replaces, atomically; nothing is left over."""
    words = ("t2v", "a dog", "-o", "f/%03d.png", "--seed", "1")
    assert tiny(*words, "--dry-run").status == 0
    assert not (work / "f").exists()
    tiny("t2v", "a dog", "-o", "g/f/%03d.png").check_refusal(4, "mkdir -p 'g'")
    assert tiny(*words).paths == ["f/%03d.png"]
    first = {p.name: p.read_bytes() for p in (work / "f").iterdir()}
    assert sorted(first) == ["000.png", "001.png", "002.png"]
    tiny(*words).check_refusal(4, "exists; give --force")
    assert tiny(*words, "--force").status == 0
    assert {p.name: p.read_bytes() for p in (work / "f").iterdir()} == first


def test_prompts_in_two_languages_and_words_unknown(tiny: Run) -> None:
    done = tiny("t2i", "在草地上打高尔夫球", "zxqv beech", "-o", "图-%d.webp")
    assert done.status == 0
    assert done.paths == ["图-0.webp", "图-1.webp"]
    assert done.stderr.count("\n") == 1
    assert "never seen in training: 'zxqv', 'beech'; nearest known words: beach" in done.stderr
    assert tiny("t2i", "zxqv", "-o", "q.png", "--quiet").stderr == ""


def test_text_is_never_a_template(tiny: Run, inside: Run) -> None:
    prompt = "{0} %s %04d $(touch x) \\n\x1b[31m"
    done = tiny("t2i", prompt, "-o", " odd\n{0}.png", "-q")
    assert done.status == 0
    assert done.stdout == " odd\n{0}.png\n"
    assert recipe_of(inside, " odd\n{0}.png")["prompt"] == prompt


def test_dry_run_names_everything_and_writes_nothing(tiny: Run, work: Path) -> None:
    words = ("a dog", "a cat", "-n", "2", "-o", "x.jpg", "--dry-run", "--seed")
    done = tiny("t2i", *words, "3", "--json")
    outputs = json.loads(done.stdout)["outputs"]
    assert [(o["path"], o["prompt"], o["seed"]) for o in outputs] == [
        ("x-0000.jpg", "a dog", 3),
        ("x-0001.jpg", "a dog", 4),
        ("x-0002.jpg", "a cat", 3),
        ("x-0003.jpg", "a cat", 4),
    ]
    seeds = [json.loads(tiny("t2i", *words, "random", "--json").stdout) for _ in range(2)]
    assert seeds[0]["outputs"][0]["seed"] != seeds[1]["outputs"][0]["seed"]
    assert not list(work.iterdir())


def test_damaged_models_and_missing_devices(inside: Run, model_folder: Path, work: Path) -> None:
    folder = work / "model"
    shutil.copytree(model_folder, folder)
    assert inside("models", "verify", folder).status == 0
    path = folder / "transformer.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    inside("t2i", "a dog", "-o", "a.png", "--model", folder).check_refusal(3, "sha256 is")
    done = inside("models", "verify", folder)
    assert done.status == 7
    assert "transformer.safetensors" in done.stderr
    words = ("t2i", "a dog", "-o", "a.png", "--model", model_folder, "--device")
    inside(*words, "cuda:99").check_refusal(2, "device 'cuda:99': not found; available: auto, cpu")
    assert [p.name for p in work.iterdir()] == ["model"]


def test_known_words(tiny: Run) -> None:
    assert "dog" in tiny("vocab").paths
    assert all("高" in word for word in tiny("vocab", "高").paths)
    assert tiny("vocab", "zxqv").paths == []


# Slow are those that robustness/test_table_e_process.py sends to this command too.
@pytest.mark.slow  # the fault table has it too, at other moments
@pytest.mark.parametrize(
    ("number", "status", "after"),
    [(signal.SIGINT, 130, 2.5), (signal.SIGTERM, 143, 2.5), (signal.SIGHUP, 129, 0.5)],
)
def test_signals_leave_nothing(
    command: str, model_folder: Path, work: Path, number: signal.Signals, status: int, after: float
) -> None:
    """A signal in the middle of a long clip, or of the start: its status, no traceback, no file."""
    words = ["t2v", "a dog", "-o", "a.mp4", "--frames", "9999", "--model", str(model_folder)]
    process = subprocess.Popen(
        [command, *words],
        cwd=work,
        stderr=subprocess.PIPE,
        # a shell's background job has it ignored, which a child inherits
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_until_used(process, after)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == status
    assert b"Traceback" not in stderr
    assert not list(work.iterdir())


def wait_until_used(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Until it has used so much processor time: on any machine the same point of the work."""
    ticks = os.sysconf("SC_CLK_TCK")
    for _ in range(5000):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        if (int(fields[11]) + int(fields[12])) / ticks > seconds:
            return
        assert process.poll() is None
        time.sleep(0.02)
    raise AssertionError("never got going")
