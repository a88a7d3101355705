"""`--strict-prompt` and `--strict-size` refuse, before a model is loaded, what is otherwise a note."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuwa_cli.api.engine import Engine
from nuwa_cli.media.image import write_image
from nuwa_cli.media.probe import probe

Run = Callable[..., Any]


@pytest.fixture
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading a model is an error."""

    def load(*_: Any, **__: Any) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr(Engine, "load", load)


@pytest.fixture
def pictures(work: Path) -> None:
    """`a.png` is of another shape than the model's own pictures, `b.png` is not."""
    for name, width in (("a.png", 40), ("b.png", 32)):
        write_image(work / name, np.full((32, width, 3), 200, dtype=np.uint8))


REFUSED = [
    (("t2i", "a dgo", "-o", "c.png"), "prompt 'a dgo': 'dgo' is unknown; give dog"),
    (("t2i", "a {dog|xqzw}", "-o", "c.png"), "'xqzw' is unknown; see: nuwa vocab"),
    (("t2v", "a dog", "a dgo", "-o", "c.mp4", "--dry-run"), "'dgo' is unknown"),
    (("t2i", "a dog " * 60, "-o", "c.png"), "would be ignored; give a shorter one"),
    (("extend", "a.png", "--right", "8", "--prompt-at", "9:a dgo", "-o", "c.png"), "'dgo'"),
]


@pytest.mark.usefixtures("pictures", "no_model")
@pytest.mark.parametrize(("words", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_unknown_words_are_refused(tiny: Run, words: tuple[str, ...], why: str) -> None:
    tiny(*words, "--strict-prompt").check_refusal(2, why)


@pytest.mark.usefixtures("pictures", "no_model")
@pytest.mark.parametrize("words", [(), ("--fit", "pad"), ("--dry-run",)], ids=" ".join)
def test_what_would_be_fitted_is_refused(tiny: Run, words: tuple[str, ...]) -> None:
    done = tiny("predict", "a.png", "--strict-size", "-o", "c.mp4", *words)
    done.check_refusal(2, "input 'a.png': would be 40x32 fitted to 32x32")


@pytest.mark.usefixtures("pictures")
def test_what_fits_is_drawn_as_without(tiny: Run, work: Path) -> None:
    words = ("predict", "b.png", "a dog", "--frames", "2", "-q", "-o")
    assert tiny(*words, "c.apng", "--strict-size", "--strict-prompt").status == 0
    assert tiny(*words, "d.apng").status == 0
    assert (work / "c.apng").read_bytes() == (work / "d.apng").read_bytes()
    assert "strict_size" not in probe(work / "c.apng")["recipe"]["arguments"]
