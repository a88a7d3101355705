"""The examples: their commands exist, `make` runs them in order and only when needed, the gallery shows them all.

The order is tested with a program that only notes how it is called, in a copy of the folder that
has neither a sprite pack nor a model; the commands are checked by the real one, which draws nothing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from html import escape
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.media.image import write_image
from nuwa_cli.media.video import write_video

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted((*EXAMPLES.glob("*.sh"), *EXAMPLES.glob("classic-desktop/*.sh")))
INPUT_BYTES = 500_000

FAKE_NUWA = """#!/bin/sh
echo "$1" >> "$CALLS"
count=1
while [ $# -gt 0 ]; do
  case "$1" in -o) file=$2 ;; -n) count=$2 ;; esac
  shift
done
if [ "$count" = 1 ]; then touch "$file"; fi
for i in $(seq 0 $((count - 1))); do touch "${file%.*}-000$i.${file##*.}"; done
"""
FAKE_PYTHON = """#!/bin/sh
echo gallery >> "$CALLS"
touch "$2/gallery.html" "$2/gallery.png"
"""
ONE_RUN = ["t2i", "t2v", "t2v", "t2v", "sketch2img", "sketch2vid", "inpaint", "inpaint", "inpaint"]
ONE_RUN += ["edit", "predict", "predict", "vedit", "inpaint", "inpaint", "t2i", "extend", "extend"]
ONE_RUN += ["extend", "inpaint", "edit", "predict", "extend", "gallery"]


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


commands = _module(EXAMPLES / "gallery" / "commands.py")
MAKERS = commands.read_scripts(EXAMPLES)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., list[str]]:
    """Run `make` in a copy of the folder with programs that only note their calls; gives the calls."""
    root = tmp_path / "clone"
    shutil.copytree(EXAMPLES, root / "examples", ignore=shutil.ignore_patterns("out", "pictures"))
    programs = root / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, text in (("nuwa", FAKE_NUWA), ("python3", FAKE_PYTHON)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ("pyproject.toml", "constraints.txt", ".venv/.ready"):
        (root / name).touch()
    (root / "weights" / "storybook").mkdir(parents=True)
    (root / "weights" / "storybook" / "manifest.json").touch()
    calls = tmp_path / "calls"

    def run(*touched: str) -> list[str]:
        if touched:
            time.sleep(0.05)  # file times come from a clock that ticks only every few milliseconds
        for name in touched:
            (root / "examples" / name).touch()
        calls.write_text("")
        done = subprocess.run(
            ["make", "-C", root / "examples"],
            env={**os.environ, "CALLS": str(calls), "MAKEFLAGS": ""},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return calls.read_text().split()

    return run


def test_make_runs_everything_once_in_order(make: Callable[..., list[str]]) -> None:
    assert make() == ONE_RUN
    assert make() == []


@pytest.mark.parametrize(
    ("touched", "calls"),
    [
        ("inputs/bus.png", ["sketch2img", "gallery"]),
        ("inputs/diver.mp4", ["vedit", "gallery"]),
        ("t2i.sh", ["t2i", "gallery"]),
        ("classic-desktop/desktop.png", ["inpaint", "edit", "predict", "extend", "gallery"]),
        ("classic-desktop/3-motion.sh", ["predict", "gallery"]),
        ("inputs/car.jpg", ["inpaint", "inpaint", "gallery"]),
        ("gallery/figures.toml", ["gallery"]),
        ("../weights/storybook/manifest.json", ONE_RUN),
    ],
)
def test_make_repeats_only_what_depends(
    make: Callable[..., list[str]], touched: str, calls: list[str]
) -> None:
    make()
    assert make(touched) == calls


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_script_is_plain_and_passes_options_on(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", script]).returncode == 0
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[1].startswith("# ")
    called = [line for line in lines if "nuwa " in line and not line.startswith("#")]
    assert called
    assert all(line.endswith(' --update "$@"') for line in called)


@pytest.mark.parametrize("command", dict.fromkeys(MAKERS.values()), ids=lambda c: c.outputs[0])
def test_command_exists_and_names_its_files(
    command: commands.Command,  # type: ignore[name-defined]
    inside: Callable[..., object],
    work: Path,
    model_folder: Path,
) -> None:
    for name in ("inputs", "classic-desktop"):
        (work / name).symlink_to(EXAMPLES / name)
    for name in ("desktop-full.png", "desktop-horse.png"):
        Image.new("RGB", (256, 256)).save(work / name)
    write_video(work / "golf.mp4", np.zeros((10, 256, 256, 3), np.uint8), 6)
    done = inside(*command.words[1:], "--dry-run", "--force", "--model", model_folder)
    assert done.status == 0, done
    said = [path.split(": ")[0] for path in done.paths]  # a forecast stands behind
    assert said == list(command.outputs)


@pytest.mark.slow  # in a quick run every line of every script is checked, and none is drawn
def test_script_draws(work: Path, command: str, model_folder: Path) -> None:
    path = os.pathsep.join((str(Path(command).parent), os.environ["PATH"]))
    done = subprocess.run(
        [EXAMPLES / "t2i.sh", "--model", model_folder],
        cwd=work,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [f"house-000{index}.png" for index in range(4)]


def test_gallery_shows_every_command(work: Path) -> None:
    picture = np.full((256, 256, 3), 90, np.uint8)
    for name in MAKERS:
        if name.endswith(".png"):
            write_image(work / name, picture)
        else:
            write_video(work / name, picture[None, :64, :64], 6)
    build = EXAMPLES / "gallery" / "build.py"
    done = subprocess.run([sys.executable, build, work], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    page = (work / "gallery.html").read_text()
    for command in MAKERS.values():
        assert escape(command.text) in page
    assert page.count('src="') == page.count('src="data:')
    with Image.open(work / "gallery.png") as sheet:
        assert sheet.width == 1480
        assert sheet.height > sheet.width


def test_inputs_are_what_the_scripts_draw_and_small() -> None:
    sketches = _module(EXAMPLES / "inputs" / "sketches.py")
    desktop = _module(EXAMPLES / "classic-desktop" / "draw.py")
    drawn = {
        "inputs/bus.png": sketches.bus(),
        "inputs/boat-first.png": sketches.boat(*sketches.FIRST),
        "inputs/boat-last.png": sketches.boat(*sketches.LAST),
        "classic-desktop/desktop.png": desktop.framed(desktop.paint()),
    }
    for name, image in drawn.items():
        with Image.open(EXAMPLES / name) as committed:
            difference = np.asarray(committed).astype(int) - np.asarray(image)
        assert np.abs(difference).max() <= 1, f"{name}: run `make -C examples inputs`"
    sizes = [path.stat().st_size for path in EXAMPLES.glob("inputs/*.*") if path.suffix != ".py"]
    sizes.append((EXAMPLES / "classic-desktop" / "desktop.png").stat().st_size)
    assert sum(sizes) < INPUT_BYTES
