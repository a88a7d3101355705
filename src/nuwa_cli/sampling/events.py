"""What a generation tells its caller while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One decoding step is done."""

    sample: int  # which item of the batch
    num_samples: int
    step: int  # 1 … num_steps
    num_steps: int  # of one sample

    @property
    def fraction(self) -> float:
        """How much of the whole generation is done, 0 … 1."""
        return (self.sample + self.step / self.num_steps) / self.num_samples


OnEvent = Callable[[Progress], None]
