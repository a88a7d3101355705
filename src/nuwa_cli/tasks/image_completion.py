"""I2I: a picture with a hole in, and a text if there is one, the whole picture out (paper §4.2).

Zero-shot form: cells outside the hole keep their tokens, the others are drawn in raster order, so
that what lies above and left of the hole guides it.
"""

from __future__ import annotations

from nuwa_cli.tasks.holes import known_outside, place_of
from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_image_completion(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan a picture that agrees with `inputs.frames` outside `inputs.region`.

    Raises UsageError for a missing picture, an empty region or an unusable prompt.
    """
    picture = inputs.given_frames("picture")[:1]
    region = inputs.given_region()[:1]
    return Plan(
        task="inpaint",
        kind="image",
        grid=toolkit.grid(),
        text=toolkit.optional_prompt_tokens(inputs.prompt),
        layout_frames=1 if inputs.prompt else 0,
        focus=place_of(region),
        known_tokens=known_outside(picture, region, toolkit),
    )
