"""The memory of a planned run: how much, whether it is there, and what to give instead.

A formula with measured constants, within 15 % of the largest resident size of real runs (measured for every
task, 1 to 120 frames, 1 to 8 outputs at a time): libraries, weights as they lie in memory, the products of
every width that a wave takes, the ring of keys and values, pictures as they were given and as they are made.
With a CUDA device what is computed lies there, and the libraries in the memory of the machine.

A run is refused before its model is loaded where it needs more than was allowed (`--max-memory`), or clearly
more than there is. Outputs that would be decoded together are decoded in smaller groups first: that costs
time and changes nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nuwa_cli.cli.forecast.cost import Forecast
from nuwa_cli.cli.forecast.free_memory import available_memory
from nuwa_cli.cli.forecast.plan import TOGETHER, Plan, parse_size_bytes, readable_size
from nuwa_cli.errors import EnvironmentFault
from nuwa_cli.hub.manifest import TRANSFORMER_NAME

_MB = 1_000_000
_LIBRARIES = 275 * _MB  # the interpreter with torch, numpy, av and pillow; 116 of them mapped files
_PER_WAVE = 24 * _MB  # products of a decoder: once …
_PER_WIDTH = 4.4 * _MB  # … and for each number of rows that a wave can have, in bfloat16
_PER_WIDTH_EXACT = 1.0 * _MB  # the same in float32, whose kernels are not made to measure
_PER_WIDTH_JOINED = 3.2 * _MB  # the same for waves of several outputs
_KEPT = 2.3  # what each output keeps, in sizes of its keys and values
_PER_LOGIT = 16.0  # bytes of the score of a token, while places are looked at
_PER_PIXEL_MADE = 9.0  # bytes of a pixel of a clip, from the drawn to the encoded
_PER_PIXEL_GIVEN = 47.0  # bytes of a pixel that was read, fitted and put back
_ENCODER, _SKETCH_ENCODER = 45 * _MB, 15 * _MB


@dataclass(frozen=True)
class Chunks:
    """How many outputs to decode together, and a note where that is fewer than usual."""

    together: int = TOGETHER
    note: str = ""


def memory_of(plan: Plan, output: Forecast) -> int:
    """Bytes that the process takes at most while it draws an output, with others of its kind."""
    return round(_LIBRARIES + _computing(plan, output))


def peak_memory(plan: Plan) -> int:
    """Bytes that a run takes at most."""
    return max(memory_of(plan, output) for output in set(plan.outputs))


def check_memory(plan: Plan, allowed: str | None) -> Chunks:
    """How to decode a run so that it fits what is allowed, or what there is.

    Raises EnvironmentFault, with the largest values that fit, when it does not fit at all, and
    UsageError for an `allowed` that is no size.
    """
    limit, word = (
        (parse_size_bytes(allowed), "allowed") if allowed else (available_memory(), "free")
    )
    if limit is None:
        return Chunks()
    chunks = chunks_for(limit, plan)
    plan = replace(plan, together=chunks.together)
    needed = peak_memory(plan)
    if needed > limit:
        raise EnvironmentFault(
            f"memory: about {readable_size(needed)} needed, {_at_most(limit)} {word}; "
            f"{_advice(plan, limit, is_allowed=bool(allowed))}"
        )
    if plan.model.device.startswith("cuda"):
        _check_device(plan)
    return chunks


def chunks_for(limit: int, plan: Plan) -> Chunks:
    """The largest groups that fit `limit` bytes, groups of one where nothing does. Outputs of other
    runs may be decoded in the same steps, so it does not matter how many there are in this one."""
    many = replace(plan, outputs=plan.outputs * TOGETHER)

    def fits(size: int) -> bool:
        return peak_memory(replace(many, together=size)) <= limit

    together = next((size for size in range(TOGETHER, 0, -1) if fits(size)), 1)
    if together >= max(plan.sharing(output) for output in plan.outputs):
        return Chunks(together)
    group = f"{together} outputs" if together > 1 else "one output"
    return Chunks(together, f"memory: drawing {group} at a time, to stay below {_at_most(limit)}")


def memory_advice(command: str, values: Mapping[str, Any]) -> str:
    """What to give instead, after memory ran out in a command with these options (those that were
    given, by the parser's names): exact options, halved."""
    advice = []
    frames, number = values.get("frames"), values.get("num")
    if isinstance(frames, int) and frames > 1:
        advice.append(f"--frames {frames // 2}")
    if isinstance(values.get("best_of"), int) and values["best_of"] > 1:
        advice.append(f"--best-of {values['best_of'] // 2}")
    if str(values.get("device", "")).startswith("cuda"):
        advice += ["--dtype bfloat16"] if values.get("dtype") == "float32" else []
        advice.append("--device cpu")
    if isinstance(number, int) and number > 1:
        advice.append("--num 1")
    if not advice and command in ("t2v", "predict", "sketch2vid", "vedit", "extend"):
        advice.append("fewer --frames")
    given = f"give {' or '.join(advice)}" if advice else "close other programs"
    return f"{given}; --dry-run says how much is needed"


def _computing(plan: Plan, output: Forecast) -> float:
    """Bytes of weights, of what is computed, and of pictures."""
    config = plan.config
    net = config.transformer
    side = config.tokenizer.image_size
    cells = net.grid_height * net.grid_width
    item = 4 if plan.model.dtype == "float32" else 2
    ring = 1 + min(net.extent[0] // 2, output.frames - 1)
    seen = ring + (output.frames if output.has_grid else 0)
    cached = 2 * output.streams * net.decoder_layers * seen * cells * net.dim * item
    widths = _widest_wave(plan, output)
    scale = net.dim * net.decoder_layers / (288 * 8)
    together = plan.sharing(output)
    joined = widths * _PER_WIDTH_JOINED * scale if together > 1 else 0.0
    per_width = _PER_WIDTH_EXACT if item == 4 else _PER_WIDTH
    decoding = (_PER_WAVE + widths * per_width) * scale + joined + together * _KEPT * cached
    looking = output.looks_at_once * cells * net.visual_vocab * _PER_LOGIT  # before, so not besides
    reading = _SKETCH_ENCODER if output.given_pixels else 0
    pixels = 0 if output.is_streamed else output.frames * side * side
    return (
        _weights(plan, item)
        + max(decoding, looking)
        + (_ENCODER if output.has_pictures else reading)
        + pixels * _PER_PIXEL_MADE
        + output.given_pixels * _PER_PIXEL_GIVEN
    )


def _weights(plan: Plan, item: int) -> int:
    """Bytes of the nets: the transformer in its own number format, the small ones in float32."""
    files = plan.manifest.files
    transformer = files[TRANSFORMER_NAME].size if TRANSFORMER_NAME in files else 0
    small = sum(record.size for name, record in files.items() if name != TRANSFORMER_NAME)
    return transformer * item // 2 + 2 * small


def _widest_wave(plan: Plan, output: Forecast) -> int:
    """Rows of the widest wave: how many frames, and how many rows of each, are under way at once."""
    net = plan.config.transformer
    step = min(net.extent[2] // 2, net.grid_width - 1) + 1
    in_frame = min(-(-net.grid_width // step), net.grid_height)
    per_frame = step * (min(net.extent[1] // 2, net.grid_height - 1) + 1)
    in_all = -(-net.grid_height * net.grid_width // per_frame)
    return min(in_all, in_frame * output.frames)


def _advice(plan: Plan, limit: int, *, is_allowed: bool) -> str:
    """Options with the largest values that fit."""
    advice = []
    longest = max(output.frames for output in plan.outputs)
    if longest > 1:
        frames = _largest(longest - 1, lambda count: _peak_with(plan, count) <= limit)
        advice += [f"--frames {frames}"] if frames else []
    if plan.model.dtype == "float32" and _peak_in_bfloat16(plan) <= limit:
        advice.append("--dtype bfloat16")
    if is_allowed:
        needed = -(-peak_memory(plan) // (1 << 20))
        advice.append(f"--max-memory {needed}M")
    if not advice:
        return "close other programs, or take another machine"
    return f"give {', or '.join(advice)}"


def _peak_with(plan: Plan, frames: int) -> int:
    shorter = [replace(one, frames=min(one.frames, frames)) for one in plan.outputs]
    return peak_memory(replace(plan, outputs=tuple(shorter)))


def _peak_in_bfloat16(plan: Plan) -> int:
    return peak_memory(replace(plan, model=replace(plan.model, dtype="bfloat16")))


def _largest(most: int, fits: Callable[[int], bool]) -> int:
    """The largest of 1 … most that fits, where all below one that fits do too; 0 for none."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _check_device(plan: Plan) -> None:
    """Raise EnvironmentFault when a graphics card is clearly too small; only once torch is there."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return
    free, _ = torch.cuda.mem_get_info(None if plan.model.device == "cuda" else plan.model.device)
    needed = round(max(_computing(plan, output) for output in plan.outputs))
    if needed > free:
        raise EnvironmentFault(
            f"memory: about {readable_size(needed)} needed on {plan.model.device}, {_at_most(free)} "
            f"free; {_advice(plan, free + _LIBRARIES, is_allowed=False)}, or give --device cpu"
        )


def _at_most(size: int) -> str:
    """Bytes as people write them, never more than there are."""
    return f"{size // (1 << 20) / 1024:.1f} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"
