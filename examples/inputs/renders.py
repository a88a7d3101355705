"""Render the pictures and the clip that the examples start from, once.

    python renders.py FOLDER [SPRITE_PACK]

Scenes of the storybook world on landscapes that training never painted (their seeds lie outside of
its pool), by day, in clear weather, with a camera that stands. The results are committed, so that
nobody needs a sprite pack to run the examples.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path

from nuwa_cli.media.image import write_image
from nuwa_cli.media.video import write_video
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.scene import sample_scene
from nuwa_cli.storybook.spec import Camera
from nuwa_cli.storybook.sprites import SpritePack
from nuwa_cli.storybook.world import WorldConfig

UNSEEN = 100  # training draws landscapes 0 to 15


@dataclass(frozen=True)
class Shot:
    """One file: who is where, moving how, at which hour. A picture shows the first frame."""

    file: str
    seed: int
    subject: str
    place: str
    motion: str
    time: str = "day"


SHOTS = (
    Shot("castle.jpg", 2, "castle", "mountains", "still"),
    Shot("boat.jpg", 2, "sailboat", "sea", "still", "sunset"),
    Shot("horse.jpg", 0, "horse", "meadow", "right"),
    Shot("car.jpg", 1, "car", "city_street", "still"),
    Shot("diver.mp4", 0, "swimmer", "underwater", "left"),
)


def render(shot: Shot, renderer: Renderer, folder: Path) -> None:
    """Draw one shot into `folder`."""
    spec = sample_scene(
        shot.seed,
        WorldConfig.core(),
        subject=shot.subject,
        place=shot.place,
        motion=shot.motion,
    )
    spec = replace(
        spec,
        time=shot.time,
        weather="clear",
        landscape_seed=UNSEEN + shot.seed,
        camera=Camera("static", spec.camera.offset, 0.0),
    )
    frames = renderer.render([spec]).pixels[0].permute(0, 2, 3, 1).numpy()
    path = folder / shot.file
    if path.suffix == ".mp4":
        write_video(path, frames, spec.fps, force=True)
    else:
        write_image(path, frames[0], force=True)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    pack = Path(sys.argv[2] if len(sys.argv) > 2 else "../data/sprites")
    painter = Renderer(SpritePack.load(pack))
    for one in SHOTS:
        render(one, painter, target)
