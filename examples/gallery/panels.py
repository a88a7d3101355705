"""The panels of the gallery: `figures.toml` as values, and the pixels of each panel.

A panel is a picture (one frame) or a clip. Pixels are uint8 (T, H, W, 3). What a command was not
given, or shall repaint, is marked: grey where a picture is completed, framed in red where it is
edited.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import av
import numpy as np
from commands import Command
from PIL import Image, ImageDraw

from nuwa_cli.compositing.regions import RegionSpec, build_mask
from nuwa_cli.media.video import Frames
from nuwa_cli.sketches.maps import colorize, read_sketch
from nuwa_cli.sketches.motion import between

CLIPS = (".mp4", ".gif", ".webp")
SKETCH_FRAMES = 10  # of a clip between two key sketches
MISSING = (214, 218, 224)
RED = (230, 30, 40)


@dataclass(frozen=True)
class Panel:
    """One picture or clip of a figure. See the head of `figures.toml` for what the fields mean."""

    root: Path
    results: Path
    file: str = ""
    sketches: tuple[str, ...] = ()
    of: str = ""
    hole: str = ""
    label: str = ""
    frames: int = 1
    span: int = 1
    maker: Command | None = None

    @property
    def path(self) -> Path:
        """The file that is shown: an input has a folder in its name, a result has none."""
        return (self.root if "/" in self.file else self.results) / self.file

    @property
    def is_clip(self) -> bool:
        """Whether it moves."""
        return bool(self.sketches) or self.path.suffix in CLIPS

    @cached_property
    def pixels(self) -> Frames:
        """The frames, marked."""
        if self.sketches:
            first, last = (read_sketch(self.root / name) for name in self.sketches)
            return colorize(between(first, last, SKETCH_FRAMES))
        if self.is_clip:
            with av.open(str(self.path)) as container:
                return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])
        with Image.open(self.path) as opened:
            picture = opened.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (*MISSING, 255))
        shown = Image.alpha_composite(ground, picture).convert("RGB")
        if self.hole and self.maker:
            shown = _marked(shown, self.maker)
        return np.asarray(shown)[None]

    def spread(self) -> Frames:
        """As many frames of it as the contact sheet shows: evenly spread; of one, the middle."""
        last = len(self.pixels) - 1
        places = np.array([last / 2]) if self.frames == 1 else np.linspace(0, last, self.frames)
        return self.pixels[places.round().astype(int)]


def _marked(picture: Image.Image, command: Command) -> Image.Image:
    """The picture with the region of a command greyed or framed."""
    spec = RegionSpec(
        boxes=command.values("--box"),
        ellipses=command.values("--ellipse"),
        polygons=command.values("--polygon"),
        invert="--mask-invert" in command.words,
    )
    mask = build_mask(spec, picture.height, picture.width)
    if command.name == "inpaint":
        return Image.composite(
            Image.new("RGB", picture.size, MISSING), picture, Image.fromarray(mask)
        )
    rows, columns = np.nonzero(mask)
    box = (columns.min(), rows.min(), columns.max(), rows.max())
    framed = picture.copy()
    ImageDraw.Draw(framed).rectangle(tuple(map(int, box)), outline=RED, width=4)
    return framed


@dataclass(frozen=True)
class Figure:
    """A titled group of panels in rows; `commands` made them."""

    task: str
    title: str
    prompt: str
    prompt_en: str
    width: int
    rows: tuple[tuple[Panel, ...], ...]

    @property
    def commands(self) -> tuple[Command, ...]:
        """The commands that made what it shows, each once."""
        makers = (panel.maker for row in self.rows for panel in row)
        return tuple(dict.fromkeys(maker for maker in makers if maker))


def read_figures(root: Path, results: Path, makers: dict[str, Command]) -> list[Figure]:
    """The figures of `gallery/figures.toml`; raises KeyError where no script makes a result."""
    table = tomllib.loads((root / "gallery" / "figures.toml").read_text(encoding="utf-8"))

    def panel(entry: dict[str, Any]) -> Panel:
        entry = {**entry, "sketches": tuple(entry.get("sketches", ()))}
        made = entry.get("hole") or entry.get("of") or entry.get("file", "")
        return Panel(root, results, maker=None if "/" in made else makers[made], **entry)

    return [
        Figure(
            task=entry["task"],
            title=entry["title"],
            prompt=entry.get("prompt", ""),
            prompt_en=entry.get("prompt_en", ""),
            width=entry["width"],
            rows=tuple(tuple(map(panel, row)) for row in entry["rows"]),
        )
        for entry in table["figure"]
    ]
