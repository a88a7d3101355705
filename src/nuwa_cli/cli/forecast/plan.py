"""What a run will take, told before it: tokens, waves, seconds, memory; no weights, no torch.

Each output is counted by itself (`plan_cost`); outputs that are alike share the steps of the decoder. Seconds
are those of a reference machine times the pace of this one (`calibration`); memory is a measured formula
(`plan_memory`). The names of files are known, their sizes are not: nothing can say how well a picture
compresses that nobody has drawn.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.forecast.calibration import Pace, pace_of
from nuwa_cli.cli.forecast.cost import Asked, Forecast, cost_of
from nuwa_cli.errors import UsageError

if TYPE_CHECKING:
    from nuwa_cli.cli.work.options import ModelOptions
    from nuwa_cli.hub.manifest import Manifest
    from nuwa_cli.hub.model_config import ModelConfig

TOGETHER = 8
"""Like outputs that share the steps of the decoder (`api.engine.TOGETHER`, which imports torch)."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", re.IGNORECASE)


@dataclass(frozen=True)
class Plan:
    """All outputs of a run on this machine."""

    outputs: tuple[Forecast, ...]
    config: ModelConfig
    model: ModelOptions
    manifest: Manifest
    pace: Pace
    together: int = TOGETHER

    @property
    def seconds(self) -> float:
        """Of the whole run, its start included."""
        return self.pace.start + sum(self._seconds(output) for output in self.outputs)

    @property
    def reference_seconds(self) -> float:
        """Of drawing everything, on the reference machine."""
        return sum(output.seconds(self.sharing(output)) for output in self.outputs)

    @property
    def waves(self) -> int:
        """Steps of the decoder in all."""
        waves = {output.kind: output.waves for output in self.outputs}
        return sum(
            waves[kind] * -(-count // self.together) for kind, count in self._samples.items()
        )

    @cached_property
    def _samples(self) -> Counter[Hashable]:
        """How many there are to decode of each kind."""
        samples: Counter[Hashable] = Counter()
        for output in self.outputs:
            samples[output.kind] += output.candidates
        return samples

    def sharing(self, output: Forecast) -> int:
        """How many samples are decoded together with those of this output, itself included."""
        return 1 if output.is_streamed else min(self._samples[output.kind], self.together)

    def facts(self, index: int) -> dict[str, Any]:
        """The forecast of one output, for JSON."""
        from nuwa_cli.cli.forecast.memory import memory_of

        output = self.outputs[index]
        return {
            "tokens": output.tokens,
            "waves": output.waves * -(-output.candidates // self.together),
            "estimated_seconds": round(self._seconds(output), 2),
            "estimated_memory_bytes": memory_of(self, output),
        }

    def describe(self, index: int) -> str:
        """The forecast of one output, for people."""
        facts = self.facts(index)
        seconds = _duration(facts["estimated_seconds"])
        memory = _rounded(facts["estimated_memory_bytes"])
        return f"{facts['tokens']} tokens in {facts['waves']} waves, {seconds}, {memory}"

    def total(self) -> str:
        """The forecast of the whole run, for people."""
        from nuwa_cli.cli.forecast.memory import peak_memory

        files = f"{len(self.outputs)} file{'s' if len(self.outputs) > 1 else ''}"
        rough = "; rough, nothing was drawn on this machine yet" if self.pace.is_rough else ""
        return (
            f"in all {files} in {self.waves} waves, {_duration(self.seconds)} from start to end, "
            f"at most {_rounded(peak_memory(self))}{rough}"
        )

    def _seconds(self, output: Forecast) -> float:
        return output.seconds(self.sharing(output)) * self.pace.of(output.task)


def forecast(
    config: ModelConfig,
    orders: Sequence[Asked],
    *,
    model: ModelOptions,
    manifest: Manifest,
    streamed: Collection[int] = (),
) -> Plan:
    """What some orders will take with a model of this config, whose manifest says how large it is;
    those at the places `streamed` are written while they are drawn."""
    outputs = tuple(
        cost_of(config, order, is_streamed=place in streamed) for place, order in enumerate(orders)
    )
    return Plan(outputs, config, model, manifest, pace_of(model, manifest.digest))


def parse_size_bytes(text: str) -> int:
    """Bytes of a size such as 2G, 1.5GiB, 800M or 900000; units are powers of 1024.

    Raises UsageError for anything else, and for less than a byte.
    """
    match = _SIZE.fullmatch(text.strip())
    value = float(match[1]) * 1024 ** " kmgt".index(match[2].lower() or " ") if match else 0.0
    if not 1 <= value < 2**63:
        raise UsageError(f"max-memory '{text[:40]}': give a size such as 2G, 800M or 1.5GiB")
    return int(value)


def readable_size(size: int) -> str:
    """Bytes as people write them, never less than there are: "1.5 GiB", "620 MiB"."""
    if size >= 1 << 30:
        return f"{math.ceil(size / (1 << 30) * 10) / 10:.1f} GiB"
    return f"{math.ceil(size / (1 << 20))} MiB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {seconds:.1f} s" if seconds < 10 else f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def _rounded(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{round(size / 1e7) * 10} MB"
