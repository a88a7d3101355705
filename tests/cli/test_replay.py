"""`nuwa replay` on the tiny model: every task and every format is made again byte for byte, whatever is
changed is found, and what cannot be run again says so."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.media.image import write_image
from nuwa_cli.media.probe import probe
from nuwa_cli.sketches.palette import CLASS_ID, SKETCH_CLASSES

Run = Callable[..., Any]

PICTURES = ("a.png", "a.jpg", "a.webp")
CLIPS = ("a.mp4", "a.webm", "a.gif", "a.apng", "a.webp", "a/%04d.png")

# What a user types of each task; one line for each way in which its inputs are named.
TASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "t2i": (("t2i", "a dog runs", "--best-of", "2", "--seed", "5"), PICTURES),
    "t2i wide": (("t2i", "a dog", "--size", "50x40", "--top-k", "7"), PICTURES),
    "sketch2img": (("sketch2img", "s0.png", "a dog", "--snap", "--fit", "pad"), PICTURES),
    "inpaint": (("inpaint", "p.png", "--box", "4,4,12,9", "--mask", "m.png"), PICTURES),
    "inpaint alpha": (("inpaint", "alpha.png", "--alpha", "--mask-invert"), ("a.png", "a.webp")),
    "edit": (
        ("edit", "p.png", "a dog", "--ellipse", "10%,9%,50%,40%", "--feather", "1.5"),
        PICTURES,
    ),
    "extend": (
        ("extend", "p.png", "a dog", "--right", "20", "--up", "50%", "--prompt-at", "8:sea: a"),
        PICTURES,
    ),
    "t2v": (("t2v", "play golf", "--frames", "4", "--persistence", "0.5"), CLIPS),
    "sketch2vid": (("sketch2vid", "s0.png", "a dog", "--to", "s1.png", "--frames", "3"), CLIPS),
    "sketch2vid folder": (("sketch2vid", "sketches/%02d.png", "--fps", "3"), CLIPS),
    "predict": (("predict", "p.png", "在草地上", "--frames", "4", "--dtype", "float32"), CLIPS),
    "predict clip": (("predict", "clip", "a dog", "--context", "2", "--frames", "4"), CLIPS),
    "vedit": (("vedit", "clip", "a dog", "--keep-first", "2", "--start", "0.1"), CLIPS),
    "vedit mask": (
        ("vedit", "clip", "a dog", "--mask", "m.png", "--engine", "nuwa", "--keep-first", "0"),
        CLIPS,
    ),
    "extend clip": (("extend", "clip", "--frames", "5", "--right", "8"), CLIPS),
}
EVERYTHING = [(task, name) for task, (_, names) in TASKS.items() for name in names]
# Every task once, every format once, and the different ways to name several inputs.
SOME = {
    *zip(TASKS, itertools.cycle(("a.png", "a.gif")), strict=False),
    *(("t2v", name) for name in CLIPS),
    *(("t2i", name) for name in PICTURES),
    *(("sketch2vid folder", "a.apng"), ("vedit mask", "a/%04d.png"), ("extend clip", "a.apng")),
}


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture
def given(work: Path) -> None:
    """Inputs of every kind."""
    colours = np.array([entry.rgb for entry in SKETCH_CLASSES], dtype=np.uint8)
    write_image(work / "p.png", noise(24, 40))
    alpha = noise(24, 40, 4)
    alpha[..., 3] = 255
    alpha[5:15, 5:20, 3] = 0
    Image.fromarray(alpha).save(work / "alpha.png")
    mask = np.zeros((24, 40, 3), dtype=np.uint8)
    mask[8:20, 20:36] = 255
    write_image(work / "m.png", mask)
    (work / "clip").mkdir()
    (work / "sketches").mkdir()
    for index in range(4):
        write_image(work / "clip" / f"{index}.png", noise(24, 40, seed=index))
        classes = np.zeros((32, 32), dtype=np.uint8)
        classes[16:] = CLASS_ID["grass"]
        classes[10:20, 4 * index : 4 * index + 8] = CLASS_ID["ball"]
        write_image(work / "sketches" / f"{index:02d}.png", colours[classes])
    shutil.copy(work / "sketches" / "00.png", work / "s0.png")
    shutil.copy(work / "sketches" / "03.png", work / "s1.png")


def inputs_of(words: tuple[str, ...]) -> list[str]:
    """What cannot be found beside the output: a folder's pictures under a pattern."""
    return [part for word in words if "%0" in word for part in ("--input", word)]


def check_task(tiny: Run, task: str, name: str) -> None:
    words, _ = TASKS[task]
    done = tiny(*words, "-o", name, "-q")
    assert (done.status, done.paths) == (0, [name]), done
    again = tiny("replay", "--check", name, *inputs_of(words))
    assert (again.status, again.stdout) == (0, f"{name}: identical\n"), again


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(("task", "name"), sorted(SOME & set(EVERYTHING)))
def test_tasks_and_formats(tiny: Run, task: str, name: str) -> None:
    check_task(tiny, task, name)


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(("task", "name"), [("t2v", "a.gif"), ("edit", "a.png"), ("t2i", "a.jpg")])
def test_another_seed_differs(tiny: Run, task: str, name: str) -> None:
    words, _ = TASKS[task]
    assert tiny(*words, "-o", name, "-q").status == 0
    done = tiny("replay", "--check", "--seed", "77", name, "--json")
    assert done.status == 7, done
    assert f"nuwa: replay '{name}': differs: " in done.stderr
    (found,) = json.loads(done.stdout)["files"]
    assert (found["status"], found["pixels_identical"]) == ("differs", False)
    assert "seed" in found["recipe_differs"]


@pytest.mark.slow
@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(("task", "name"), sorted(set(EVERYTHING) - SOME))
def test_every_task_in_every_format(tiny: Run, task: str, name: str) -> None:
    check_task(tiny, task, name)


def test_a_model_beside_the_file(both: Run, inside: Run, model_folder: Path, work: Path) -> None:
    """From another folder, where the model of that name lies beside the file."""
    (work / "out").mkdir()
    shutil.copytree(model_folder, work / "out" / "tiny")
    words = ("t2i", "a dog", "-n", "2", "--seed", "3", "--model", "out/tiny")
    assert inside(*words, "-o", "out/a.png").status == 0
    done = both("replay", "--check", "out/a-0000.png", "out/a-0001.png")
    assert (done.status, done.stderr) == (0, ""), done
    assert done.paths == ["out/a-0000.png: identical", "out/a-0001.png: identical"]


def test_replay_writes_beside_and_changes_the_seed_only(tiny: Run, work: Path) -> None:
    assert tiny("t2i", "a dog", "--seed", "3", "--top-k", "9", "-o", "a.png").status == 0
    done = tiny("replay", "a.png")
    assert done.paths == ["a-replay.png"]
    assert (work / "a-replay.png").read_bytes() == (work / "a.png").read_bytes()
    tiny("replay", "a.png").check_refusal(4, "exists")
    assert tiny("replay", "a.png", "--seed", "8", "-o", "b.png").paths == ["b.png"]
    assert tiny("t2i", "a dog", "--seed", "8", "--top-k", "9", "-o", "c.png").status == 0
    assert (work / "b.png").read_bytes() == (work / "c.png").read_bytes()
    assert tiny("replay", "a.png", "-o", "a.jpg").status == 0
    assert probe(work / "a.jpg")["recipe"] == probe(work / "a.png")["recipe"]


def test_each_of_several_is_made_alone(tiny: Run, work: Path) -> None:
    """Of a run of four, one is made again from its own recipe; braces and stars in names are text."""
    words = ("a {red|blue} dog {{1}}", "a cat", "-n", "2", "-o", "{seed} {{x}} {index}.png")
    made = tiny("t2i", *words, "-q").paths
    assert len(made) == 6
    assert probe(work / made[2])["recipe"]["prompt"] == "a blue dog {1}"
    done = tiny("replay", "--check", *made)
    assert (done.status, len(done.paths)) == (0, 6), done
    path = work / made[3]
    again = tiny("replay", made[3])
    assert again.paths == [made[3].replace(".png", "-replay.png")]
    assert (work / again.paths[0]).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "prompt", ["--help", "@home", "@@x", "{a|b}", "{{}} x", "-n 4 $HOME `x` \\ \"'", "\x1b[31m 图"]
)
def test_any_prompt_is_replayed(
    tiny: Run, inside: Run, model_folder: Path, work: Path, prompt: str
) -> None:
    """In this process, and as the line that `nuwa info` shows."""
    from nuwa_cli.cli.batch.variants import literal

    (work / "prompts.txt").write_text(literal(prompt))
    assert tiny("t2i", "@prompts.txt", "-o", "a.png", "-q").status == 0
    assert probe(work / "a.png")["recipe"]["prompt"] == prompt
    assert tiny("replay", "--check", "a.png").status == 0
    (entry,) = json.loads(inside("info", "--json", "a.png").stdout)["files"]
    line = [word for word in entry["replay"][1:] if word not in ("--model", "tiny")]
    assert inside(line[0], "--model", model_folder, *line[1:]).status == 0
    assert (work / "a-replay.png").read_bytes() == (work / "a.png").read_bytes()


def test_a_sequence_and_one_frame_of_it(tiny: Run, work: Path) -> None:
    assert tiny("t2v", "a dog", "--frames", "3", "-o", "f/%02d.png").status == 0
    assert tiny("replay", "--check", "f/%02d.png").status == 0
    assert tiny("replay", "--check", "f/01.png", "f/00.png").status == 0
    tiny("replay", "f/01.png").check_refusal(2, "is frame 1 of a clip")
    assert tiny("replay", "f/%02d.png").paths == ["f-replay/%02d.png"]
    assert tiny("replay", "f/01.png", "-o", "a.gif").status == 0
    first = {path.name: path.read_bytes() for path in (work / "f").iterdir()}
    assert {p.name: p.read_bytes() for p in (work / "f-replay").iterdir()} == first
    (work / "f" / "02.png").unlink()
    tiny("replay", "--check", "f/%02d.png").check_refusal(7, "another size or length")


def test_inputs_must_be_what_they_were(tiny: Run, work: Path) -> None:
    for folder in ("in", "out"):
        (work / folder).mkdir()
    write_image(work / "in" / "p.png", noise(24, 40))
    words = ("predict", "in/p.png", "--frames", "3", "-o", "out/a.gif", "-q")
    assert tiny(*words).status == 0
    assert "in" not in str(probe(work / "out" / "a.gif")["recipe"]["arguments"])
    tiny("replay", "--check", "out/a.gif").check_refusal(3, "input 'p.png': lies neither beside")
    assert tiny("replay", "--check", "out/a.gif", "--input", "in/p.png").status == 0
    shutil.copy(work / "in" / "p.png", work / "renamed.png")
    assert tiny("replay", "--check", "out/a.gif", "--input", "renamed.png").status == 0
    shutil.copy(work / "in" / "p.png", work / "out" / "p.png")
    assert tiny("replay", "--check", "out/a.gif").status == 0
    write_image(work / "out" / "p.png", noise(24, 40, seed=9), force=True)
    was = probe(work / "out" / "a.gif")["recipe"]["inputs"][0]["sha256"]
    refused = tiny("replay", "--check", "out/a.gif")
    refused.check_refusal(3, f"the recipe of 'a.gif' says {was[:12]}…")
    assert "input 'out/p.png': has the sha256" in refused.stderr
    tiny("replay", "out/a.gif", "--input", "none.png").check_refusal(3, "no such file")


def test_two_inputs_of_one_name(tiny: Run, work: Path) -> None:
    """They are told apart by what they hold."""
    for folder in ("one", "two"):
        (work / folder).mkdir()
    write_image(work / "one" / "x.png", noise(24, 40))
    mask = np.zeros((24, 40, 3), dtype=np.uint8)
    mask[4:20, 4:20] = 255
    write_image(work / "two" / "x.png", mask)
    words = ("edit", "one/x.png", "a dog", "--mask", "two/x.png", "-o", "a.png", "-q")
    assert tiny(*words).status == 0
    both = ("--input", "two/x.png", "--input", "one/x.png")
    assert tiny("replay", "--check", "a.png", *both).status == 0
