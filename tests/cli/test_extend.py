"""`nuwa extend` and `nuwa t2i --size` for pictures, on the tiny model: sizes, what stays, what is left of
a run that is stopped, and what is refused before anything is loaded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuwa_cli.api.extension import Extension
from nuwa_cli.cli.growing.stop import stopping
from nuwa_cli.cli.main_errors import Terminated

Run = Callable[..., Any]
HEIGHT, WIDTH = 20, 30


@pytest.fixture
def photo(work: Path) -> Any:
    """A picture of 30x20 in `a.png`; returns its pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(work / "a.png")
    return pixels


@pytest.fixture
def signal_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], None]:
    """Let the process get a signal when so many steps of a picture are drawn, once."""

    def arrange(steps: int, number: int = signal.SIGINT) -> None:
        pieces = Extension.pieces
        waiting = [number]

        def counted(self: Extension, known: Any = None) -> Iterator[Any]:
            for piece in pieces(self, known):
                if piece.step >= steps and waiting:
                    os.kill(os.getpid(), waiting.pop())
                    time.sleep(0.01)
                yield piece

        monkeypatch.setattr(Extension, "pieces", counted)

    return arrange


def pixels_of(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture).copy()


def names(work: Path) -> list[str]:
    return sorted(path.name for path in work.iterdir())


def test_a_picture_is_made_wider(both: Run, model_folder: Path, work: Path, photo: Any) -> None:
    words = ("extend", "a.png", "a dog", "--right", "3x", "--left", "25", "--json", "--seed", "4")
    done = both(*words, "--model", model_folder, "-o", "b.png")
    assert done.status == 0, done
    result = json.loads(done.stdout)
    assert result["command"] == "extend"
    (output,) = result["outputs"]
    assert (output["path"], output["width"], output["height"]) == ("b.png", 115, 20)
    assert output["origin"] == [25, 0]
    assert output["steps"] > 5
    assert output["inside_identical"] is True
    assert output["seconds"] > 0
    made = pixels_of(work / "b.png")
    assert made.shape == (20, 115, 3)
    assert (made[:, 25:55] == photo).all()
    assert made[:, 55:].std() > 0
    assert names(work) == ["a.png", "b.png"]
    facts = json.loads(both("info", "b.png", "--json").stdout)["files"][0]
    assert facts["recipe"] == output["recipe"]
    assert facts["recipe"]["options"]["right"] == 60
    assert facts["recipe"]["inputs"][0]["name"] == "a.png"


@pytest.mark.parametrize(
    ("words", "size", "origin"),
    [
        (("--around", "8"), (46, 36), (8, 8)),
        (("--around", "50%", "--up", "0"), (60, 30), (15, 0)),
        (("--down", "1.5x"), (30, 30), (0, 0)),
        (("--up", "13"), (30, 33), (0, 13)),
        (("--size", "41x20"), (41, 20), (5, 0)),
        (("--size", "37x33"), (37, 33), (3, 6)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value[0], str) else "",
)
def test_every_side(
    tiny: Run,
    work: Path,
    photo: Any,
    words: tuple[str, ...],
    size: tuple[int, int],
    origin: tuple[int, int],
) -> None:
    done = tiny("extend", "a.png", *words, "-o", "b.png", "--json")
    assert done.status == 0, done
    (output,) = json.loads(done.stdout)["outputs"]
    assert (output["width"], output["height"]) == size
    assert tuple(output["origin"]) == origin
    assert output["inside_identical"] is True
    made = pixels_of(work / "b.png")
    assert made.shape == (size[1], size[0], 3)
    left, top = origin
    assert (made[top : top + HEIGHT, left : left + WIDTH] == photo).all()


@pytest.mark.usefixtures("photo")
def test_several_results_prompts_and_no_metadata(tiny: Run, inside: Run, work: Path) -> None:
    words = ("extend", "a.png", "a dog", "--right", "2x", "--prompt-at", "45:a cat 在草地上", "-q")
    assert tiny(*words, "-n", "2", "-o", "b.png", "--seed", "5").paths == [
        "b-0000.png",
        "b-0001.png",
    ]
    assert tiny(*words, "-o", "c.png", "--seed", "6").status == 0
    assert (work / "c.png").read_bytes() == (work / "b-0001.png").read_bytes()
    assert (work / "c.png").read_bytes() != (work / "b-0000.png").read_bytes()
    (facts,) = json.loads(inside("info", "c.png", "--json").stdout)["files"]
    assert [45, "a cat 在草地上"] in facts["recipe"]["options"]["prompts"]
    assert tiny(*words[:-1], "-o", "d.png", "--no-metadata", "--seed", "6", "-q").status == 0
    (facts,) = json.loads(inside("info", "d.png", "--json").stdout)["files"]
    assert facts["recipe"] is None
    assert (pixels_of(work / "d.png") == pixels_of(work / "c.png")).all()


@pytest.mark.usefixtures("photo")
def test_unknown_words_are_told_for_every_prompt(tiny: Run) -> None:
    done = tiny("extend", "a.png", "--right", "9", "--prompt-at", "9:zxqv", "-o", "b.png")
    assert done.status == 0
    assert "never seen in training: 'zxqv'" in done.stderr


@pytest.mark.usefixtures("photo")
def test_lossy_formats_say_so(tiny: Run, work: Path) -> None:
    for name in ("b.jpg", "b.webp"):
        done = tiny("extend", "a.png", "--right", "9", "-o", name, "--json")
        (output,) = json.loads(done.stdout)["outputs"]
        assert output["inside_identical"] is False
        assert output["inside_difference"] > 0
        assert "is lossy and changed the input's pixels" in done.stderr
        assert pixels_of(work / name).shape == (20, 39, 3)


def test_transparency_is_shown_on_white(tiny: Run, work: Path) -> None:
    pixels = np.zeros((20, 20, 4), dtype=np.uint8)
    pixels[:10, :, 3] = 255
    Image.fromarray(pixels).save(work / "a.png")
    done = tiny("extend", "a.png", "--right", "5", "-o", "b.png")
    assert "'a.png': transparent parts shown on white" in done.stderr
    made = pixels_of(work / "b.png")[:, :20]
    assert (made[:10] == 0).all() and (made[10:] == 255).all()


@pytest.mark.usefixtures("photo")
def test_a_dry_run_estimates_and_writes_nothing(tiny: Run, work: Path) -> None:
    done = tiny("extend", "a.png", "--right", "3x", "-o", "b.png", "--dry-run", "--json")
    assert done.status == 0
    result = json.loads(done.stdout)
    assert result["dry_run"] is True
    (output,) = result["outputs"]
    assert (output["width"], output["height"]) == (90, 20)
    assert output["estimated_seconds"] > 0
    assert f"90x20 pixels, {output['steps']} steps, about " in done.stderr
    assert names(work) == ["a.png"]


WHOLE = ("extend", "a.png", "a dog", "--right", "4x", "--model")


@pytest.fixture
def whole(inside: Run, model_folder: Path, work: Path, photo: Any) -> bytes:
    """What an uninterrupted run writes."""
    assert inside(*WHOLE, model_folder, "-o", "whole.png", "-q").status == 0
    content = (work / "whole.png").read_bytes()
    (work / "whole.png").unlink()
    assert photo.size
    return content


def test_stopped_and_resumed(tiny: Run, work: Path, whole: bytes, signal_after: Any) -> None:
    """Nothing under the name, a journal beside it; the resumed run gives the same bytes."""
    signal_after(3)
    done = tiny(*WHOLE[:-1], "-o", "b.png")
    assert (done.status, done.stdout) == (130, "")
    assert "nuwa: stopped after 3 of " in done.stderr
    assert done.stderr.endswith("steps: nothing is written; --resume goes on from there\n")
    assert names(work) == [".b.png.journal", "a.png"]
    refused = tiny(*WHOLE[:-1], "--seed", "1", "-o", "b.png", "--resume")
    refused.check_refusal(3, "was left by a run of other settings")
    done = tiny(*WHOLE[:-1], "-o", "b.png", "--resume")
    assert done.status == 0
    assert "'b.png': going on after 3 of " in done.stderr
    assert (work / "b.png").read_bytes() == whole
    assert names(work) == ["a.png", "b.png"]
    done = tiny(*WHOLE[:-1], "-o", "b.png", "--resume")
    assert (done.status, done.paths) == (0, ["b.png"])
    assert done.stderr == "nuwa: 'b.png': is complete already\n"
    tiny(*WHOLE[:-1], "--seed", "1", "-o", "b.png", "--resume", "-q").check_refusal(4, "exists")


def test_a_complete_part_is_kept(tiny: Run, work: Path, whole: bytes, signal_after: Any) -> None:
    signal_after(5)
    done = tiny(*WHOLE[:-1], "-o", "b.png", "--keep-partial")
    assert (done.status, done.stdout) == (130, "")
    part = pixels_of(work / "b.png")
    (work / "whole.png").write_bytes(whole)
    full = pixels_of(work / "whole.png")
    (work / "whole.png").unlink()
    assert part.shape[0] == HEIGHT
    assert WIDTH < part.shape[1] < full.shape[1]
    assert (part == full[:, : part.shape[1]]).all()
    size = f"{part.shape[1]}x{part.shape[0]} of {full.shape[1]}x{full.shape[0]}"
    assert f"steps: 'b.png' holds {size} pixels; --resume goes on from there" in done.stderr
    assert names(work) == [".b.png.journal", "a.png", "b.png"]
    # The whole replaces its part without --force.
    assert tiny(*WHOLE[:-1], "-o", "b.png", "--resume", "-q").status == 0
    assert (work / "b.png").read_bytes() == whole
    assert names(work) == ["a.png", "b.png"]


def test_no_part_is_complete_yet(tiny: Run, work: Path, photo: Any, signal_after: Any) -> None:
    signal_after(-1)
    assert photo.size
    done = tiny(*WHOLE[:-1], "-o", "b.png", "--keep-partial")
    assert done.status == 130
    assert "nothing is written" in done.stderr
    assert "b.png" not in names(work)


def test_a_second_signal_does_not_wait() -> None:
    said: list[str] = []
    with pytest.raises(Terminated), stopping(said.append, is_patient=True) as stop:
        stop.check()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        with pytest.raises(Terminated):
            stop.check(1, 2)
        assert len(said) == 1
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)


@pytest.mark.usefixtures("photo")
def test_termination_between_two_results(tiny: Run, work: Path, signal_after: Any) -> None:
    """The first is there when the signal comes; --resume leaves it and makes the second."""
    words = ("extend", "a.png", "--right", "2x", "-n", "2", "-o", "b.png")
    assert tiny(*words, "-q").status == 0
    expected = [(work / name).read_bytes() for name in ("b-0000.png", "b-0001.png")]
    (work / "b-0001.png").unlink()
    signal_after(1, signal.SIGTERM)
    done = tiny(*words, "--resume")
    assert done.status == 143
    assert done.paths == ["b-0000.png"]
    done = tiny(*words, "--resume")
    assert done.status == 0
    assert "'b-0000.png': is complete already" in done.stderr
    assert [(work / name).read_bytes() for name in ("b-0000.png", "b-0001.png")] == expected
    assert names(work) == ["a.png", "b-0000.png", "b-0001.png"]


def test_killed(tiny: Run, model_folder: Path, work: Path, whole: bytes) -> None:
    """What is left of the pixels is removed by the next run, which goes on with the tokens."""
    words = [*WHOLE, str(model_folder), "-o", "b.png"]
    code = (
        "import os\n"
        "from nuwa_cli.api.extension import Extension\n"
        "from nuwa_cli.cli.app import run\n"
        "pieces = Extension.pieces\n"
        "def killed(self, known=None):\n"
        "    for piece in pieces(self, known):\n"
        "        if piece.step == 4: os.kill(os.getpid(), 9)\n"
        "        yield piece\n"
        "Extension.pieces = killed\n"
        f"run({words!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=work, timeout=120)
    assert done.returncode == -signal.SIGKILL
    scratch, journal, photo = names(work)
    assert (journal, photo) == (".b.png.journal", "a.png")
    assert scratch.endswith(".tmp")
    done = tiny(*WHOLE[:-1], "-o", "b.png", "--resume")
    assert "'b.png': going on after 4 of " in done.stderr
    assert (work / "b.png").read_bytes() == whole
    assert names(work) == ["a.png", "b.png"]


@pytest.mark.usefixtures("photo")
def test_a_journal_without_resume_is_begun_anew(tiny: Run, work: Path, signal_after: Any) -> None:
    signal_after(2)
    assert tiny(*WHOLE[:-1], "-o", "b.png", "-q").status == 130
    done = tiny(*WHOLE[:-1], "-o", "b.png")
    assert done.status == 0
    assert "journal '.b.png.journal': is begun anew; --resume would go on with it" in done.stderr
    done = tiny(*WHOLE[:-1], "-o", "c.png", "--resume")
    assert done.status == 0
    assert "journal '.c.png.journal': there is none; beginning with the first step" in done.stderr
    assert names(work) == ["a.png", "b.png", "c.png"]


@pytest.mark.usefixtures("photo")
def test_a_disk_that_is_too_small(tiny: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 20_000_000))
    monkeypatch.setattr("nuwa_cli.api.engine.load_model", None)
    words = ("extend", "a.png", "-o", "b.png", "--size")
    tiny(*words, "1000x1000").check_refusal(4, "1000x1000 pixels need 23 MB for a while, 20 MB are")


def test_text_to_a_wide_picture(tiny: Run, inside: Run, work: Path) -> None:
    """Of the model's own size the picture is that of no --size, bit for bit."""
    words = ("t2i", "a dog", "--seed", "3", "--best-of", "1", "-q")
    assert tiny(*words, "-o", "a.png").status == 0
    assert tiny(*words, "-o", "b.png", "--size", "32x32").status == 0
    assert (pixels_of(work / "a.png") == pixels_of(work / "b.png")).all()
    done = tiny(*words, "-o", "c.png", "--size", "100x32", "--json", "-n", "2")
    assert done.status == 0, done
    first, second = json.loads(done.stdout)["outputs"]
    assert (first["width"], first["height"], first["seed"], second["seed"]) == (100, 32, 3, 4)
    made = pixels_of(work / "c-0000.png")
    assert made.shape == (32, 100, 3)
    left, top = first["origin"]
    assert (made[top : top + 32, left : left + 32] == pixels_of(work / "a.png")).all()
    (facts,) = json.loads(inside("info", "c-0000.png", "--json").stdout)["files"]
    assert facts["recipe"]["command"] == "t2i"
    assert facts["recipe"]["options"]["size"] == [100, 32]
    assert names(work) == ["a.png", "b.png", "c-0000.png", "c-0001.png"]
