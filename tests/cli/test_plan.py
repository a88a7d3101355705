"""The forecast: exact where it can be, quick, and heeded before a model is loaded."""

from __future__ import annotations

import dataclasses
import json
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nuwa_cli.cli.forecast import free_memory
from nuwa_cli.cli.forecast import memory as plan_memory
from nuwa_cli.cli.forecast.cost import num_waves, operations_per_token
from nuwa_cli.cli.forecast.free_memory import available_memory
from nuwa_cli.cli.forecast.memory import check_memory, chunks_for, memory_advice, peak_memory
from nuwa_cli.cli.forecast.plan import TOGETHER, Plan, forecast, parse_size_bytes, readable_size
from nuwa_cli.cli.work.options import ModelOptions
from nuwa_cli.config import NuwaConfig
from nuwa_cli.errors import EnvironmentFault, UsageError

Run = Callable[..., Any]


@dataclass(frozen=True)
class Wish:
    """An order as a plan reads it."""

    task: str = "t2v"
    prompt: str = "a dog"
    given: Any = None
    num_frames: int | None = None
    best_of: int | None = None
    sampling: dict[str, Any] = field(default_factory=dict)


def net(**changes: Any) -> NuwaConfig:
    sizes: dict[str, Any] = {
        "dim": 256,
        "num_heads": 8,
        "encoder_layers": 2,
        "decoder_layers": 6,
        "visual_vocab": 8192,
        "sketch_vocab": 512,
        "text_vocab": 2048,
        "grid_height": 16,
        "grid_width": 16,
        "extent": (3, 5, 5),
    }
    return NuwaConfig(**{**sizes, **changes})


@pytest.fixture
def planned() -> Callable[..., Plan]:
    """Plan orders for the model that ships with nuwa."""
    from nuwa_cli.hub.catalog import find_model
    from nuwa_cli.hub.manifest import read_manifest
    from nuwa_cli.hub.model_config import read_config

    folder = find_model("storybook")
    config, manifest = read_config(folder), read_manifest(folder)

    def plan(*orders: Wish, **options: Any) -> Plan:
        model = ModelOptions(**options)
        return forecast(config, orders or [Wish()], model=model, manifest=manifest)

    return plan


def test_waves_are_those_of_the_schedule() -> None:
    from nuwa_cli.ops.grid import GridShape
    from nuwa_cli.ops.neighborhood import Extent
    from nuwa_cli.sampling.schedule import Schedule

    for frames in (1, 2, 10):
        for height, width in ((1, 1), (1, 7), (5, 1), (4, 6), (16, 16), (21, 21)):
            for extent in ((1, 1, 1), (3, 3, 3), (3, 5, 5), (5, 1, 3), (3, 7, 1), (1, 9, 11)):
                schedule = Schedule(GridShape(frames, height, width), Extent(*extent))
                config = net(grid_height=height, grid_width=width, extent=extent)
                assert num_waves(frames, config) == schedule.num_steps, (frames, config)


def test_the_same_number_together_as_the_engine() -> None:
    from nuwa_cli.api import engine

    assert engine.TOGETHER == TOGETHER


def test_operations_of_a_token() -> None:
    """Those that were counted by hand for this net: 15.2 million in products, the rest is attention."""
    with_attention = operations_per_token(net())
    assert 15.2e6 < with_attention < 15.2e6 * 1.3
    assert operations_per_token(net(decoder_layers=12)) < 2 * with_attention


def test_tokens_waves_and_candidates(planned: Callable[..., Plan]) -> None:
    assert planned().facts(0)["tokens"] == 2560
    assert planned().facts(0)["waves"] == 142
    assert planned(Wish(task="t2i")).facts(0)["waves"] == 61
    assert planned(Wish(num_frames=100)).facts(0)["tokens"] == 25600
    best = planned(Wish(task="t2i", best_of=12))
    assert best.facts(0)["tokens"] == 12 * 256
    assert best.facts(0)["waves"] == 2 * 61  # eight candidates share their steps, then four
    assert planned(Wish(task="t2i", prompt="", best_of=None)).outputs[0].candidates == 1
    many = planned(*[Wish(task="t2i")] * 9, Wish())
    assert many.waves == 2 * 61 + 142
    assert many.seconds < 9 * planned(Wish(task="t2i")).seconds + planned().seconds


def test_guidance_and_length_cost(planned: Callable[..., Plan]) -> None:
    plain = planned(Wish(sampling={"guidance_scale": 1.0}))
    assert planned().outputs[0].operations == 2 * plain.outputs[0].operations
    assert planned().seconds > plain.seconds
    memory = [peak_memory(planned(Wish(num_frames=count))) for count in (1, 2, 10, 100, 1000)]
    assert memory == sorted(memory)
    assert peak_memory(planned(*[Wish()] * 8)) > peak_memory(planned())


def test_a_clip_that_is_streamed_keeps_no_frames(planned: Callable[..., Plan]) -> None:
    kept = planned(Wish(num_frames=5000))
    outputs = tuple(dataclasses.replace(one, is_streamed=True) for one in kept.outputs)
    streamed = dataclasses.replace(kept, outputs=outputs)
    assert peak_memory(streamed) < 700e6 < peak_memory(kept)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("900000", 900000),
        ("2G", 2 << 30),
        ("2 GiB", 2 << 30),
        ("1.5gb", 3 << 29),
        ("800M", 800 << 20),
        ("64k", 64 << 10),
        ("1T", 1 << 40),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "G", "-1G", "0", "2X", "1e9", "nan", "2 G B", "9" * 40, "0.1"]
)
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="max-memory"):
        parse_size_bytes(text)


def test_sizes_are_never_shown_too_small() -> None:
    for size in (1, 1 << 20, (1 << 20) + 1, (1 << 30) - 1, 1 << 30, (1 << 30) + 1, 3 << 30):
        assert parse_size_bytes(readable_size(size)) >= size


def test_dry_run_loads_nothing_and_is_quick(work: Path) -> None:
    code = (
        "import sys\nfrom nuwa_cli.cli.app import run\n"
        "assert run(sys.argv[1:]) == 0\n"
        "heavy = {'torch', 'av', 'numpy', 'PIL'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    words = ["t2v", "a dog", "-o", "out.mp4", "--dry-run"]
    runs = [
        (processed(work, "-c", code, *words), processed(work, "-c", "import typer")) for _ in "abc"
    ]
    dry, typer = (min(seconds for _, seconds in own) for own in zip(*runs, strict=True))
    assert dry < 8 * typer, runs  # of the same moments: an absolute time would measure the machine
    done = runs[0][0][0]
    pattern = r"out\.mp4: 2560 tokens in 142 waves, about \d+(\.\d)? s, \d+ MB\n"
    assert re.fullmatch(pattern, done.stdout), done.stdout
    assert "in all 1 file in 142 waves" in done.stderr
    assert "rough" in done.stderr
    assert list(work.iterdir()) == []


def processed(work: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """A Python run to its good end, and the processor time that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *words], cwd=work, capture_output=True, text=True, timeout=60
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_dry_run_as_json(tiny: Run) -> None:
    done = tiny("t2v", "a dog", "a cat", "-o", "out.mp4", "--dry-run", "--json")
    assert done.status == 0, done
    outputs = json.loads(done.stdout)["outputs"]
    assert [output["prompt"] for output in outputs] == ["a dog", "a cat"]
    for output in outputs:
        assert output["tokens"] > 0 < output["waves"]
        assert output["estimated_seconds"] > 0 < output["estimated_memory_bytes"]


def test_too_little_is_refused_with_what_fits(inside: Run) -> None:
    words = ["t2v", "a dog", "-o", "a.gif", "--max-memory", "800M"]
    refused = inside(*words, "--frames", "5000")
    refused.check_refusal(5, "needed, 800 MiB allowed; give --frames")
    advice = re.search(r"--frames (\d+), or --max-memory (\d+M)", refused.stderr)
    assert advice is not None
    fits, memory = int(advice[1]), advice[2]
    assert inside(*words, "--frames", str(fits), "--dry-run").status == 0
    assert inside(*words, "--frames", str(fits + 1), "--dry-run").status == 5
    words[-1] = memory
    assert inside(*words, "--frames", "5000", "--dry-run").status == 0
    inside("t2i", "a", "-o", "a.png", "--max-memory", "9M").check_refusal(5, "give --max-memory")


def test_smaller_groups_before_a_refusal(planned: Callable[..., Plan]) -> None:
    plan = planned(*[Wish()] * 8)
    assert chunks_for(peak_memory(plan), plan).together == TOGETHER
    assert chunks_for(peak_memory(plan), plan).note == ""
    sizes = [peak_memory(dataclasses.replace(plan, together=size)) for size in (1, 4)]
    assert [chunks_for(size, plan).together for size in sizes] == [1, 4]
    assert "4 outputs at a time" in chunks_for(sizes[1], plan).note
    with pytest.raises(EnvironmentFault, match="memory: about"):
        check_memory(plan, str(sizes[0] - 1))
    one = planned(Wish())  # others may join it
    assert chunks_for(sizes[1], one).together == 4
    assert chunks_for(sizes[1], one).note == ""


def test_many_outputs_are_planned_quickly(work: Path, planned: Callable[..., Plan]) -> None:
    def seconds(count: int) -> float:
        before = time.process_time()
        plan = planned(*[Wish(task="t2i", prompt=str(index)) for index in range(count)])
        check_memory(plan, "8G")
        assert plan.waves == count // 8 * 61
        assert plan.total().startswith(f"in all {count} files")
        return time.process_time() - before

    pairs = [(seconds(10_000), seconds(1_000)) for _ in range(3)]
    many, some = (min(taken) for taken in zip(*pairs, strict=True))
    assert many < 25 * some, pairs  # pairs of outputs would take a hundred times
    typer = min(processed(work, "-c", "import typer")[1] for _ in pairs)
    assert many < 25 * typer, (pairs, typer)  # two seconds where typer takes 0.08


def test_all_memory_that_is_free_may_be_taken(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(Wish(num_frames=5000))
    needed = peak_memory(plan)
    monkeypatch.setattr(plan_memory, "available_memory", lambda: needed)
    assert check_memory(plan, None).note == ""
    monkeypatch.setattr(plan_memory, "available_memory", lambda: needed - 1)
    with pytest.raises(EnvironmentFault, match=r"free; give --frames \d+$"):
        check_memory(plan, None)
    monkeypatch.setattr(plan_memory, "available_memory", lambda: None)
    assert check_memory(plan, None).note == ""


FILES = {
    "/proc/meminfo": ["MemTotal: 9000 kB\n", "MemAvailable: 8000 kB\n"],
    "/proc/self/cgroup": ["5:cpu:/a\n", "4:memory:/a/b\n", "0::/c\n"],
    "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": ["9223372036854771712\n"],
    "/sys/fs/cgroup/memory/a/b/memory.usage_in_bytes": ["1000\n"],
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": ["5000000\n"],
    "/sys/fs/cgroup/memory/a/memory.usage_in_bytes": ["3000000\n"],
    "/sys/fs/cgroup/memory/a/memory.stat": ["cache 1000000\n", "rss 2000000\n"],
    "/sys/fs/cgroup/c/memory.max": ["max\n"],
    "/sys/fs/cgroup/c/memory.current": ["10\n"],
}


def test_memory_of_machine_and_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    files = dict(FILES)
    monkeypatch.setattr(free_memory, "_lines", lambda path: files.get(path, []))
    monkeypatch.setattr(free_memory, "_free_address_space", lambda: None)
    assert available_memory() == 3_000_000  # version 1, the group around this one, files given up
    files["/sys/fs/cgroup/c/memory.max"] = ["500010\n"]
    assert available_memory() == 500_000  # version 2
    files["/proc/meminfo"] = ["MemAvailable: 400 kB\n"]
    assert available_memory() == 400 * 1024
    files.clear()
    assert available_memory() is None


def test_advice_names_what_was_given() -> None:
    given = {"frames": 48, "best_of": 4, "num": 3, "dtype": "float32", "device": "cuda:0"}
    advice = memory_advice("t2v", given)
    for option in ("--frames 24", "--best-of 2", "--num 1", "--dtype bfloat16", "--device cpu"):
        assert option in advice
    assert "bfloat16" not in memory_advice("t2v", {"dtype": "float32"})  # on a CPU it takes more
    assert "fewer --frames" in memory_advice("t2v", {})
    assert memory_advice("t2i", {"frames": 1}).startswith("close other programs")


MEASURE = """
import sys
from nuwa_cli.__main__ import main
try:
    status = main()
except SystemExit as end:
    status = end.code
assert not status, status
with open("/proc/self/status") as file:
    sizes = dict(line.split(":", 1) for line in file)
print(*(sizes[name].split()[0] for name in ("VmHWM", "RssFile")))
"""
MAPPED = 116_000_000
"""Of what libraries take: files that are mapped, as measured for the formula. How much of them is resident
depends on how they were installed (116 and 221 MB, of the same versions), and the system takes it back."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["t2i", "a dog", "-o", "a.png"], ["t2v", "a dog", "-o", "a.mp4"]]
)
def test_memory_of_a_real_run(nuwa: Run, work: Path, words: list[str]) -> None:
    done = nuwa(*words, "--dry-run", "--json")
    expected = json.loads(done.stdout)["outputs"][0]["estimated_memory_bytes"]
    found = subprocess.run(
        [sys.executable, "-c", MEASURE, *words, "-q"],
        cwd=work, capture_output=True, text=True, check=True,
    )  # fmt: skip
    peak, mapped = (int(number) << 10 for number in found.stdout.splitlines()[-1].split())
    assert expected == pytest.approx(peak - mapped + MAPPED, rel=0.15)


def test_memory_that_runs_out_while_drawing(tiny: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from nuwa_cli.api.engine import Engine

    def fail(*_: object, **__: object) -> Iterator[None]:
        yield from ()
        raise MemoryError

    monkeypatch.setattr(Engine, "draw", fail)
    tiny("t2v", "a dog", "--frames", "4", "-o", "a.mp4").check_refusal(5, "--frames 2")
