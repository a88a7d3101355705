"""I2I: a picture with a hole in, and a text if there is one, the whole picture out (paper §4.2).

Cells outside the hole keep their tokens, the others are drawn. NÜWA-LIP's form sees what lies on all
sides of the hole beforehand; in NÜWA's zero-shot form only what lies above and left of it counts.
Without a text, a subject that is partly to be seen is completed, and nobody else is drawn.
"""

from __future__ import annotations

from nuwa_cli.tasks.holes import complete, known_outside, place_of
from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit

_MOST_HIDDEN = 0.6  # share of a picture: where less is known, a layout is planned for a text alone


def plan_image_completion(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan a picture that agrees with `inputs.frames` outside `inputs.region`.

    Raises UsageError for a missing picture, an empty region or an unusable prompt.
    """
    picture = inputs.given_frames("picture")[:1]
    region = inputs.given_region()[:1]
    # of a little piece nothing is said: a sailboat may well stand beside it
    is_planned = bool(inputs.prompt) or (inputs.engine == "lip" and region.mean() <= _MOST_HIDDEN)
    plan = Plan(
        task="inpaint",
        kind="image",
        grid=toolkit.grid(),
        text=toolkit.optional_prompt_tokens(inputs.prompt),
        layout_frames=int(is_planned),
        focus=place_of(region),
        may_be_shown=True,
        known_tokens=known_outside(picture, region, toolkit),
    )
    return complete(plan, picture, region, inputs.engine)
