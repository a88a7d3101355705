"""How fast this machine is, learned from real runs: a few numbers in the user's state folder.

Kept once per machine, model, device and number format, in $XDG_STATE_HOME/nuwa/calibration.json: the
seconds until a model is ready, and the pace, which is the time of drawing over that of the reference
machine, in all and by task. Every run moves both half of the way to what it took, so that two runs are
enough to know a machine. One thread draws on every machine (`cli/work/warm.py`), whatever the environment
says, so their number tells no two runs apart.

On a processor a run is taken to have lasted as long as it computed, if that was less than the clock
says: what other programs took of the machine is theirs. Nothing here may fail a run: a file that cannot
be read is as good as none and is written anew, one that cannot be written is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import platform
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from nuwa_cli.errors import NuwaError

if TYPE_CHECKING:
    from nuwa_cli.cli.forecast.plan import Plan
    from nuwa_cli.cli.work.options import ModelOptions

FILE_NAME = "calibration.json"
_SCHEMA = "nuwa.calibration/2"
_MAX_BYTES = 1 << 18
_MAX_ENTRIES = 64
_WEIGHT = 0.5  # of the newest run
_BOUNDS = (1e-4, 1e4)  # a pace beyond them is no machine
_MIN_START = 0.001  # seconds; less would be written as nothing at all
_MAX_START = 600.0  # seconds
_ROUGH_START = 2.0


@dataclass(frozen=True)
class Pace:
    """What is known of this machine. `start`: seconds until the model is ready."""

    start: float = _ROUGH_START
    overall: float = 1.0
    tasks: dict[str, float] = field(default_factory=dict)
    runs: int = 0
    key: str = ""  # what it belongs to

    @property
    def is_rough(self) -> bool:
        """Whether nothing was measured here."""
        return self.runs == 0

    def of(self, task: str) -> float:
        """How many times as long as on the reference machine a task takes."""
        return self.tasks.get(task, self.overall)


class Watch:
    """Times one run from the loading of its model to its last file."""

    def __init__(self) -> None:
        self._ready: tuple[float, float] | None = None
        self._start: float | None = None

    def ready(self, *, was_loaded: bool = True) -> None:
        """The model can draw. `was_loaded`: for this run, not for one before in this process."""
        self._ready = _now()
        self._start = time.process_time() if was_loaded else None

    def record(self, plan: Plan) -> None:
        """Everything of the plan is drawn and saved. Never raises."""
        if self._ready is None:
            return
        clock, processor = (now - then for now, then in zip(_now(), self._ready, strict=True))
        is_on_gpu = plan.model.device.startswith("cuda")
        record(plan, start=self._start, drawing=clock if is_on_gpu else min(clock, processor))


def record(plan: Plan, *, start: float | None, drawing: float) -> None:
    """Learn from a run: seconds until the model was ready (None: it was already), and of drawing all
    that was planned. Never raises."""
    reference = plan.reference_seconds
    if not (reference > 0 and drawing > 0 and math.isfinite(drawing)):
        return
    tasks = {output.task for output in plan.outputs}
    pace = _clamped(drawing / reference)
    with contextlib.suppress(OSError, NuwaError, RuntimeError, KeyError):
        path = calibration_path()
        entries = _read(path)
        key = plan.pace.key
        old = entries.pop(key, Pace())
        entries[key] = _moved(old, start, pace, tasks.pop() if len(tasks) == 1 else None)
        while len(entries) > _MAX_ENTRIES:  # the one that was used longest ago
            del entries[next(iter(entries))]
        _write(path, entries)


def pace_of(model: ModelOptions, digest: str) -> Pace:
    """What is known of this machine with a model. Never raises."""
    key = _key(model, digest)
    found = Pace()
    with contextlib.suppress(OSError, RuntimeError, KeyError):
        found = _read(calibration_path()).get(key, found)
    return replace(found, key=key)


def calibration_path() -> Path:
    """Where it is kept. Raises RuntimeError or KeyError without a home folder."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if os.path.isabs(state) else Path.home() / ".local" / "state"
    return base / "nuwa" / FILE_NAME


def known_runs() -> int:
    """How many runs were learned from on this machine, with any model. Never raises."""
    with contextlib.suppress(OSError, RuntimeError, KeyError):
        machine = _machine()
        paces = _read(calibration_path()).items()
        return sum(pace.runs for key, pace in paces if key.startswith(machine))
    return 0


def _moved(old: Pace, start: float | None, pace: float, task: str | None) -> Pace:
    """The numbers after one more run: half of the way, by ratio."""

    def between(before: float, after: float) -> float:
        return math.exp((1 - _WEIGHT) * math.log(before) + _WEIGHT * math.log(after))

    is_first = old.runs == 0
    tasks = dict(old.tasks)
    if task is not None:
        tasks[task] = between(tasks[task], pace) if task in tasks else pace
    if start is not None and 0 < start <= _MAX_START:
        start = max(start, _MIN_START)
        start = start if is_first else between(old.start, start)
    else:
        start = old.start
    overall = pace if is_first else between(old.overall, pace)
    return Pace(start, overall, tasks, old.runs + 1)


def _clamped(pace: float) -> float:
    return min(max(pace, _BOUNDS[0]), _BOUNDS[1])


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def _key(model: ModelOptions, digest: str) -> str:
    return f"{_machine()}/{digest[:16]}/{model.device}/{model.dtype}"


def _machine() -> str:
    """Short name of this machine and its processor, which says neither."""
    text = "\0".join((platform.node(), platform.machine(), processor_name(), str(os.cpu_count())))
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def processor_name() -> str:
    """What the system calls the processor; empty where it does not say."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", "rb") as file:
        for line in file.read(1 << 16).splitlines():
            if line.startswith(b"model name"):
                return line.partition(b":")[2].decode("utf-8", "replace").strip()
    return ""


def _read(path: Path) -> dict[str, Pace]:
    """Entries, that of the latest run last; none where the file is not what was written."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        document = json.loads(content) if len(content) <= _MAX_BYTES else None
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
        return {}
    entries = document.get("entries")
    if not isinstance(entries, dict):
        return {}
    found = {key: _pace(value) for key, value in entries.items()}
    return {key: pace for key, pace in found.items() if pace is not None}


def _pace(value: Any) -> Pace | None:
    """An entry of the file, or None for anything that was never written by us."""
    if not isinstance(value, dict) or not isinstance(value.get("tasks"), dict):
        return None
    tasks, runs = value["tasks"], value.get("runs")
    overall, start = value.get("overall"), value.get("start")
    if not (_is_pace(overall) and all(_is_pace(pace) for pace in tasks.values())):
        return None
    if not (
        _is_number(start) and _MIN_START <= start <= _MAX_START and type(runs) is int and runs > 0
    ):
        return None
    return Pace(start, overall, tasks, runs)


def _is_pace(value: Any) -> TypeGuard[float]:
    return _is_number(value) and _BOUNDS[0] <= value <= _BOUNDS[1]


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _write(path: Path, entries: dict[str, Pace]) -> None:
    from nuwa_cli.media.atomic import write_bytes

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {
        key: {
            "start": round(pace.start, 3),
            "overall": round(pace.overall, 4),
            "tasks": {task: round(value, 4) for task, value in pace.tasks.items()},
            "runs": pace.runs,
        }
        for key, pace in entries.items()
    }
    document = {"schema": _SCHEMA, "entries": rows}
    write_bytes(path, json.dumps(document, indent=1).encode() + b"\n", force=True)
