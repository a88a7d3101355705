"""The light of a time of day: colors of the sky, and how every local color looks in it.

A place names its colors once, as they are at noon; `Light` turns them into the colors of sunset and
night by one grade (saturation, gain, lift per channel) and moves them towards the haze with
distance (atmospheric perspective), so every place keeps one harmonious palette at every time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nuwa_cli.storybook.landscapes.painting import mix, rgb
from nuwa_cli.storybook.landscapes.shapes import Array, f32

_LUMA = np.array([0.30, 0.59, 0.11], dtype=np.float32)


@dataclass(frozen=True)
class Light:
    """One time of day; `light("#rrggbb")` is that local color as it looks now."""

    time: str
    zenith: Array
    middle: Array
    horizon: Array
    haze: Array
    cloud_lit: Array
    cloud_shade: Array
    saturation: float
    gain: Array
    lift: Array
    mirror: float

    @property
    def is_night(self) -> bool:
        """True when lamps and windows shine."""
        return self.time == "night"

    def grade(self, color: Array) -> Array:
        """The local color (3,) in this light."""
        gray = np.float32(np.dot(_LUMA, color))
        toned = gray + (color - gray) * np.float32(self.saturation)
        return f32(np.clip(toned * self.gain + self.lift, 0, 1))

    def __call__(self, code: str, distance: float = 0.0) -> Array:
        """The color `#rrggbb` in this light, moved into the haze by `distance` (0 near, 1 gone)."""
        return mix(self.grade(rgb(code)), self.haze, distance)

    def water(self, code: str) -> Array:
        """The color `#rrggbb` of water; at sunset its bright parts mirror the low sky."""
        own = rgb(code)
        bright = float(np.dot(_LUMA, own))
        low, high = (
            mix(self.zenith, self.middle, bright / 0.6),
            mix(self.middle, self.horizon, bright),
        )
        return mix(self.grade(own), low if bright < 0.6 else high, self.mirror)


def _triple(r: float, g: float, b: float) -> Array:
    return np.array([r, g, b], dtype=np.float32)


LIGHTS: dict[str, Light] = {
    "day": Light(
        "day",
        rgb("#2b7fd9"),
        rgb("#6fb6ee"),
        rgb("#d4edfa"),
        rgb("#bfe0f4"),
        rgb("#ffffff"),
        rgb("#cfe3f3"),
        1.0,
        _triple(1, 1, 1),
        _triple(0, 0, 0),
        0.0,
    ),
    "sunset": Light(
        "sunset",
        rgb("#4a3f8f"),
        rgb("#e0708a"),
        rgb("#ffcf86"),
        rgb("#f2a58a"),
        rgb("#ffd9b0"),
        rgb("#d9809a"),
        0.90,
        _triple(0.90, 0.66, 0.61),
        _triple(0.08, 0.03, 0.08),
        0.85,
    ),
    "night": Light(
        "night",
        rgb("#0b1238"),
        rgb("#1d2b66"),
        rgb("#3f5596"),
        rgb("#34487f"),
        rgb("#6e80b8"),
        rgb("#3c4a85"),
        0.75,
        _triple(0.26, 0.35, 0.55),
        _triple(0.03, 0.055, 0.15),
        0.0,
    ),
}
