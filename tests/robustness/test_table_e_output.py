"""Fault table E, first half: outputs that exist, cannot be, are inputs, or are shared."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_tools import Finished, Run, contents, times
from pictures import photo
from PIL import Image

from nuwa_cli.media.atomic import write_bytes
from nuwa_cli.media.locks import hold

Refuses = Callable[..., Finished]
RACES = Path(__file__).parent / "crash" / "races.py"


def draw(model: Path, name: str | bytes = "out.png") -> tuple[Any, ...]:
    return ("t2i", "a dog", "-o", name, "--model", model)


@pytest.mark.row("E1")
def test_an_output_that_exists(
    refuses: Refuses, inside: Run, work: Path, model_folder: Path
) -> None:
    """The installed command replaces a file in test_the_output_is_the_input."""
    (work / "out.png").write_bytes(b"mine")
    refuses(4, "exists; give --force", *draw(model_folder))
    done = inside(*draw(model_folder), "--force")
    assert done.status == 0, done
    with Image.open(work / "out.png") as picture:
        picture.load()
    assert len(list(work.iterdir())) == 1


def race(mode: str, folder: Path, *, processes: int, rounds: int) -> dict[str, Any]:
    words = [sys.executable, str(RACES), mode, str(processes), str(rounds), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.row("E1", "E12")
def test_of_several_writers_one_wins(work: Path) -> None:
    rounds = times(10, 50, 500)
    found = race("new", work, processes=times(8, 8, 16), rounds=rounds)
    assert (found["wrong"], found["torn"], found["left"]) == (0, 0, 0), found
    assert found["statuses"]["0"] == rounds and found["statuses"]["other"] == 0


@pytest.mark.row("E12")
def test_writers_that_replace_each_other(work: Path) -> None:
    rounds = times(10, 50, 500)
    found = race("replace", work, processes=times(8, 8, 16), rounds=rounds)
    assert (found["wrong"], found["torn"], found["left"]) == (0, 0, 0), found


@pytest.mark.row("E12")
def test_commands_at_once(command: str, work: Path, model_folder: Path) -> None:
    """The same output: one writes it, the other is told; with --force both do."""
    ways = ((False, [0, 4]), (True, [0, 0]))[: times(1, 2, 2)]
    for force, expected in ways:
        words = [command, *map(str, draw(model_folder, "a.png" if force else "b.png"))]
        pair = [
            subprocess.Popen([*words, *["--force"] * force], cwd=work, stderr=subprocess.DEVNULL)
            for _ in range(2)
        ]
        assert sorted(process.wait(120) for process in pair) == expected
    assert sorted(path.name for path in work.iterdir()) == ["a.png", "b.png"][-len(ways) :]


@pytest.mark.row("E12")
def test_a_run_folder_has_one_owner(work: Path) -> None:
    from nuwa_cli.errors import EnvironmentFault

    lock = hold(work / ".lock", "run 'x'")
    code = (
        "import sys\nfrom pathlib import Path\nfrom nuwa_cli.media.locks import hold\n"
        "from nuwa_cli.errors import EnvironmentFault\n"
        "try:\n    hold(Path(sys.argv[1]), \"run 'x'\")\n"
        "except EnvironmentFault as error:\n    print(error)\n    sys.exit(5)\n"
    )
    words = [sys.executable, "-c", code, work / ".lock"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 5
    assert done.stdout.startswith(f"run 'x': in use by process {os.getpid()} on ")
    lock.release()
    assert subprocess.run(words, capture_output=True).returncode == 0
    second = hold(work / ".lock", "run 'x'")
    with pytest.raises(EnvironmentFault):
        hold(work / ".lock", "run 'x'")
    second.release()


@pytest.mark.row("E2")
def test_outputs_that_cannot_be(refuses: Refuses, inside: Run, work: Path) -> None:
    (work / "folder.png").mkdir()
    (work / "dangling.png").symlink_to("nowhere/x.png")
    (work / "file").write_text("")
    os.mkfifo(work / "fifo.png")
    before = contents(work)
    cases = {
        "missing/out.png": "mkdir -p 'missing'",
        "folder.png": "is a folder",
        "fifo.png": "is not a regular file",
        "dangling.png": "dangling.png",
        "file/out.png": "file/out.png",
        "x" * 300 + ".png": "file name too long",
        "/proc/out.png": "/proc/out.png",
        "a\nb/out.png": r"a\nb",
    }
    for name, why in cases.items():
        inside(*draw(Path("there is none"), name)).check_refusal(4, why)
    for name in ("missing/out.png", "folder.png", "dangling.png"):
        refuses(4, cases[name], *draw(Path("there is none"), name))
    assert contents(work) == before


@pytest.mark.row("E2")
def test_a_read_only_folder(refuses: Refuses, work: Path) -> None:
    from test_table_a_hub import without_privileges

    (work / "closed").mkdir(mode=0o500)
    words = draw(Path("there is none"), "closed/out.png")
    refuses(4, "closed/out.png", *words, before=without_privileges)


@pytest.mark.row("E3")
def test_the_output_is_the_input(
    refuses: Refuses, nuwa: Run, work: Path, model_folder: Path
) -> None:
    """Refused as any file that exists; with --force it is replaced when all of it has been read."""
    Image.fromarray(photo(64, 64)).save(work / "a.png")
    (work / "sub").mkdir()
    os.link(work / "a.png", work / "hard.png")
    (work / "soft.png").symlink_to("a.png")
    for name in ("a.png", "./sub/../a.png", "hard.png", "soft.png"):
        words = ("edit", "a.png", "a dog", "--box", "0,0,32,32", "-o", name)
        refuses(4, "exists", *words, "--model", model_folder)
    done = nuwa(
        *("edit", "a.png", "a dog", "--box", "0,0,32,32", "-o", "soft.png", "--force"),
        *("--model", model_folder),
    )
    assert done.status == 0, done
    with Image.open(work / "a.png") as picture:
        picture.load()
        assert picture.size == (64, 64)
    with Image.open(work / "hard.png") as picture:
        assert (np.asarray(picture) == photo(64, 64)).all(), "another name keeps the old picture"


@pytest.mark.row("E4")
def test_a_full_disk_through_the_command(nuwa: Run, work: Path, model_folder: Path) -> None:
    """Many sizes, every writer: test_crashes.py."""
    (work / "old.png").write_bytes(b"mine")
    cases = ((100, "old.png", ["-f"]), (100, "out.png", []), (0, "out.mp4", []))
    for most, name, force in cases[: times(1, 3, 3)]:
        command = "t2v" if name.endswith("mp4") else "t2i"
        done = nuwa(
            *(command, "a dog", "-o", name, "--model", model_folder, "-q", *force),
            limits={resource.RLIMIT_FSIZE: most},
        )
        done.check_refusal(4, "file too large; raise the file size limit")
        assert contents(work).keys() == {"old.png"}
    assert (work / "old.png").read_bytes() == b"mine"


@pytest.mark.row("E5")
def test_streams_that_end_or_are_full(command: str, work: Path, model_folder: Path) -> None:
    words = [command, *map(str, draw(model_folder, "-")), "--format", "png", "-q"]
    for closed in (True, False)[: times(1, 2, 2)]:
        reading, writing = os.pipe()
        if closed:
            os.close(reading)
        with subprocess.Popen(words, cwd=work, stdout=writing, stderr=subprocess.PIPE) as process:
            os.close(writing)
            if not closed:
                assert len(os.read(reading, 10)) == 10
                os.close(reading)
            assert process.stderr is not None
            said = process.stderr.read()
        assert process.returncode in ({141} if closed else {0, 141})
        assert said == b""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(words, cwd=work, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (4, 1), done
    assert b"no space left on device" in done.stderr
    assert not list(work.iterdir())


NAMES: tuple[bytes, ...] = tuple(
    name if isinstance(name, bytes) else name.encode()
    for name in (
        *(
            "a b",
            " a",
            "a ",
            "ä",
            "a\u0308",
            "犬",
            "👩‍👩‍👧",
            "כלב",
            "-o",
            "--help",
            "-",
            "--",
            "a\nb",
        ),
        *(
            "a\tb",
            "a\rb",
            "a\x1b[2Jb",
            "a'b",
            'a"b',
            "a`b",
            "$(x)",
            "${x}",
            ";",
            "|",
            "&",
            "*",
            "?",
        ),
        *("[a]", "{a,b}", "~", "#", "!", "\\", "a\\nb", "%", "%s", "..a", ".hidden", "con", "=x"),
        *(b"\xff\xfe", b"caf\xe9", b"a\x01b", "x" * 251, "\u202eabc", "a.png.b"),
    )
)


@pytest.mark.row("E6")
def test_odd_names(inside: Run, nuwa: Run, work: Path, model_folder: Path) -> None:
    """Written under exactly these bytes, read again, and never taken for an option."""
    assert len(NAMES) >= 40
    for name in NAMES[:: times(2, 1, 1)]:
        path = b"./" + name + b".png"
        output = path.replace(b"{", b"{{").replace(b"}", b"}}")  # single ones are fields
        done = inside("t2i", "a dog", b"-o" + output, "--model", model_folder, "-q")
        assert done.status == 0, (name, done)
        assert os.listdir(os.fsencode(work)) == [name + b".png"]
        assert inside("info", path).status == 0
        os.unlink(os.path.join(os.fsencode(work), name + b".png"))
    for name in (b"caf\xe9 \n-.png", b"./--help.png")[: times(1, 2, 2)]:
        done = nuwa("t2i", "a dog", "-o", name, "--model", model_folder, "-q")
        assert done.status == 0, done
        assert os.fsencode(done.stdout).removeprefix(b"./") == name.removeprefix(b"./") + b"\n"
        assert nuwa("info", "--", name).status == 0


@pytest.mark.row("E9")
def test_the_next_command_removes_orphans(nuwa: Run, work: Path, model_folder: Path) -> None:
    """What a killed run left goes; what a living one is writing stays."""
    import fcntl

    (work / ".out.png.dead.tmp").write_bytes(b"half")
    (work / ".other.png.dead.tmp").write_bytes(b"half")
    with open(work / ".out.png.live.tmp", "wb") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        assert nuwa(*draw(model_folder)).status == 0
    names = {path.name for path in work.iterdir()}
    assert names == {"out.png", ".out.png.live.tmp", ".other.png.dead.tmp"}
    write_bytes(work / "other.png", b"x")
    assert not (work / ".other.png.dead.tmp").exists()
