"""TV2V: a clip and a text in, the clip as the text has it out (paper §4.2).

What stays is known: the first frames (the motion after them is drawn anew, as in prediction), or
everything outside a region through time, or both.
"""

from __future__ import annotations

import numpy as np

from nuwa_cli.errors import UsageError
from nuwa_cli.tasks.holes import complete, known_outside, place_of
from nuwa_cli.tasks.inputs import TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.toolkit import Toolkit


def plan_video_editing(inputs: TaskInputs, toolkit: Toolkit) -> Plan:
    """Plan a clip as long as `inputs.frames`: the first `inputs.known_frames` stay, and so does
    everything outside `inputs.region` where one is given.

    Raises UsageError for a missing clip, an unusable prompt, or when nothing would be kept or
    nothing drawn.
    """
    text = toolkit.prompt_tokens(inputs.prompt)
    frames = inputs.given_frames("clip")
    kept = inputs.known_frames
    if not 0 <= kept < len(frames):
        raise UsageError(
            f"keep-first '{kept}': the clip has {len(frames)} frames; give 0 … {len(frames) - 1}"
        )
    if inputs.region is None and kept == 0:
        raise UsageError("keep-first '0': nothing of the clip would stay; keep frames or a region")
    hole = np.ones(frames.shape[:3], dtype=np.bool_)
    if inputs.region is not None:
        hole[:] = inputs.given_region()
    hole[:kept] = False
    if not hole.any():
        raise UsageError("region: lies in the kept frames only; keep fewer with --keep-first")
    plan = Plan(
        task="vedit",
        kind="video",
        grid=toolkit.grid(len(frames)),
        text=text,
        layout_frames=toolkit.config.clip_frames,
        focus=None if inputs.region is None else place_of(hole),
        known_tokens=known_outside(frames, hole, toolkit),
    )
    return plan if inputs.region is None else complete(plan, frames, hole, inputs.engine)
