"""TI2I: a picture, a region and a text in, the picture with what the text says in the region out
(paper §4.2). Completion whose text is no longer optional, and whose subject stands in the region.
"""

from __future__ import annotations

from dataclasses import replace

from nuwa_cli.tasks.image_completion import plan_image_completion
from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.prompt import check_prompt
from nuwa_cli.tasks.toolkit import Toolkit


def plan_image_editing(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan a picture that shows the prompt inside the region and is `inputs.frames` outside.

    Raises UsageError for a missing picture, an empty region or an unusable prompt.
    """
    check_prompt(inputs.prompt)
    return replace(plan_image_completion(inputs, toolkit), task="edit", may_be_shown=False)
