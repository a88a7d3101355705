"""Completion: what a shell is told, and that bash, zsh and fish make of it what they should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from terminals import shell_on, terminal

from nuwa_cli.cli.app import app, parser
from nuwa_cli.cli.manual.completion import ASK, SCRIPTS, machinery, prepare
from nuwa_cli.cli.manual.completion_values import values_of
from nuwa_cli.cli.manual.tree import walk

Run = Callable[..., Any]

needs = {
    shell: pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")
    for shell in SCRIPTS
}


class Asked:
    """Answers to a shell, from a tree that is built once."""

    def __init__(self) -> None:
        self._command = typer.main.get_group(app)  # a tree of its own, because `prepare` changes it
        prepare(self._command)

    def lines(self, *words: str, shell: str = "bash") -> list[list[str]]:
        """(kind, value, help) of each answer where the last word is to be completed."""
        answer = answer_to(self._command, shell, ["nuwa", *words])
        return [line.split("\t") for line in answer.splitlines()]

    def words(self, *words: str, shell: str = "bash") -> list[str]:
        return [value for kind, value, _ in self.lines(*words, shell=shell) if kind == "plain"]

    def files(self, *words: str) -> list[str]:
        """Suffixes of files that may come next, or nothing."""
        found = [value.split() for kind, value, _ in self.lines(*words) if kind == "file"]
        return found[0] if found else []


def answer_to(command: Any, shell: str, words: list[str]) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMP_WORDS", "\n".join(words))
        patch.setenv("COMP_CWORD", str(len(words) - 1))
        asking = machinery.get_completion_class(shell)
        assert asking is not None
        answer: str = asking(command, {}, "nuwa", ASK).complete()
        return answer


@pytest.fixture(scope="module")
def asked() -> Asked:
    return Asked()


def test_commands_with_their_help(asked: Asked) -> None:
    lines = asked.lines("")
    names = [value for _, value, _ in lines]
    assert names == list(parser().commands)  # type: ignore[attr-defined]
    assert all(kind == "plain" and text for kind, _, text in lines)
    assert asked.words("sketch2") == ["sketch2img", "sketch2vid"]
    assert {"list", "verify"} <= set(asked.words("models", ""))
    assert asked.words("train", "m") == ["model"]


def test_options(asked: Asked) -> None:
    assert asked.words("t2i", "x", "--temp") == ["--temperature"]
    assert asked.words("t2i", "--seed", "3", "--see") == []  # given already
    assert "--help" in asked.words("t2v", "--")
    assert asked.words("t2i", "--", "--see") == []


@pytest.mark.parametrize("shell", SCRIPTS)
def test_values(asked: Asked, shell: str) -> None:
    assert asked.words("inpaint", "x.png", "--engine", "", shell=shell) == ["lip", "nuwa"]
    assert asked.words("edit", "x.png", "p", "--fit", "s", shell=shell) == ["stretch"]
    assert asked.words("t2i", "--device", "c", shell=shell) == ["cpu", "cuda"]
    assert asked.words("t2i", "x", "--seed", "", shell=shell) == ["random"]
    assert asked.words("t2i", "x", "--model", "story", shell=shell) == ["storybook"]
    assert asked.lines("t2i", "", shell=shell) == []  # a prompt is yours


def test_bash_cuts_words_at_the_equals_sign(asked: Asked) -> None:
    assert asked.words("edit", "--fit", "=", "s") == ["stretch"]
    assert asked.words("edit", "--fit", "=") == ["crop", "pad", "stretch"]
    assert "png" in asked.files("edit", "--fit", "=", "crop", "")


def test_bash_words_come_with_their_quotes(asked: Asked) -> None:
    assert asked.words("t2i", '"it\'s a dog"', "--dev") == ["--device"]
    assert asked.words("t2i", "a\\ dog", "--device", '"cu') == ["cuda"]
    assert asked.words("t2i", "$(boom)", "--dev") == ["--device"]


def test_files_by_suffix(asked: Asked) -> None:
    assert asked.files("t2i", "x", "-o", "") == ["png", "jpg", "jpeg", "webp"]
    assert "mp4" in asked.files("t2v", "x", "-o", "")
    assert "png" not in asked.files("t2v", "x", "-o", "")
    assert "mp4" not in asked.files("edit", "")
    assert {"mp4", "png"} <= set(asked.files("info", "a.png", ""))
    assert asked.files("train", "model", "--recipe", "") == ["toml"]
    assert ["dir", "", ""] in asked.lines("t2i", "--model", "")


def test_presets_of_the_files_here(
    asked: Asked, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work)
    assert asked.words("t2i", "x", "--preset", "") == []
    (work / "nuwa.toml").write_text(
        "[presets.draft]\nguidance = 1.0\n[presets.best]\nbest-of = 8\n"
    )
    assert asked.words("t2i", "x", "--preset", "") == ["draft", "best"]
    (work / "nuwa.toml").write_text("[presets.draft\n")
    assert asked.words("t2i", "x", "--preset", "") == []


def test_every_path_completes_to_something() -> None:
    nothing = [
        (node.words, parameter.name)
        for node in walk(parser())
        for parameter in node.command.params
        if "path" in str(getattr(parameter.type_descriptor, "annotation", "")).lower()
        and not values_of(node.words, parameter)
    ]
    assert not nothing


def test_odd_questions_get_a_quiet_answer(asked: Asked) -> None:
    assert asked.lines("t2i", "--nothing", "") == []
    assert asked.lines("t2i", "--seed", "x" * 5000, "--num", "many", "--see") == []


def test_the_program_answers(inside: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "nuwa\nsketch2i")
    monkeypatch.setenv("COMP_CWORD", "1")
    monkeypatch.setenv(ASK, "complete_zsh")
    expected = "plain\tsketch2img\tDraw a picture of a sketch.\n"
    assert (inside().status, inside().stdout) == (0, expected)
    monkeypatch.setenv("COMP_CWORD", "x")
    assert inside().status == 0
    monkeypatch.setenv(ASK, "complete_cmd")
    assert inside().status == 1


def test_an_answer_is_light() -> None:
    """None of the heavy libraries, and less than 0.3 s of processor time."""
    code = (
        "import resource, sys\n"
        "from nuwa_cli.cli.app import run\n"
        "assert run([]) == 0\n"
        "heavy = {'torch', 'numpy', 'av', 'PIL', 'rich', 'pydantic'} & set(sys.modules)\n"
        "used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "print(sorted(heavy), used.ru_utime + used.ru_stime, file=sys.stderr)\n"
    )
    asking = {
        "COMP_WORDS": "nuwa\nt2i\nxx\n--seed\n3\n-o\n",
        "COMP_CWORD": "6",
        "_NUWA_COMPLETE": "complete_bash",
    }
    times = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | asking
        )
        assert done.stdout == "file\tpng jpg jpeg webp\t\n", done.stderr
        heavy, seconds = done.stderr.rsplit(" ", 1)
        assert heavy == "[]"
        times.append(float(seconds))
    assert sorted(times)[1] < 0.3, times


@pytest.fixture
def folder(work: Path) -> Path:
    """Some files to complete to."""
    for name in ("one.png", "one.mp4", "two words.jpg", "notes.txt"):
        (work / name).touch()
    (work / "sub").mkdir()
    return work


def environment(command: str, home: Path) -> dict[str, str]:
    """A plain terminal that finds the installed program, and nobody's settings."""
    path = f"{Path(command).parent}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "TERM": "dumb", "HOME": str(home), "LC_ALL": "C.UTF-8", "PS1": "> "}


@needs["bash"]
def test_in_bash(inside: Run, folder: Path, command: str) -> None:
    script = folder.parent / "nuwa.bash"
    script.write_text(inside("completion", "bash").stdout)
    with terminal() as screen:
        shell = ["bash", "--noprofile", "--norc", "-i"]
        with shell_on(screen, shell, environment(command, folder.parent), folder):
            screen.wait_for("> ")
            screen.type(f"source '{script}'; bind 'set show-all-if-ambiguous on'; echo ready\n")
            screen.wait_for("\nready")
            screen.type("nuwa sketch2i\t")
            screen.wait_for("nuwa sketch2img ")
            screen.type("--fit=st\t")
            screen.wait_for("--fit=stretch ")
            screen.type("two\t")
            screen.wait_for("two\\ words.jpg ")
            before = len(screen.shown)
            screen.type("-o \t")
            listed = screen.wait_for("sub", since=before)
            assert b"one.png" in listed
            assert b"one.mp4" not in listed
            assert b"notes.txt" not in listed


@needs["zsh"]
def test_in_zsh(inside: Run, folder: Path, command: str) -> None:
    (folder.parent / "_nuwa").write_text(inside("completion", "zsh").stdout)
    with terminal() as screen:
        env = environment(command, folder.parent)
        with shell_on(screen, ["zsh", "-f", "-i"], env, folder):
            screen.type("fpath+=(..); autoload -U compinit; compinit -u -D; echo rea''dy\n")
            screen.wait_for("ready")
            screen.type("nuwa sketch2i\t")
            screen.wait_for("sketch2img ")
            screen.type("--fit=st\t")
            screen.wait_for("retch ")
            screen.type("two\t")
            screen.wait_for("\\ words.jpg")
            before = len(screen.shown)
            screen.type(" -o \t")
            listed = screen.wait_for("sub/", since=before)
            assert b"one.png" in listed
            assert b"one.mp4" not in listed
            assert b"notes.txt" not in listed


@needs["fish"]
def test_in_fish(inside: Run, folder: Path, command: str) -> None:
    script = folder.parent / "nuwa.fish"
    script.write_text(inside("completion", "fish").stdout)

    def complete(line: str) -> list[str]:
        done = subprocess.run(
            ["fish", "--no-config", "-c", "source $argv[1]; complete -C $argv[2]", script, line],
            capture_output=True,
            text=True,
            env=environment(command, folder.parent),
            cwd=folder,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    assert complete("nuwa sketch2i") == ["sketch2img\tDraw a picture of a sketch."]
    assert complete('nuwa sketch2img "it\'s" --fit=st') == ["--fit=stretch"]
    assert complete("nuwa edit two") == ["two words.jpg"]
    assert complete("nuwa t2i x -o ") == ["one.png", "sub/", "two words.jpg"]
    assert complete("nuwa t2i ") == []
