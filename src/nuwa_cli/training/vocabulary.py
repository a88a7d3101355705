"""The text vocabulary of a model: learned from the captions of its own world."""

from __future__ import annotations

from nuwa_cli.storybook.captions import caption
from nuwa_cli.storybook.catalog import Action, Place, Subject, load_catalog
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.training.scenes import SceneSource


def build_text_tokenizer(
    source: SceneSource, vocab_size: int, count: int = 40_000
) -> TextTokenizer:
    """Learn the vocabulary from the captions of training scenes, and the names of the catalog."""
    step = 0
    texts: list[str] = []
    while len(texts) < count:
        for spec in source.specs((1 << 23) + step, 64):
            kind = "video" if len(texts) % 2 else "image"
            texts.append(caption(spec, spec.seed + 1, kind=kind))
        step += 1
    catalog = load_catalog()
    named: list[Subject | Place | Action] = [
        *catalog.subjects.values(),
        *catalog.places.values(),
        *catalog.actions.values(),
    ]
    chinese = [name for entry in named for name in _names(entry)]
    return TextTokenizer.train(texts, vocab_size, known=chinese)


def _names(entry: Subject | Place | Action) -> tuple[str, ...]:
    return (entry.zh,) if isinstance(entry.zh, str) else entry.zh
