"""A picture that grows to both sides: its two lanes decoded in the same steps, against one after the other.

    python benchmarks/extend.py                       # a castle's hill, 4 patches on each side, one thread
    python benchmarks/extend.py --windows 8 --repeats 5

The shipped model, the same seeds and the same pixels; both take turns, so that other load on the machine falls
on both, and the ratio is that of the medians. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nuwa_cli.api import Extension, Margins, NuwaPipeline
from nuwa_cli.tasks.plan import Plan

PICTURE = Path(__file__).parents[1] / "examples/inputs/castle.jpg"


class OneByOne(Extension):
    """The same steps, none of them together."""

    def _draw_all(self, asked: Sequence[tuple[Plan, int]]) -> list[Tensor]:
        return [self._draw(plan, seed) for plan, seed in asked]


def main() -> None:
    options = parse_arguments()
    torch.set_num_threads(options.threads)
    pipeline = NuwaPipeline.load(options.model)
    side = pipeline.model.config.tokenizer.image_size
    picture = np.asarray(Image.open(options.picture).convert("RGB").resize((side, side)))
    margin = options.windows * side // 2
    margins = Margins(left=margin, right=margin)

    def grow(kind: type[Extension]) -> Callable[[], object]:
        def run() -> object:
            extension = pipeline.start_extension(picture, margins, options.prompt, seed=1)
            extension.__class__ = kind
            return extension.generate().frames

        return run

    contestants = {"together": grow(Extension), "one by one": grow(OneByOne)}
    frames = {name: run() for name, run in contestants.items()}  # also warms up
    assert np.array_equal(frames["together"], frames["one by one"])
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.repeats):
        for name, run in contestants.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, value in medians.items():
        print(f"{name:12} {value:7.2f} s")
    ratio = medians["one by one"] / medians["together"]
    print(f"ratio        {ratio:7.2f}")
    print(json.dumps({"seconds": medians, "ratio": round(ratio, 3), "threads": options.threads}))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--model", default="storybook")
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--prompt", default="a green hill")
    parser.add_argument("--windows", type=int, default=4, help="patches on each side")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
