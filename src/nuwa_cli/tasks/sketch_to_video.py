"""S2V: one segmentation sketch a frame in, and a text if there is one, a clip out (paper §4.2).

The clip has as many frames as the sketch, and each frame follows its own class map.
"""

from __future__ import annotations

from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_sketch_to_video(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan a clip of `inputs.sketch`.

    Raises UsageError for a missing sketch or an unusable prompt, InputError when the model reads
    no sketches.
    """
    sketch = inputs.given_sketch()
    return Plan(
        task="sketch2vid",
        kind="video",
        grid=toolkit.grid(len(sketch)),
        text=toolkit.optional_prompt_tokens(inputs.prompt),
        sketch=toolkit.sketch_tokens(sketch),
    )
