"""`nuwa bench`: how fast the model draws on this machine, and what wavefront decoding is worth here.

Pictures and clips are drawn whole, as the other commands do, but no file is written. The decoder is timed
by itself too, in wavefront order and, over the first frames alone, in raster order, one token after another,
which draws the same. Of several runs the fastest counts: what else a machine does only ever adds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuwa_cli.cli.work.options import JsonFlag, ModelOptions, check_range, takes_options
from nuwa_cli.cli.work.output import print_json, print_line

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline
    from nuwa_cli.ops.grid import GridShape
    from nuwa_cli.ops.neighborhood import Extent
    from nuwa_cli.sampling.schedule import DecodeOrder

BENCH_SCHEMA = "nuwa.bench/1"

_PROMPT = "a dog on the beach"
_RASTER_FRAMES = 2  # a whole clip in raster order takes longer than anybody waits
_MAX_REPEAT = 100

Repeat = Annotated[
    int, typer.Option("--repeat", metavar="N", help="Runs of each, the fastest of which counts.")
]
Row = dict[str, Any]


def register(app: typer.Typer) -> None:
    """Add `nuwa bench` to the command line."""
    app.command("bench", short_help="Measure how fast the model draws on this machine.")(bench)


@takes_options
def bench(model: ModelOptions, repeat: Repeat = 2, json: JsonFlag = False) -> None:
    """nuwa bench

    Draw pictures and clips, write none, and tell seconds and tokens a second. The decoder
    alone is also timed in raster order, one token after another, over two frames: that is
    what wavefront decoding saves.

    \b
    nuwa bench --device cuda --dtype bfloat16 --json
    nuwa bench --attention xformers --repeat 5
    """
    check_range("repeat", repeat, 1, _MAX_REPEAT)

    from nuwa_cli.cli.work.warm import load_pipeline

    begin = time.perf_counter()
    pipeline = load_pipeline(model)
    rows: list[Row] = [{"what": "libraries and model", "seconds": time.perf_counter() - begin}]
    extent = pipeline.model.transformer.decoder.extent
    contests = (*_whole(pipeline), *_decoders(pipeline))
    rows += [_timed(contest, extent, repeat) for contest in contests]
    wave, raster = rows[-2]["tokens_per_second"], rows[-1]["tokens_per_second"]
    facts = {
        "model": pipeline.identity,
        "device": str(pipeline.device),
        "dtype": str(pipeline.dtype).removeprefix("torch."),
        "attention": model.attention,
    }
    if json:
        for row in rows:
            row["seconds"] = round(row["seconds"], 4)
        document = {**facts, "runs": rows, "wavefront_over_raster": round(wave / raster, 2)}
        print_json({"schema": BENCH_SCHEMA, **document})
        return
    print_line(f"{pipeline.model.config.name} on {facts['device']}, {facts['dtype']}")
    print_line(f"{'':34}{'seconds':>9}{'tokens':>8}{'steps':>7}{'tokens/s':>10}")
    for row in rows:
        numbers = "".join(
            f"{row[name]:>{width},}" if name in row else ""
            for name, width in (("tokens", 8), ("steps", 7), ("tokens_per_second", 10))
        )
        print_line(f"{row['what']:34}{row['seconds']:>9.2f}{numbers}")
    print_line(f"wavefront decoding: {wave / raster:.1f} times as many tokens a second as raster")


@dataclass(frozen=True)
class _Contest:
    """Something to be done again and again: so many frames of tokens, with a seed."""

    what: str
    grid: GridShape
    order: DecodeOrder
    run: Callable[[int], object]


def _timed(contest: _Contest, extent: Extent, repeat: int) -> Row:
    """The fastest of some runs, after one that counts for nothing."""
    from nuwa_cli.sampling.schedule import Schedule

    contest.run(0)
    seconds = []
    for number in range(repeat):
        begin = time.perf_counter()
        contest.run(number + 1)
        seconds.append(time.perf_counter() - begin)
    tokens = contest.grid.num_tokens
    return {
        "what": contest.what,
        "seconds": min(seconds),
        "tokens": tokens,
        "steps": Schedule(contest.grid, extent, contest.order).num_steps,
        "tokens_per_second": round(tokens / min(seconds)),
    }


def _whole(pipeline: NuwaPipeline) -> Iterator[_Contest]:
    """Pictures and clips from prompt to pixels."""
    config = pipeline.model.config
    clip = f"clip of {config.num_frames} frames"
    for task, what, frames in (("t2i", "picture", 1), ("t2v", clip, config.num_frames)):

        def run(seed: int, task: str = task) -> object:
            return pipeline.run(task, _PROMPT, seed=seed, best_of=1)

        yield _Contest(what, _grid(pipeline, frames), "wavefront", run)


def _decoders(pipeline: NuwaPipeline) -> Iterator[_Contest]:
    """The decoder alone, in both orders."""
    from nuwa_cli.model.condition import Condition
    from nuwa_cli.sampling.decode import decode_waves

    net = pipeline.model.transformer
    text = pipeline.model.text.encode_batch([_PROMPT], net.config.max_text_len)
    condition = Condition(text=text.to(pipeline.device))
    orders: tuple[tuple[DecodeOrder, int], ...] = (
        ("wavefront", pipeline.model.config.num_frames),
        ("raster", _RASTER_FRAMES),
    )
    settings = pipeline.settings(None, {})
    for order, frames in orders:
        grid = _grid(pipeline, frames)

        def run(seed: int, order: DecodeOrder = order, grid: GridShape = grid) -> object:
            waves = decode_waves(net, condition, grid, settings, seed=seed, order=order)
            return [wave.tokens.cpu() for wave in waves]  # a GPU has done it by then

        yield _Contest(f"decoder, {order}, {frames} frames", grid, order, run)


def _grid(pipeline: NuwaPipeline, frames: int) -> GridShape:
    from nuwa_cli.ops.grid import GridShape

    config = pipeline.model.config.transformer
    return GridShape(frames, config.grid_height, config.grid_width)
