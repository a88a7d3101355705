"""V2V: the first frames of a clip in, and a text if there is one, the whole clip out (paper §4.2).

The given frames are known tokens; everything after them is drawn, and 3DNA lets motion go on from
what the last frames show. Without a text the condition is the paper's "None", unless it is sure whom
the first frame shows. The layout is planned either way: it begins where the subject stands in the
given frames.
"""

from __future__ import annotations

from nuwa_cli.tasks.holes import pad_frames
from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_video_prediction(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan a clip of `inputs.num_frames` that begins with all of `inputs.frames`.

    Raises UsageError for missing frames, an unusable prompt, or a length that leaves nothing to
    predict.
    """
    given = inputs.given_frames("picture or clip")
    length = inputs.continued_length()
    return Plan(
        task="predict",
        kind="video",
        grid=toolkit.grid(length),
        text=toolkit.optional_prompt_tokens(inputs.prompt),
        unsaid="scene",
        layout_frames=toolkit.config.clip_frames,
        frames=given,
        known_tokens=pad_frames(toolkit.picture_tokens(given), length),
    )
