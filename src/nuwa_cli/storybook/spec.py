"""One scene of the storybook world in plain numbers and names.

The renderer draws a `SceneSpec`, the captions tell it, and its labels (integer ids) are what
evaluators learn. Specs are values: equal specs render to equal pixels and can be pickled, hashed
and compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from nuwa_cli.storybook.catalog import load_catalog
from nuwa_cli.storybook.motion import MOTION_ID
from nuwa_cli.storybook.world import TIMES

STANCES = ("stand", "afloat", "drift", "free")
CAMERAS = ("static", "pan_left", "pan_right", "zoom_in", "zoom_out")


@dataclass(frozen=True)
class SubjectSpec:
    """One subject of a scene.

    `size` is the longer side of the sprite as a fraction of the frame; `start` and `end` are (x,
    lift): the centre as a fraction of the width, and the height above the standing line as a
    fraction of the height (for the stance "free": the centre's height above the bottom of the
    frame). `depth` in [0, 1] chooses the line inside the landscape's ground band, far to near.
    `sink` is the fraction of the sprite below the waterline. `phase` in [0, 1) starts the sprite's
    own loop.
    """

    id: str
    action: str
    motion: str
    stance: str
    mirrored: bool
    size: float
    start: tuple[float, float]
    end: tuple[float, float]
    depth: float
    sink: float
    phase: float


@dataclass(frozen=True)
class Camera:
    """`offset` in [0, 1] is where the frame sits in the wider landscape, `travel` how far it
    goes.
    """

    kind: str
    offset: float
    travel: float


@dataclass(frozen=True)
class SceneSpec:
    """Everything that a scene shows; equal specs render to equal pixels."""

    seed: int
    place: str
    time: str
    weather: str
    landscape_seed: int
    subjects: tuple[SubjectSpec, ...]
    camera: Camera
    num_frames: int
    fps: int

    @property
    def labels(self) -> dict[str, int]:
        """Integer labels: place, subject (-1: nobody), time, motion of the first subject."""
        catalog = load_catalog()
        first = self.subjects[0] if self.subjects else None
        return {
            "place": catalog.places[self.place].index,
            "subject": catalog.subjects[first.id].index if first else -1,
            "time": TIMES.index(self.time),
            "motion": MOTION_ID[first.motion] if first else MOTION_ID["still"],
        }
