"""S2I: a segmentation sketch in, and a text if there is one, one frame out (paper §4.2).

The sketch says where everything is, so no layout is planned.
"""

from __future__ import annotations

from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_sketch_to_image(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan one picture of the first class map of `inputs.sketch`.

    Raises UsageError for a missing sketch or an unusable prompt, InputError when the model reads
    no sketches.
    """
    return Plan(
        task="sketch2img",
        kind="image",
        grid=toolkit.grid(),
        text=toolkit.optional_prompt_tokens(inputs.prompt),
        sketch=toolkit.sketch_tokens(inputs.given_sketch()[:1]),
    )
