"""I2I: a picture with a hole in, and a text if there is one, the whole picture out (paper §4.2).

Cells outside the hole keep their tokens, the others are drawn. NÜWA-LIP's form sees what lies on all
sides of the hole beforehand; in NÜWA's zero-shot form only what lies above and left of it counts.
Without a text, the former is told the place that fits what is known.
"""

from __future__ import annotations

from nuwa_cli.tasks.holes import complete, known_outside, place_of
from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_image_completion(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan a picture that agrees with `inputs.frames` outside `inputs.region`.

    Raises UsageError for a missing picture, an empty region or an unusable prompt.
    """
    picture = inputs.given_frames("picture")[:1]
    region = inputs.given_region()[:1]
    plan = Plan(
        task="inpaint",
        kind="image",
        grid=toolkit.grid(),
        text=toolkit.optional_prompt_tokens(inputs.prompt),
        layout_frames=1 if inputs.prompt else 0,
        focus=place_of(region),
        may_be_shown=True,
        unsaid="place" if inputs.engine == "lip" else None,
        known_tokens=known_outside(picture, region, toolkit),
    )
    return complete(plan, picture, region, inputs.engine)
