"""The table of tasks: short name → what it is called, what it makes, where its planner lives.

The command line, the library and the documentation read this one table. Importing it is free: a
planner is imported when a task is run, so `nuwa --help` knows every task without loading torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Task:
    """One row: `module` holds the planner function `planner`, which returns a Plan."""

    name: str
    kind: Literal["image", "video"]
    summary: str
    module: str
    planner: str

    def load_planner(self) -> Callable[..., Any]:
        """Import the planner; every one takes (TaskInputs, Toolkit) and returns a Plan."""
        planner: Callable[..., Any] = getattr(importlib.import_module(self.module), self.planner)
        return planner


def _task(name: str, kind: Literal["image", "video"], summary: str, module: str) -> Task:
    return Task(name, kind, summary, f"nuwa_cli.tasks.{module}", f"plan_{module}")


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        _task("t2i", "image", "Draw a picture of a text.", "text_to_image"),
        _task("t2v", "video", "Make a clip of a text.", "text_to_video"),
        _task("sketch2img", "image", "Draw a picture of a sketch.", "sketch_to_image"),
        _task("sketch2vid", "video", "Make a clip of a moving sketch.", "sketch_to_video"),
        _task(
            "predict", "video", "Set a picture in motion, or go on with a clip.", "video_prediction"
        ),
        _task("inpaint", "image", "Complete a picture.", "image_completion"),
        _task("edit", "image", "Paint a text into a region of a picture.", "image_editing"),
        _task("vedit", "video", "Change a clip by a text.", "video_editing"),
    )
}
