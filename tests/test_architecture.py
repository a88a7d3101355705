"""The shape of the house: imports point one way, files stay short, help stays light, no pickle."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "nuwa_cli"
FILES = sorted(SOURCE.rglob("*.py"))

# Highest first; the parts of one line are independent of each other.
LAYERS = [
    {"cli"},
    {"training", "evaluation"},
    {"api"},
    {"infinity"},
    {"tasks", "hub"},
    {"sampling"},
    {"model", "tokenizer", "storybook"},
    {"sketches", "compositing"},
    {"ops", "media", "devices"},
    {"presets"},
    {"config"},
    {"errors"},
]
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
ENTRY = {"__main__", "__init__"}
HEAVY = ("torch", "numpy", "av", "PIL", "safetensors", "huggingface_hub", "rich", "pydantic")


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Parts of the package that a file imports, anywhere in it (inside functions too)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            pieces = name.split(".")
            if pieces[0] == "nuwa_cli" and len(pieces) > 1 and pieces[1] in LEVEL:
                yield pieces[1]


def test_every_part_has_a_layer() -> None:
    assert {part_of(path) for path in FILES} - ENTRY == set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    if part in ENTRY:
        return
    wrong = {other for other in imports(path) if other != part and LEVEL[other] <= LEVEL[part]}
    assert not wrong, f"{part} must not import {wrong}"


def test_only_two_task_modules_know_model_and_sampling() -> None:
    users = {
        path.name
        for path in FILES
        if part_of(path) == "tasks" and {"model", "sampling"} & set(imports(path))
    }
    assert users <= {"run.py", "layouts.py"}


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("src", "tests", "benchmarks")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert not {name: length for name, length in lengths.items() if length > 400}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path.name for path in FILES if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert not silent


def test_no_code_is_loaded_from_files() -> None:
    banned = re.compile(
        r"\bpickle\.\w|import pickle|torch\.(load|save)\(|\beval\(|\bexec\(|yaml\.load|"
        r"trust_remote_code|weights_only"
    )
    module_eval = re.compile(r"\.eval\(")  # nn.Module.eval() is no evaluation of text
    found = [
        f"{path.name}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if banned.search(module_eval.sub("", line))
    ]
    assert not found


def test_files_are_written_by_the_one_writer() -> None:
    """Below training nothing but media/atomic.py opens a file for writing."""
    writes = re.compile(r"""open\([^)]*["'][wax]b?\+?["']|\.write_(text|bytes)\(|save_file\(""")
    allowed = {
        "atomic.py",
        "main_errors.py",  # the crash log is written when all else failed
        "video.py",  # an encoder opens the pending file itself
    }
    found = [
        path.name
        for path in FILES
        if part_of(path) in {"media", "sketches", "compositing", "hub", "api", "cli", "tasks"}
        and path.name not in allowed
        and writes.search(path.read_text(encoding="utf-8"))
    ]
    assert not found


def commands() -> list[list[str]]:
    """Every command line that can end in --help, from the program itself."""

    from nuwa_cli.cli.app import parser

    def walk(command: object, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, [*path, name])

    return list(walk(parser(), []))


def test_help_is_light() -> None:
    """One process asks every command for help; none of the heavy libraries comes in."""
    code = (
        "import sys\n"
        "from nuwa_cli.cli.app import run\n"
        f"for command in {commands()!r}:\n"
        "    assert run([*command, '--help']) == 0, command\n"
        f"heavy = sorted(set(sys.modules) & set({HEAVY!r}))\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: nuwa") == len(commands()) > 8


def modules_after(code: str) -> set[str]:
    """The names of all modules a process of its own has loaded after `code`."""
    command = [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules, file=sys.stderr)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_help_loads_little_that_typer_does_not() -> None:
    """What a wait for help consists of, counted: the same number on a slow machine and on a busy one."""
    more = modules_after("from nuwa_cli.cli.app import run\nrun(['--help'])")
    more -= modules_after("import typer")
    foreign = sorted(name for name in more if name.split(".")[0] != "nuwa_cli")
    assert len(foreign) < 30, foreign


def test_help_is_fast() -> None:
    """In processor time of the same run: as much as a few times `import typer`, the least of five."""
    code = (
        "import resource, subprocess, sys\n"
        "def seconds(*words):\n"
        "    before = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)\n"
        "    after = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime\n"
        "pairs = [(seconds('-m', 'nuwa_cli', '--help'), seconds('-c', 'import typer')) for _ in range(5)]\n"
        "helping, typer = (min(taken) for taken in zip(*pairs))\n"
        "assert helping < 5 * typer, pairs\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words) or "nuwa")
def test_help_begins_with_a_runnable_line(words: list[str]) -> None:

    from nuwa_cli.cli.app import parser

    command: object = parser()
    for word in words:
        command = command.commands[word]  # type: ignore[attr-defined]
    text = getattr(command, "help", "") or ""
    example = text.strip().splitlines()[0]
    assert example.startswith(f"nuwa {' '.join(words)}".strip()), example


def test_every_option_is_documented_and_used() -> None:
    """Every parameter has a help line, and its name occurs in the code behind the command."""

    from nuwa_cli.cli.app import parser

    code = "\n".join(path.read_text("utf-8") for path in FILES if part_of(path) == "cli")
    uses = Counter(re.findall(r"\w+", code))

    def walk(command: object, path: str) -> Iterator[str]:
        for parameter in getattr(command, "params", []):
            name = parameter.name
            if name in ("help", "install_completion", "show_completion"):
                continue
            if not getattr(parameter, "help", None):
                yield f"{path} {name}: no help"
            if uses[name] < 2:
                yield f"{path} {name}: declared, never read"
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{path} {name}")

    assert not list(walk(parser(), "nuwa"))
