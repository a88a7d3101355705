"""T2I: a text in, one frame out (paper §4.2, first task)."""

from __future__ import annotations

from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_text_to_image(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan one picture. Raises UsageError for an unusable prompt."""
    return Plan(
        task="t2i",
        kind="image",
        grid=toolkit.grid(),
        text=toolkit.prompt_tokens(inputs.prompt),
        layout_frames=1,
    )
