"""T2I: a text in, one frame out (paper §4.2, first task)."""

from __future__ import annotations

from nuwa_cli.config import NuwaConfig
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tokenizer.text import TextTokenizer


def plan_text_to_image(prompt: str, text: TextTokenizer, config: NuwaConfig) -> Plan:
    """Plan one picture. Raises UsageError for an unusable prompt."""
    return Plan(
        task="t2i",
        kind="image",
        grid=GridShape(1, config.grid_height, config.grid_width),
        text=text.encode_batch([check_prompt(prompt)], config.max_text_len),
        layout_frames=1,
    )
