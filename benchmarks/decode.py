"""Wavefront decoding against raster decoding with a cache, and against no cache at all.

    python benchmarks/decode.py                       # 10 frames of 16x16, batch 1, bfloat16
    python benchmarks/decode.py --guidance 3 --dtype float32

One model with random weights (speed does not depend on them) decodes the same clip in both orders, taking
turns, so that other load on the machine falls on both; the ratio is that of the medians. Raster uses its
own best form (neighbors gathered, matrix-vector products). "No cache" runs the whole model over all frames
so far for every token, as implementations without a cache do: its time is that of one forward pass per clip
length, measured, times the tokens of a frame. Prints a table, then one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

from nuwa_cli.config import SamplingConfig
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.ops.neighborhood import Extent
from nuwa_cli.presets import PRESETS, get_preset
from nuwa_cli.sampling.decode import decode_waves
from nuwa_cli.sampling.schedule import DecodeOrder, Schedule

TEXT_LENGTH = 16


def main() -> None:
    options = parse_arguments()
    torch.manual_seed(0)
    if options.threads:
        torch.set_num_threads(options.threads)
    config = get_preset(options.preset).transformer
    dtype = getattr(torch, options.dtype)
    model = Nuwa(config).to(options.device, dtype).eval()
    grid = GridShape(options.frames, config.grid_height, config.grid_width)
    text = torch.randint(1, config.text_vocab, (1, TEXT_LENGTH), device=options.device)
    condition = Condition(text)
    raster_grid = GridShape(options.raster_frames or grid.frames, grid.height, grid.width)

    def decode(order: DecodeOrder, shape: GridShape) -> Callable[[], object]:
        sampling = SamplingConfig(guidance_scale=options.guidance)
        return lambda: [
            wave.tokens.cpu()
            for wave in decode_waves(model, condition, shape, sampling, seed=1, order=order)
        ]

    contestants = {
        "wavefront": (decode("wavefront", grid), 1.0),
        "raster": (decode("raster", raster_grid), grid.num_tokens / raster_grid.num_tokens),
    }
    for run, _ in contestants.values():
        timed(run, warm_up=True)
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for repeat in range(options.repeats):
        for name, (run, factor) in contestants.items():
            seconds[name].append(timed(run) * factor)
            print(
                f"{repeat + 1}/{options.repeats} {name}: {seconds[name][-1]:.2f} s", file=sys.stderr
            )
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    if not options.skip_recompute:
        medians["recompute"] = recompute_seconds(model, condition, grid, options.guidance)

    steps = {
        name: Schedule(grid, Extent(*config.extent), order).num_steps
        for name, order in (("wavefront", "wavefront"), ("raster", "raster"))
    }
    steps["recompute"] = grid.num_tokens
    report(medians, steps, grid, options)


def timed(run: Callable[[], object], *, warm_up: bool = False) -> float:
    """Seconds of one run (a warm-up runs too, its time means nothing)."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begin = time.perf_counter()
    run()
    if torch.cuda.is_available() and not warm_up:
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def recompute_seconds(model: Nuwa, condition: Condition, grid: GridShape, guidance: float) -> float:
    """A whole clip with one forward pass over all frames so far for each token."""
    streams = 1 if guidance == 1.0 else 2
    total = 0.0
    for frames in range(1, grid.frames + 1):
        target = torch.zeros(1, frames, grid.height, grid.width, dtype=torch.int64)
        target = target.to(condition.text.device)

        def forward(target: torch.Tensor = target) -> None:
            with torch.inference_mode():
                model(target, condition)

        forward()
        once = min(timed(forward) for _ in range(3))
        total += once * streams * grid.tokens_per_frame
    return total


def report(
    medians: dict[str, float],
    steps: dict[str, int],
    grid: GridShape,
    options: argparse.Namespace,
) -> None:
    print(f"{options.preset}, {grid}, {options.dtype}, guidance {options.guidance}, batch 1")
    print(f"{'':12}{'steps':>8}{'seconds':>10}{'ms/step':>10}{'tokens/s':>10}{'x wavefront':>13}")
    for name, seconds in medians.items():
        rate = grid.num_tokens / seconds
        ratio = seconds / medians["wavefront"]
        per_step = 1e3 * seconds / steps[name]
        print(
            f"{name:12}{steps[name]:>8}{seconds:>10.2f}{per_step:>10.2f}{rate:>10.0f}{ratio:>13.1f}"
        )
    line = {
        "benchmark": "decode",
        "preset": options.preset,
        "grid": str(grid),
        "dtype": options.dtype,
        "device": options.device,
        "threads": torch.get_num_threads(),
        "guidance": options.guidance,
        "repeats": options.repeats,
        "seconds": {name: round(seconds, 4) for name, seconds in medians.items()},
        "steps": steps,
        "raster_over_wavefront": round(medians["raster"] / medians["wavefront"], 3),
    }
    print(json.dumps(line))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--preset", default="storybook", choices=sorted(PRESETS))
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float32", "float64"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=0, help="0 = what torch chooses")
    parser.add_argument("--guidance", type=float, default=1.0, help="1 = off")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--raster-frames", type=int, default=0, help="time raster on fewer frames")
    parser.add_argument("--skip-recompute", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
