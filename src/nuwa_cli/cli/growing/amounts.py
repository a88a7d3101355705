"""How far a picture or clip grows: the options of `nuwa extend` as numbers, checked before any work.

    512     pixels are added on that side
    300%    percents of the input's side are added
    4x      the result is four times as long on that side: three sides of the input are added

With both `--left 4x` and `--right 4x` each counts on its own, so the result is seven times as wide.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from nuwa_cli.errors import UsageError
from nuwa_cli.infinity.geometry import Margins
from nuwa_cli.tasks.prompt import check_prompt

MAX_SIDE = 1_000_000
"""Pixels along a side of a result."""
MAX_PIXELS = 1_000_000_000
"""Of a whole result: three gigabytes of colours."""

_AMOUNT = re.compile(r"(\d{1,9})|(\d{1,9}(?:\.\d{1,6})?)(%|x|×)", re.ASCII)
_SIZE = re.compile(r"(\d{1,9})[x×](\d{1,9})", re.ASCII)
_SAY_HOW_FAR = "say how far, such as --right 512, --left 50%, --up 2x or --size 2048x512"


@dataclass(frozen=True)
class Growth:
    """What was asked for, before the size of the input is known."""

    amounts: dict[str, str]  # by the name of the option
    size: tuple[int, int] | None = None  # (width, height)
    segments: tuple[tuple[int, str], ...] = ()  # (pixel, prompt)

    @property
    def is_empty(self) -> bool:
        """Whether no side is to grow."""
        return not self.size and not self.amounts

    def margins(self, height: int, width: int) -> Margins:
        """Pixels to add to an input of (height, width). Raises UsageError for results too large,
        smaller than the input or as large, and for segments outside the result."""
        margins = self._of_size(height, width) if self.size else self._of_amounts(height, width)
        if not margins:
            raise UsageError(f"extend: nothing to add to {width}x{height} pixels; {_SAY_HOW_FAR}")
        whole_height = margins.top + height + margins.bottom
        whole_width = margins.left + width + margins.right
        check_limits(whole_height, whole_width)
        is_upright = not (margins.left or margins.right)
        length = whole_height if is_upright else whole_width
        for at, _ in self.segments:
            if at >= length:
                raise UsageError(
                    f"prompt-at '{at}': lies outside, the result is {length} pixels "
                    f"{'high' if is_upright else 'wide'}; give 0 … {length - 1}"
                )
        return margins

    def require(self) -> None:
        """Raise UsageError when nothing is asked for."""
        if self.is_empty:
            raise UsageError(f"extend: nothing to add; {_SAY_HOW_FAR}")

    def _of_amounts(self, height: int, width: int) -> Margins:
        def pixels(name: str, side: int) -> int:
            text = self.amounts.get(name, self.amounts.get("around", "0"))
            return amount(name if name in self.amounts else "around", text, side)

        return Margins(
            pixels("left", width),
            pixels("up", height),
            pixels("right", width),
            pixels("down", height),
        )

    def _of_size(self, height: int, width: int) -> Margins:
        assert self.size is not None
        more_x, more_y = self.size[0] - width, self.size[1] - height
        if more_x < 0 or more_y < 0:
            raise UsageError(
                f"size '{self.size[0]}x{self.size[1]}': the input is {width}x{height}; give at least "
                "that, or cut it first"
            )
        left, top = more_x // 2, more_y // 2
        return Margins(left, top, more_x - left, more_y - top)


def parse_growth(
    amounts: dict[str, str | None], size: str | None, prompt_at: Sequence[str]
) -> Growth:
    """The options as given; amounts that do not parse are refused. Raises UsageError."""
    given = {name: text for name, text in amounts.items() if text is not None}
    for name, text in given.items():
        amount(name, text, 1)
    if size is not None and given:
        raise UsageError(
            f"size '{size}': already says how far every side goes; leave --{next(iter(given))} out"
        )
    segments = tuple(sorted(_segment(text) for text in prompt_at))
    places = [at for at, _ in segments]
    if len(set(places)) < len(places):
        twice = next(at for at in places if places.count(at) > 1)
        raise UsageError(f"prompt-at '{twice}': is given twice; keep one")
    return Growth(given, None if size is None else parse_size(size), segments)


def amount(name: str, text: str, side: int) -> int:
    """Pixels that `text` adds to a side of the input. Raises UsageError."""
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{name} '{text[:40]}': is no amount; give pixels (512), percents (50%) or times (4x)"
        )
    if found[1] is not None:
        return int(found[1])
    share = float(found[2])
    if found[3] == "%":
        return math.floor(side * share / 100 + 0.5)
    if share < 1:
        raise UsageError(f"{name} '{text[:40]}': is less than the input; give more than 1x")
    return math.floor(side * (share - 1) + 0.5)


def parse_size(text: str) -> tuple[int, int]:
    """(width, height) of `2048x512`. Raises UsageError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or not (int(found[1]) and int(found[2])):
        raise UsageError(f"size '{text[:40]}': is no size; give width x height, such as 2048x512")
    return int(found[1]), int(found[2])


def check_limits(height: int, width: int) -> None:
    """Raise UsageError for a result larger than anyone can use."""
    if max(height, width) > MAX_SIDE:
        raise UsageError(
            f"size '{width}x{height}': too large; a side has at most {MAX_SIDE} pixels"
        )
    if height * width > MAX_PIXELS:
        raise UsageError(
            f"size '{width}x{height}': too large; give at most {MAX_PIXELS // 10**6} million pixels"
        )


def _segment(text: str) -> tuple[int, str]:
    at, colon, prompt = text.partition(":")
    if not (colon and at.strip().isascii() and at.strip().isdecimal() and len(at) < 12):
        raise UsageError(
            f"prompt-at '{text[:40]}': give a pixel, a colon and a prompt, such as "
            '1024:"a city street"'
        )
    return int(at), check_prompt(prompt)
