"""A file to look at: `nuwa show` and `nuwa sheet` read any picture or clip, a long one in samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nuwa_cli.media.contact_sheet import Frames

_MOST_FRAMES = 200  # of a folder of pictures, which cannot be sampled in time


@dataclass(frozen=True)
class Seen:
    """Frames uint8 (T, H, W, 3), frames a second (None of a picture), recipe (empty if none)."""

    frames: Frames
    fps: float | None
    recipe: dict[str, Any]

    @property
    def prompt(self) -> str:
        """The prompt that the recipe names, or nothing."""
        prompt = self.recipe.get("prompt")
        return prompt if isinstance(prompt, str) else ""

    @property
    def seed(self) -> int | None:
        """The seed that the recipe names."""
        seed = self.recipe.get("seed")
        return seed if isinstance(seed, int) else None


def look_at(path: Path, most: int) -> Seen:
    """Read a picture or clip; of a clip with more than `most` frames about so many, evenly spread.

    Raises InputError.
    """
    from nuwa_cli.media.probe import probe
    from nuwa_cli.media.reading import kind_of, read_clip, read_picture
    from nuwa_cli.media.sources import numbered_pictures

    if numbered_pictures(path) is not None:
        clip = read_clip(path, max_frames=_MOST_FRAMES)
        return Seen(clip.frames, clip.fps, {})
    facts = probe(path)
    recipe = facts["recipe"] or {}
    if kind_of(path) == "picture":
        return Seen(read_picture(path).on_white()[None], None, recipe)
    count, rate = facts["frames"], facts["fps"]
    few = rate * (most - 1) / (count - 1) if rate and count > most else None
    clip = read_clip(path, fps=few, max_frames=most)
    return Seen(clip.frames, clip.fps, recipe)
