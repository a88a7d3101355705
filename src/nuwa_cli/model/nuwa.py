"""Nuwa: one 3D encoder-decoder for every task.

`forward` is the training view (teacher forced, all positions at once); `encode` and `decode_step` are the
sampling view (one wave of positions against a cache). Both give the same logits, which is tested.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nuwa_cli.config import NuwaConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.decoder import Decoder
from nuwa_cli.model.encoder import EncodedCondition, Encoder
from nuwa_cli.model.init import init_weights
from nuwa_cli.model.layout import LayoutPlanner
from nuwa_cli.model.stepping import DecodeState, Wave, decode_step, write_tokens
from nuwa_cli.ops.grid import GridShape, grid_of
from nuwa_cli.ops.nearby import Backend
from nuwa_cli.ops.products import joint_linear


class Nuwa(nn.Module):
    """The transformer of a model: condition and earlier tokens → logits of each token."""

    def __init__(self, config: NuwaConfig, *, backend: Backend = "auto") -> None:
        super().__init__()
        self.config = config
        self.backend: Backend = backend
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.head = nn.Linear(config.dim, config.visual_vocab)
        self.planner = LayoutPlanner(config.dim)
        init_weights(self)

    def encode(self, condition: Condition) -> EncodedCondition:
        """Run the encoder over every condition of a batch."""
        encoded: EncodedCondition = self.encoder(condition, self.backend)
        return encoded

    def forward(self, target: Tensor, condition: Condition, *, time_offset: int = 0) -> Tensor:
        """Logits of every token given the earlier ones: (b, t, h, w) → (b, t, h, w, visual_vocab).

        Args:
            target: int64 tokens; the token at a position does not influence its own logits.
            condition: as many samples as `target`.
            time_offset: number of the first frame, for the time table.
        """
        grid = grid_of(target)
        if condition.batch_size != target.shape[0]:
            raise UsageError(
                f"target of {target.shape[0]} samples with {condition.batch_size} conditions; "
                "give one condition per sample"
            )
        if condition.layout is not None and condition.layout.shape != target.shape:
            raise UsageError(
                f"layout of shape {tuple(condition.layout.shape)} for a target of "
                f"{tuple(target.shape)}; plan it on the target's grid"
            )
        hidden = self.decoder(
            target.flatten(1),
            grid,
            self.encode(condition),
            time_offset=time_offset,
            backend=self.backend,
        )
        logits: Tensor = self.head(hidden)
        return logits.view(-1, *grid.sides, self.config.visual_vocab)

    def start_decoding(
        self, encoded: Sequence[EncodedCondition], grid: GridShape, *, frames_in_flight: int
    ) -> DecodeState:
        """Allocate what decoding `grid` keeps.

        Args:
            encoded: the condition of each item, one row per stream (the null condition is a second one
                under guidance); items that are decoded together have conditions of the same shapes.
            frames_in_flight: at most how many frames are unfinished at the same time.
        """
        return DecodeState(self.decoder, encoded, grid, frames_in_flight)

    def decode_step(self, wave: Wave, state: DecodeState) -> Tensor:
        """Logits of one wave, (items x streams, n, visual_vocab); every earlier wave must have been
        written."""
        return joint_linear(self.head, decode_step(self.decoder, wave, state), state.items)

    def write_tokens(self, wave: Wave, tokens: Tensor, state: DecodeState) -> None:
        """Make the tokens of a wave, int64 (items, n), visible to later waves."""
        write_tokens(self.decoder, wave, tokens, state)
