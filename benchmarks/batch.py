"""One `nuwa batch` against as many single calls: the same mixed jobs, the same files.

    python benchmarks/batch.py                 # 5 jobs of each of the eight tasks, 1 and 2 workers
    python benchmarks/batch.py --each 1        # 8 jobs, for a busy machine

Inputs (two pictures, a clip, sketches) are drawn first and are in no figure. Every job has the default
options of the shipped model and a seed of its own. All forms must write the same bytes, or the benchmark
fails. Wall times mean something on a quiet machine only. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

NUWA = [sys.executable, "-m", "nuwa_cli"]
BOX = "25%,40%,50%,50%"

INPUTS = [
    ("t2i", "a green hill", "-o", "hill.png"),
    ("t2v", "a dog runs on the beach", "-o", "dog.mp4"),
    ("storybook", "--seed", "7", "-o", "scene.png", "--sketch", "sketch.png"),
    ("storybook", "--seed", "7", "-o", "scene.mp4", "--sketch", "sketch.mp4"),
]
TASKS: list[tuple[str, str, dict[str, Any]]] = [
    ("t2i", "png", {"prompt": "a red bus in the city"}),
    ("t2v", "mp4", {"prompt": "play golf on grass"}),
    ("sketch2img", "png", {"sketch": "sketch.png"}),
    ("sketch2vid", "mp4", {"sketch": "sketch.mp4"}),
    ("predict", "mp4", {"media": "hill.png"}),
    ("inpaint", "png", {"image": "hill.png", "box": BOX}),
    ("edit", "png", {"image": "hill.png", "prompt": "a horse on the grass", "box": BOX}),
    ("vedit", "mp4", {"video": "dog.mp4", "prompt": "the dog runs to the left"}),
]
ARGUMENTS = ("sketch", "media", "image", "video", "prompt")


def main() -> None:
    options = parse_arguments()
    jobs = [
        {"command": task, **values, "output": f"{task}-{seed}.{suffix}", "seed": seed}
        for seed in range(options.each)
        for task, suffix, values in TASKS
    ]
    with tempfile.TemporaryDirectory(prefix="nuwa-batch-") as name:
        inputs = Path(name) / "inputs"
        inputs.mkdir()
        sprites = str(Path(options.sprites).resolve())
        for words in INPUTS:
            more = ("--sprites", sprites) if words[0] == "storybook" else ()
            call([*words, *more], inputs)
        text = "".join(f"{json.dumps(job)}\n" for job in jobs)
        (inputs / "jobs.jsonl").write_text(text, encoding="utf-8")

        spent: dict[str, float] = {}
        files: dict[str, dict[str, bytes]] = {}
        ways = {f"batch, {count} worker(s)": count for count in options.workers}
        for way in (*ways, *(() if options.skip_single else ("single calls",))):
            folder = Path(name) / way.replace(" ", "-")
            shutil.copytree(inputs, folder)
            if way in ways:
                words = ["batch", "jobs.jsonl", "--workers", str(ways[way])]
                spent[way] = timed([words], folder)
            else:
                spent[way] = timed([words_of(job) for job in jobs], folder)
            files[way] = {job["output"]: (folder / job["output"]).read_bytes() for job in jobs}
            print(f"{way}: {spent[way]:.1f} s", file=sys.stderr)
        first = next(iter(files.values()))
        if any(other != first for other in files.values()):
            sys.exit("the files differ")
    report(len(jobs), spent)


def words_of(job: dict[str, Any]) -> list[str]:
    """The single call of a job."""
    options = [
        f"--{key}={value}" for key, value in job.items() if key not in ("command", *ARGUMENTS)
    ]
    arguments = [job[key] for key in ARGUMENTS if key in job]
    return [job["command"], *options, "--", *arguments]


def timed(calls: list[list[str]], folder: Path) -> float:
    """Seconds of some calls, one after the other."""
    begin = time.perf_counter()
    for words in calls:
        call(words, folder)
    return time.perf_counter() - begin


def call(words: list[str] | tuple[str, ...], folder: Path) -> None:
    """One call of the program; it must end well."""
    done = subprocess.run(
        [*NUWA, words[0], "-q", *words[1:]], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"nuwa {' '.join(words)}: status {done.returncode}: {done.stderr}")


def report(count: int, spent: dict[str, float]) -> None:
    print(f"{count} jobs, {os.cpu_count()} processors")
    single = spent.get("single calls")
    print(f"{'':22}{'seconds':>10}{'s / job':>9}{'faster':>8}")
    for way, seconds in spent.items():
        ratio = f"{single / seconds:.1f}x" if single else ""
        print(f"{way:22}{seconds:>10.1f}{seconds / count:>9.2f}{ratio:>8}")
    line = {
        "benchmark": "batch",
        "jobs": count,
        "seconds": {way: round(seconds, 2) for way, seconds in spent.items()},
    }
    print(json.dumps(line))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--each", type=int, default=5, help="jobs of each task")
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--skip-single", action="store_true", help="time the batch alone")
    parser.add_argument("--sprites", default="data/sprites", help="for the sketches")
    return parser.parse_args()


if __name__ == "__main__":
    main()
