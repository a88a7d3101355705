"""T2V: a text in, a clip out. Lengths beyond the trained one continue the same motion, because the
decoder only ever looks at the last few frames (3DNA) and later frames share the last time row."""

from __future__ import annotations

from nuwa_cli.config import NuwaConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tokenizer.text import TextTokenizer

MAX_FRAMES = 10_000


def plan_text_to_video(
    prompt: str, text: TextTokenizer, config: NuwaConfig, *, num_frames: int
) -> Plan:
    """Plan one clip. Raises UsageError for an unusable prompt or length."""
    if not 1 <= num_frames <= MAX_FRAMES:
        raise UsageError(f"frames '{num_frames}': out of range; give 1 … {MAX_FRAMES}")
    return Plan(
        task="t2v",
        kind="video",
        grid=GridShape(num_frames, config.grid_height, config.grid_width),
        text=text.encode_batch([check_prompt(prompt)], config.max_text_len),
        layout_frames=config.clip_frames,
    )
