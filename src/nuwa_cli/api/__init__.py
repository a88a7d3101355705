"""The library: load a model, run a task, get frames.

    from nuwa_cli.api import NuwaPipeline
    pipeline = NuwaPipeline.load()
    pipeline.text_to_video("play golf on grass", seed=7).save("golf.mp4")

This is the one place where weights, tasks and media meet; the command line is its thin client.

    given.py      what the user gives, at any size
    orders.py     one output to be made, as data
    fitting.py    … into the model's square
    drawing.py    tokens and frames of a plan, the best of several candidates
    detail.py     what a given frame shows finer than tokens can, carried into later frames
    finish.py     … back to the user's pixels
    recipe.py     everything that made an output, as data
    engine.py     runs any task: one call, one output
    extension.py  pictures that grow without end, piece by piece
    clip_extension.py  clips that go on, and clips that grow, frame by frame
    streaming.py  a clip whose frames leave while later ones are drawn
    pipeline.py   one method a task

Names are looked up when they are used: who only reads inputs or makes orders loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuwa_cli.api.clip_extension import ClipExtension
    from nuwa_cli.api.engine import RunOptions, SamplingOverrides
    from nuwa_cli.api.extension import Extension, Piece
    from nuwa_cli.api.generated import Generated
    from nuwa_cli.api.given import Given
    from nuwa_cli.api.orders import Order
    from nuwa_cli.api.pipeline import NuwaPipeline
    from nuwa_cli.infinity.geometry import Margins
    from nuwa_cli.infinity.words import Segment
    from nuwa_cli.tasks.run import OnProgress

__all__ = [
    "ClipExtension",
    "Extension",
    "Generated",
    "Given",
    "Margins",
    "NuwaPipeline",
    "OnProgress",
    "Order",
    "Piece",
    "RunOptions",
    "SamplingOverrides",
    "Segment",
]

_HOMES = {
    "ClipExtension": "api.clip_extension",
    "Extension": "api.extension",
    "Generated": "api.generated",
    "Given": "api.given",
    "Margins": "infinity.geometry",
    "NuwaPipeline": "api.pipeline",
    "OnProgress": "tasks.run",
    "Order": "api.orders",
    "Piece": "api.extension",
    "RunOptions": "api.engine",
    "SamplingOverrides": "api.engine",
    "Segment": "infinity.words",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"nuwa_cli.{_HOMES[name]}"), name)
