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
        """Import the planner; every one takes the task's inputs and returns a Plan."""
        planner: Callable[..., Any] = getattr(importlib.import_module(self.module), self.planner)
        return planner


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "t2i",
            "image",
            "Draw a picture of a text.",
            "nuwa_cli.tasks.text_to_image",
            "plan_text_to_image",
        ),
        Task(
            "t2v",
            "video",
            "Make a clip of a text.",
            "nuwa_cli.tasks.text_to_video",
            "plan_text_to_video",
        ),
    )
}
