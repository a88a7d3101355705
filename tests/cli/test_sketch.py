"""`sketch2img` and `sketch2vid` on the tiny model: what they draw, and what is refused before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.sketches.palette import CLASS_ID, SKETCH_CLASSES

Run = Callable[..., Any]


def sketch(height: int = 40, width: int = 60, left: int = 5) -> Any:
    """A ball on grass under the sky."""
    classes = np.zeros((height, width), dtype=np.uint8)
    classes[height // 2 :] = CLASS_ID["grass"]
    classes[height // 2 - 5 : height // 2 + 5, left : left + 10] = CLASS_ID["ball"]
    return classes


def paint(path: Path, classes: Any) -> Path:
    colours = np.array([entry.rgb for entry in SKETCH_CLASSES], dtype=np.uint8)
    Image.fromarray(colours[classes]).save(path)
    return path


@pytest.fixture
def two(work: Path) -> None:
    """`a.png` and, the ball further right, `b.png`."""
    paint(work / "a.png", sketch())
    paint(work / "b.png", sketch(left=40))


@pytest.mark.usefixtures("two")
def test_a_sketch_is_drawn(both: Run, model_folder: Path, work: Path) -> None:
    words = ("sketch2img", "a.png", "--model", model_folder, "--json", "-n", "3", "-o", "c.png")
    done = both(*words)
    assert done.status == 0, done
    outputs = json.loads(done.stdout)["outputs"]
    assert [output["path"] for output in outputs] == ["c-0000.png", "c-0001.png", "c-0002.png"]
    assert len({(work / output["path"]).read_bytes() for output in outputs}) == 3
    assert done.stderr.startswith("nuwa: input: 60x40 fitted to 32x32: cropped 10 pixels left and")
    assert done.stderr.count("\n") == 1
    assert outputs[0]["fit"].startswith("60x40 fitted to 32x32")
    assert (outputs[0]["width"], outputs[0]["prompt"]) == (32, "")
    (given,) = outputs[0]["recipe"]["inputs"]
    assert (given["name"], len(given["sha256"])) == ("a.png", 64)


@pytest.mark.usefixtures("two")
def test_sketch_prompt_and_fit_matter(tiny: Run, work: Path) -> None:
    paint(work / "sky.png", np.zeros((40, 60), dtype=np.uint8))
    words = ("sketch2img", "a.png", "-q", "--json", "-o")
    fits = []
    for mode in ("crop", "pad", "stretch"):
        done = tiny(*words, f"{mode}.png", "--fit", mode)
        assert (done.status, done.stderr) == (0, ""), done
        fits.append(json.loads(done.stdout)["outputs"][0]["fit"])
    assert len(set(fits)) == 3
    told = tiny(*words, "told.png", "a dog", "--best-of", "2")
    assert isinstance(json.loads(told.stdout)["outputs"][0]["score"], float)
    assert tiny("sketch2img", "sky.png", "-q", "-o", "other.png").status == 0
    made = [(work / f"{name}.png").read_bytes() for name in ("crop", "told", "other")]
    assert len(set(made)) == 3


@pytest.mark.usefixtures("two")
def test_two_sketches_make_a_clip(tiny: Run) -> None:
    words = ("sketch2vid", "a.png", "a dog", "--to", "b.png", "--json", "-q")
    done = tiny(*words, "-o", "c.gif", "--frames", "5", "--fps", "10")
    assert done.status == 0, done
    (output,) = json.loads(done.stdout)["outputs"]
    assert (output["frames"], output["fps"]) == (5, 10)
    assert [entry["name"] for entry in output["recipe"]["inputs"]] == ["a.png", "b.png"]
    (output,) = json.loads(tiny(*words, "-o", "d.gif").stdout)["outputs"]
    assert output["frames"] == 3  # the model's own length


def test_numbered_sketches_make_a_clip(tiny: Run, work: Path) -> None:
    """One frame a sketch, in the order of the numbers; --frames takes the first."""
    (work / "s").mkdir()
    for index in range(11):
        paint(work / "s" / f"{index}.png", sketch(left=4 * index))
    for words, count in (((), 11), (("--frames", "2"), 2)):
        done = tiny("sketch2vid", "s", "-o", f"{count}/%d.png", "--json", *words, "-q")
        assert done.status == 0, done
        (output,) = json.loads(done.stdout)["outputs"]
        assert output["frames"] == count
        assert output["recipe"]["inputs"][0]["name"] == "s"
    assert (work / "11" / "0.png").exists()


def test_unknown_colours(tiny: Run, work: Path) -> None:
    """They are listed with their place, or snapped."""
    colours = np.zeros((40, 60, 3), dtype=np.uint8)
    colours[:] = SKETCH_CLASSES[0].rgb
    colours[10:30, 20:40] = (123, 7, 77)
    Image.fromarray(colours).save(work / "a.png")
    refused = tiny("sketch2img", "a.png", "-o", "b.png")
    refused.check_refusal(3, "#7b074d")
    assert "--snap" in refused.stderr
    assert not (work / "b.png").exists()
    assert tiny("sketch2img", "a.png", "-o", "b.png", "--snap", "-q").status == 0


USAGE = [
    (("sketch2img", "a.png"), "missing option '-o'"),
    (("sketch2img", "-o", "c.png"), "missing argument 'SKETCH"),
    (("sketch2img", "a.png", "", "-o", "c.png"), "prompt ''"),
    (("sketch2img", "a.png", "-o", "c.mp4"), "no picture format"),
    (("sketch2img", "a.png", "-o", "c.png", "--best-of", "4"), "no prompt to judge by"),
    (("sketch2vid", "a.png", "-o", "c.mp4"), "give the last one with --to"),
    (("sketch2vid", "a.png", "--to", "small.png", "-o", "c.mp4"), "is 8x8, 'a.png' is 60x40"),
    (("sketch2vid", "a.png", "--to", "b.png", "--frames", "1", "-o", "c.mp4"), "frames '1'"),
    (("sketch2vid", "s", "--to", "b.png", "-o", "c.mp4"), "leave --to out"),
    (("sketch2vid", "s", "-o", "c.mp4", "--fps", "0"), "fps '0"),
    (("sketch2vid", "s", "-o", "c.png"), "no clip format"),
]
INPUT = [
    (("sketch2img", "none.png", "-o", "c.png"), "none.png"),
    (("sketch2img", "text.png", "-o", "c.png"), "text.png"),
    (("sketch2vid", "none.mp4", "-o", "c.mp4"), "none.mp4"),
    (("sketch2vid", "a.png", "--to", "none.png", "-o", "c.mp4"), "none.png"),
    (("sketch2vid", "empty", "-o", "c.mp4"), "there are no pictures"),
]


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize(
    ("words", "status", "why"),
    [(words, 2, why) for words, why in USAGE] + [(words, 3, why) for words, why in INPUT],
    ids=lambda value: str(value)[:60],
)
def test_refusals(
    tiny: Run,
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    status: int,
    why: str,
) -> None:
    paint(work / "small.png", sketch(8, 8))
    (work / "text.png").write_text("no picture")
    (work / "empty").mkdir()
    (work / "s").mkdir()
    paint(work / "s" / "0.png", sketch())
    before = sorted(work.rglob("*"))
    monkeypatch.setattr("nuwa_cli.api.engine.load_model", None)
    tiny(*words, "-q").check_refusal(status, why)
    assert sorted(work.rglob("*")) == before


@pytest.mark.usefixtures("two")
def test_a_model_that_reads_no_sketches(
    inside: Run, work: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named in one line, and its weights are not even read."""
    from nuwa_cli.hub.manifest import CONFIG_NAME, MANIFEST_NAME, SKETCH_NAME, manifest_bytes

    folder = work / "bare"
    shutil.copytree(model_folder, folder)
    (folder / SKETCH_NAME).unlink()
    config = json.loads((folder / CONFIG_NAME).read_text())
    del config["sketch_tokenizer"]
    (folder / CONFIG_NAME).write_text(json.dumps({**config, "name": "bare"}))
    names = set(json.loads((folder / MANIFEST_NAME).read_text())["files"]) - {SKETCH_NAME}
    contents = {name: (folder / name).read_bytes() for name in names}
    (folder / MANIFEST_NAME).write_bytes(manifest_bytes(contents))
    monkeypatch.setattr("nuwa_cli.api.engine.load_model", None)
    for *words, output in (
        ("sketch2img", "a.png", "c.png"),
        ("sketch2vid", "a.png", "--to", "b.png", "c.mp4"),
    ):
        done = inside(*words, "-o", output, "--model", folder)
        done.check_refusal(3, "model 'bare': reads no sketches, it has no sketch tokenizer; choose")
