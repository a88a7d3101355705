"""`--update` and `--depfile`: what is up to date stays, what is stale is replaced, and GNU make agrees."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nuwa_cli
from nuwa_cli.api.engine import Engine
from nuwa_cli.cli.recipes.depfile import check_depfile, depfile_text
from nuwa_cli.errors import UsageError
from nuwa_cli.media.image import write_image
from nuwa_cli.media.probe import probe

Run = Callable[..., Any]
PAST = 10**9  # seconds since the epoch


def noise(seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (24, 40, 3), dtype=np.uint8)


def snapshot(work: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in work.rglob("*") if path.is_file()]
    return {str(p.relative_to(work)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on loading a model is an error."""

    def forbid() -> None:
        def load(*_: Any, **__: Any) -> None:
            raise AssertionError("a model is loaded")

        monkeypatch.setattr(Engine, "load", load)

    return forbid


def test_what_is_up_to_date_stays_and_loads_no_model(
    tiny: Run, work: Path, no_model: Callable[[], None]
) -> None:
    words = ("t2i", "a dog", "-n", "2", "-o", "a.png", "--seed", "3", "--update")
    assert tiny(*words).status == 0
    before = snapshot(work)
    assert len(before) == 2
    no_model()
    done = tiny(*words)
    assert (done.status, done.paths) == (0, ["a-0000.png", "a-0001.png"])
    assert done.stderr == ("nuwa: 'a-0000.png': up to date\nnuwa: 'a-0001.png': up to date\n")
    assert snapshot(work) == before
    result = json.loads(tiny(*words, "--json", "-q").stdout)
    assert [output["path"] for output in result["outputs"]] == ["a-0000.png", "a-0001.png"]


CHANGES: dict[str, tuple[str, ...]] = {
    "prompt": ("t2i", "a cat", "--seed", "3"),
    "seed": ("t2i", "a dog", "--seed", "4"),
    "option": ("t2i", "a dog", "--seed", "3", "--top-k", "9"),
    "size": ("t2i", "a dog", "--seed", "3", "--size", "40x40"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_is_stale_is_replaced(tiny: Run, work: Path, what: str) -> None:
    assert tiny("t2i", "a dog", "--seed", "3", "-o", "a.png").status == 0
    before = (work / "a.png").read_bytes()
    done = tiny(*CHANGES[what], "-o", "a.png", "--update")
    assert (done.status, done.paths) == (0, ["a.png"])
    assert "up to date" not in done.stderr
    assert (work / "a.png").read_bytes() != before
    assert [path.name for path in work.iterdir()] == ["a.png"]


def test_only_the_stale_ones_of_several_are_made(tiny: Run, work: Path) -> None:
    words = ("t2i", "a dog", "a dog runs", "-o", "a.png", "--update")
    assert tiny(*words).status == 0
    whole = snapshot(work)
    (work / "a-0001.png").unlink()
    os.utime(work / "a-0000.png", (PAST, PAST))
    done = tiny(*words)
    assert sorted(done.paths) == ["a-0000.png", "a-0001.png"]
    assert done.stderr == "nuwa: 'a-0000.png': up to date\n"
    after = snapshot(work)
    assert {name: content for name, (content, _) in after.items()} == {
        name: content for name, (content, _) in whole.items()
    }
    assert after["a-0000.png"][1] > PAST * 10**9  # the model is newer: make would ask for ever


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("t2v", "a dog", "--frames", "3"), "a.mp4"),
        (("t2v", "a dog", "--frames", "3"), "a.gif"),
        (("t2v", "a dog", "--frames", "3"), "f/%02d.png"),
        (("predict", "p.png", "--frames", "3"), "a.webm"),
        (("edit", "p.png", "a dog", "--mask", "m.png"), "a.jpg"),
        (("extend", "p.png", "--right", "8"), "a.png"),
        (("extend", "c", "--frames", "4"), "a.mp4"),
        (("t2i", "a dog", "--size", "40x40"), "a.webp"),
    ],
    ids=str,
)
def test_commands_and_formats(
    tiny: Run, work: Path, no_model: Callable[[], None], words: tuple[str, ...], name: str
) -> None:
    write_image(work / "p.png", noise())
    write_image(work / "m.png", np.full((24, 40, 3), 255, dtype=np.uint8))
    (work / "c").mkdir()
    for index in range(3):
        write_image(work / "c" / f"{index}.png", noise(index))
    line = (*words, "-o", name, "--update", "-q")
    assert tiny(*line).status == 0
    before = snapshot(work)
    no_model()
    done = tiny(*line)
    assert (done.status, done.paths) == (0, [name]), done
    assert snapshot(work) == before


def test_inputs_count_by_their_bytes(tiny: Run, work: Path) -> None:
    words = ("predict", "p.png", "--frames", "2", "-o", "a.apng", "--update", "-q")
    write_image(work / "p.png", noise())
    assert tiny(*words).status == 0
    before = (work / "a.apng").read_bytes()
    # A newer file of the same bytes: nothing is made, but make is content afterwards.
    os.utime(work / "a.apng", (PAST, PAST))
    done = tiny(*words[:-1])
    assert "'a.apng': up to date" in done.stderr
    assert (work / "a.apng").read_bytes() == before
    assert (work / "a.apng").stat().st_mtime >= (work / "p.png").stat().st_mtime
    # Other bytes with an older time.
    write_image(work / "p.png", noise(1), force=True)
    os.utime(work / "p.png", (PAST, PAST))
    assert tiny(*words).status == 0
    assert (work / "a.apng").read_bytes() != before


def test_another_model_or_version_makes_it_stale(
    inside: Run, work: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(model_folder, work / "model")
    words = ("t2i", "a dog", "-o", "a.png", "--update", "--model", "model")
    assert inside(*words).status == 0
    assert "up to date" in inside(*words).stderr
    manifest = work / "model" / "manifest.json"
    manifest.write_text(manifest.read_text() + "\n")
    assert "up to date" not in inside(*words).stderr
    assert "up to date" in inside(*words).stderr
    monkeypatch.setattr(nuwa_cli, "__version__", "99")
    assert "up to date" not in inside(*words).stderr
    assert probe(work / "a.png")["recipe"]["version"] == "99"


def test_damaged_and_shortened_files_are_stale(tiny: Run, work: Path) -> None:
    words = ("t2v", "a dog", "--frames", "4", "--update", "-q", "-o")
    for name in ("a.mp4", "a.gif", "a.webp"):
        assert tiny(*words, name).status == 0
        content = (work / name).read_bytes()
        for end in (int(len(content) * 0.9), len(content) - 1):
            (work / name).write_bytes(content[:end])
            assert tiny(*words, name, "--force").status == 0
            assert (work / name).read_bytes() == content, name
    assert tiny(*words, "f/%d.png").status == 0
    (work / "f" / "2.png").unlink()
    assert tiny(*words, "f/%d.png").status == 0
    assert len(list((work / "f").iterdir())) == 4


def test_files_of_others_are_never_replaced(tiny: Run, work: Path) -> None:
    words = ("t2i", "a dog", "-o", "a.png", "--update")
    write_image(work / "a.png", noise())
    before = (work / "a.png").read_bytes()
    tiny(*words).check_refusal(4, "was not made by nuwa; give --force")
    (work / "b.mp4").write_text("my diary")
    tiny("t2v", "a dog", "-o", "b.mp4", "--update").check_refusal(4, "was not made by nuwa")
    assert (work / "a.png").read_bytes() == before
    assert (work / "b.mp4").read_text() == "my diary"
    assert tiny(*words, "--force").status == 0
    assert probe(work / "a.png")["recipe"]["prompt"] == "a dog"


def test_misuse(inside: Run, work: Path) -> None:
    words = ("t2i", "a dog", "-o", "a.png")
    inside(*words, "--update", "--no-metadata").check_refusal(2, "--no-metadata")
    inside(*words, "--depfile", "none/a.d").check_refusal(4, "its folder does not exist")
    inside(*words[:-1], "a;b.png", "--depfile", "a.d").check_refusal(2, "make cannot say the name")
    assert not list(work.iterdir())


NAMES = (
    *("a.png", "a b.png", "a#b.png", "a$b.png", "a:b.png", "a=b.png", "a*b?.png", "a[b].png"),
    *("~a.png", "a\\b.png", "a\\ b.png", "a'\"b.png", "(a){b}.png", "图.png", "a,@+^!.png"),
    *("d e/f.png", "a\\#b.png", "a\\:b.png", "=.png", "a$(b).png", "a`b`.png", "<a>.png"),
)


@pytest.mark.parametrize("name", NAMES)
def test_make_reads_every_name(tmp_path: Path, name: str) -> None:
    """As target and as prerequisite: older, newer, and gone."""
    target, needed = tmp_path / name, tmp_path / f"in{name.replace('/', '_')}"
    target.parent.mkdir(exist_ok=True)
    text = depfile_text([Path(name)], [Path(needed.name)])
    (tmp_path / "a.d").write_text(text)

    def make() -> str:
        words = ["make", "-n", "--debug=b", "-f", "a.d"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (text, done)
        return done.stdout

    for path in (target, needed):
        path.write_text("")
        os.utime(path, (PAST, PAST))
    assert "newer" not in make()
    os.utime(needed, (PAST + 9, PAST + 9))
    assert "is newer than target" in make()
    needed.unlink()
    assert "Must remake target" in make()


def test_names_that_make_cannot_say(tmp_path: Path) -> None:
    for name in ("a\nb.png", "a|b.png", "a;b.png", "a&b.png", "a\tb.png", "a%b.png", "a\\"):
        with pytest.raises(UsageError, match="make cannot say the name"):
            check_depfile(tmp_path / "a.d", [Path(name)])
    with pytest.raises(UsageError, match="no target of make"):
        check_depfile(tmp_path / "a.d", [Path("-")])
    check_depfile(tmp_path / "a.d", [Path("f/%04d.png")], [Path("a%b.png")])
    text = depfile_text([Path("f/%04d.png")], [Path("a%b.png"), Path("c.png"), Path("c.png")])
    assert text == "f/0000.png: a%b.png c.png\n\nc.png:\n"


def test_depfile_names_all_that_was_read(inside: Run, work: Path, model_folder: Path) -> None:
    shutil.copytree(model_folder, work / "model")
    write_image(work / "p.png", noise())
    (work / "clip").mkdir()
    for index in range(2):
        write_image(work / "clip" / f"{index}.png", noise(index))
        write_image(work / f"m{index}.png", np.full((24, 40, 3), 255, dtype=np.uint8))
    (work / "say.txt").write_text("a dog")
    model = ("--model", "model", "-q")
    edit = ("edit", "p.png", "@say.txt", "--mask", "m0.png", "-n", "2", "-o", "a.png")
    assert inside(*edit, "--depfile", "a.d", *model).status == 0
    rule, *empty = (work / "a.d").read_text().split("\n\n")
    targets, needed = rule.split(":")
    files = ["p.png", "m0.png", "say.txt"]
    files += [f"model/{path.name}" for path in sorted(model_folder.iterdir())]
    assert targets.split() == ["a-0000.png", "a-0001.png"]
    assert sorted(needed.split()) == sorted(files)
    assert sorted(line.strip() for line in empty) == sorted(f"{name}:" for name in files)
    vedit = ("vedit", "clip", "a dog", "--mask", "m1.png", "-o", "f/%d.png")
    assert inside(*vedit, "--depfile", "f.d", *model).status == 0
    rule = (work / "f.d").read_text().split("\n\n")[0]
    assert rule.startswith("f/0.png: ")
    assert {"clip/0.png", "clip/1.png", "m1.png"} < set(rule.split())
    # Up to date: the rules are written all the same, and a failure leaves them alone.
    (work / "a.d").unlink()
    assert inside(*edit, "--depfile", "a.d", "--update", *model).status == 0
    content = (work / "a.d").read_text()
    assert inside(*edit, "--depfile", "a.d", *model).status == 4
    assert (work / "a.d").read_text() == content


MAKEFILE = """
NUWA := {nuwa}
PROMPT ?= a dog
OPTIONS = --model {model} --update -q -o $@ --depfile $@.d
.DELETE_ON_ERROR:
all: a.png go.apng
a.png: ; $(NUWA) t2i "$(PROMPT)" $(OPTIONS)
go.apng: ; $(NUWA) predict in.png --frames 2 $(OPTIONS)
# A prompt is seen by nuwa, not by make: with another one it is asked.
ifneq ($(origin PROMPT),file)
a.png: ask
endif
.PHONY: all ask
-include a.png.d go.apng.d
"""


def test_make_in_parallel(work: Path, command: str, model_folder: Path) -> None:
    """Targets at once through real make: made once, then nothing to do; after a touch nothing is drawn
    again, and then there is nothing to do again; a changed prompt changes its target and no other."""
    write_image(work / "in.png", noise())
    (work / "Makefile").write_text(MAKEFILE.format(nuwa=command, model=model_folder))

    def make(*words: str) -> str:
        done = subprocess.run(
            ["make", "-j4", *words], cwd=work, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done
        assert not list(work.glob(".*.tmp"))
        return done.stdout

    def contents() -> list[bytes]:
        return [(work / name).read_bytes() for name in ("a.png", "go.apng")]

    assert make().count(command) == 2
    first = contents()
    assert "Nothing to be done" in make()
    os.utime(work / "in.png")
    assert make().count(command) == 1  # asked, and found up to date
    assert contents() == first
    assert "Nothing to be done" in make()
    make("PROMPT=a dog runs", "a.png")
    second = contents()
    assert second[0] != first[0] and second[1:] == first[1:]
    # An input that is gone is no error of make's, but one of the target that needs it.
    (work / "in.png").unlink()
    done = subprocess.run(["make", "-j4"], cwd=work, capture_output=True, text=True, timeout=240)
    assert done.returncode == 2
    assert "nuwa: file 'in.png': no such file" in done.stderr
    assert contents() == second
