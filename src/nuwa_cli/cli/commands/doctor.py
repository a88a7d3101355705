"""`nuwa doctor`: what this installation and this machine are, for the user and for a bug report.

It loads the libraries, as a run would, but no model: of that it compares the files with their manifest.
Nothing personal is printed: folders are shown by ~ or by the variable that names them, of a token or a
mirror only that it is set.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from nuwa_cli.cli.work.options import JsonFlag
from nuwa_cli.cli.work.output import print_json, print_line
from nuwa_cli.errors import EnvironmentFault, NuwaError

DOCTOR_SCHEMA = "nuwa.doctor/1"

_PACKAGES = (
    "torch",
    "numpy",
    "av",
    "pillow",
    "safetensors",
    "typer",
    "rich",
    "huggingface-hub",
    "xformers",
)
_SWITCHES = (
    "HF_HUB_OFFLINE",
    "HF_ENDPOINT",
    "HF_TOKEN",
    "HF_HOME",
    "HF_HUB_CACHE",
    "NUWA_NO_CONFIG",
)
_SHOWN_SWITCHES = ("HF_HUB_OFFLINE", "NUWA_NO_CONFIG")  # of the others only that they are set

Facts = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add `nuwa doctor` to the command line."""
    app.command("doctor", short_help="Look at this installation and machine.")(doctor)


def doctor(json: JsonFlag = False) -> None:
    """nuwa doctor

    Show versions, processor, memory, graphics cards, the state of the model's files, and the
    folders that nuwa uses: what belongs in a bug report. Nothing is sent anywhere.
    Status 0 if a run can be expected to work, 5 if not.
    """
    problems: list[str] = []

    def ask(what: str, question: Callable[[], Facts]) -> Facts:
        """Facts, or none with a line in `problems`: one broken part must not hide the others."""
        try:
            return question()
        except (ImportError, OSError, RuntimeError, AttributeError, NuwaError) as error:
            problems.append(_without_home(f"{what}: {str(error).splitlines()[0]}"))
            return {}

    report = {
        "versions": ask("versions", _versions),
        "processor": ask("processor", _processor),
        "memory": ask("memory", _memory),
        "graphics": ask("graphics", _graphics),
        "model": ask("model", lambda: _model(problems)),
        "folders": ask("folders", lambda: _folders(problems)),
        "config": ask("config", _config),
        "calibration": ask("calibration", _calibration),
        "environment": _environment(),
    }
    if json:
        print_json({"schema": DOCTOR_SCHEMA, **report, "problems": problems})
    else:
        for name, facts in report.items():
            print_line(f"{name}: {', '.join(_shown(*fact) for fact in facts.items()) or 'unknown'}")
    if problems:
        rest = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise EnvironmentFault(f"doctor: {problems[0]}{rest}")


def _versions() -> Facts:
    from importlib import metadata  # 20 ms, which no other command need wait for

    import nuwa_cli

    found: Facts = {"nuwa": nuwa_cli.__version__, "python": platform.python_version()}
    found["system"] = f"{platform.system()} {platform.release()} {platform.machine()}"
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def _processor() -> Facts:
    affinity = getattr(os, "sched_getaffinity", None)
    usable = len(affinity(0)) if affinity else os.cpu_count()  # torch may bind this thread to one

    import torch

    from nuwa_cli.cli.forecast.calibration import processor_name
    from nuwa_cli.devices import pick_dtype

    return {
        "name": processor_name() or platform.processor() or None,
        "cores": os.cpu_count(),
        "usable cores": usable,
        "dtype": str(pick_dtype("auto", torch.device("cpu"))).removeprefix("torch."),
    }


def _memory() -> Facts:
    from nuwa_cli.cli.forecast.free_memory import available_memory
    from nuwa_cli.cli.forecast.plan import readable_size

    free = available_memory()
    total = None
    with contextlib.suppress(AttributeError, ValueError, OSError):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "total": None if total is None else readable_size(total),
        "free for nuwa": None if free is None else readable_size(free),
    }


def _graphics() -> Facts:
    import torch

    devices = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(f"cuda:{index} {properties.name} {properties.total_memory >> 20} MiB")
    has_xformers = False
    if devices:  # on a CPU it is never used, and slow to import
        with contextlib.suppress(ImportError, OSError, RuntimeError):
            import xformers.ops  # noqa: F401

            has_xformers = True
    return {"devices": devices or None, "cuda": torch.version.cuda, "xformers usable": has_xformers}


def _model(problems: list[str]) -> Facts:
    from nuwa_cli.hub.catalog import DEFAULT_MODEL, find_model
    from nuwa_cli.hub.manifest import verify_files

    manifest, wrong = verify_files(find_model(DEFAULT_MODEL))
    problems += [_without_home(line) for line in wrong]
    return {"name": DEFAULT_MODEL, "sha256": manifest.digest[:16], "intact": not wrong}


def _folders(problems: list[str]) -> Facts:
    from nuwa_cli.cli.forecast.calibration import calibration_path
    from nuwa_cli.cli.settings.sources import config_home

    found: Facts = {}
    config, state = config_home(), None
    with contextlib.suppress(RuntimeError, KeyError):
        state = calibration_path().parent
    hub = os.environ.get("HF_HOME") or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    named = {
        "config": config and config / "nuwa",
        "state": state,
        "cache": Path(os.path.expanduser(hub))
        / ("hub" if "HF_HOME" in os.environ else "huggingface"),
        "temporary": Path(tempfile.gettempdir()),
    }
    for name, folder in named.items():
        if folder is None:
            found[name] = "no home folder"
            continue
        state_of = _writable(folder)
        found[name] = f"{_without_home(str(folder))} ({state_of})"
        if name == "temporary" and state_of != "writable":
            problems.append(f"folders: '{_without_home(str(folder))}' is {state_of}")
    return found


def _config() -> Facts:
    from nuwa_cli.cli.app import parser
    from nuwa_cli.cli.settings.layers import read_layers
    from nuwa_cli.cli.settings.names import all_commands
    from nuwa_cli.cli.settings.sources import places

    read_layers(all_commands(parser()))
    found = [f"{place.rank} file" for place in places() if place.state == "found"]
    return {"files": found or None}


def _calibration() -> Facts:
    from nuwa_cli.cli.forecast.calibration import known_runs

    return {"runs learned from": known_runs()}


def _environment() -> Facts:
    found: Facts = {
        name: (os.environ[name] if name in _SHOWN_SWITCHES else "set")
        for name in _SWITCHES
        if os.environ.get(name)
    }
    found["settings"] = sorted(name for name in os.environ if name.startswith("NUWA_")) or None
    found["encoding"] = sys.getfilesystemencoding()
    return found


def _writable(folder: Path) -> str:
    """Whether files can be written there, or could be once the folder is made."""
    try:
        if folder.is_dir():
            with tempfile.TemporaryFile(dir=folder):  # the only honest test
                return "writable"
        nearest = next(parent for parent in folder.parents if parent.exists())
        return "not there yet" if os.access(nearest, os.W_OK | os.X_OK) else "cannot be made"
    except (OSError, StopIteration):
        return "not writable"


def _without_home(text: str) -> str:
    """A text without the name of the user: folders by their variable, or by ~."""
    names = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "HF_HOME", "TMPDIR")
    for name in names:
        value = os.environ.get(name, "").rstrip("/")
        if os.path.isabs(value):
            text = text.replace(value, f"${name}")
    with contextlib.suppress(RuntimeError, KeyError):
        home = str(Path.home())
        if home != "/":
            text = text.replace(home, "~")
    return text


def _shown(name: str, value: Any) -> str:
    if isinstance(value, list):
        value = " + ".join(value)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"{name} {value if value is not None else 'none'}"
