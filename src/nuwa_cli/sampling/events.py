"""What a generation tells its caller while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One decoding step is done; a step that several items share counts once for each."""

    step: int  # 1 … num_steps
    num_steps: int  # of all items

    @property
    def fraction(self) -> float:
        """How much of the whole generation is done, 0 … 1."""
        return self.step / self.num_steps


OnEvent = Callable[[Progress], None]
