"""T2V: a text in, a clip out. Lengths beyond the trained one continue the same motion, because the
decoder only ever looks at the last few frames (3DNA) and later frames share the last time row."""

from __future__ import annotations

from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_text_to_video(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan one clip. Raises UsageError for an unusable prompt or length."""
    return Plan(
        task="t2v",
        kind="video",
        grid=toolkit.grid(inputs.clip_length()),
        text=toolkit.prompt_tokens(inputs.prompt),
        layout_frames=toolkit.config.clip_frames,
    )
