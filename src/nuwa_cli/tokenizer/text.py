"""Text ↔ tokens: a byte-level BPE of our own, small enough to be learned from the captions.

Bytes make Chinese, typing errors and emoji no special case: nothing is ever out of vocabulary.
What the captions never contained is a different matter, and is reported by `unknown_words`.

Ids: 0 padding, 1 end of text, 2 … 257 the bytes, from 258 the merges. A text is normalised (NFKC,
lower case, single spaces) and cut into chunks (a word with the space before it, punctuation, one
Chinese character); merges never cross a chunk. Merging across Chinese characters was tried: it
makes tokens such as 熊猫在草地, so that 熊猫 elsewhere is another token, the opposite of what
unseen pairs of subject and place need. Invariant: `decode(encode(x)) == normalize(x)`.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.tokenizer import known_words
from nuwa_cli.tokenizer.bpe import Pair, apply_merges, learn_merges
from nuwa_cli.tokenizer.known_words import CJK

PAD, EOT = 0, 1
BYTE_OFFSET = 2
FIRST_MERGE = BYTE_OFFSET + 256
FORMAT = "nuwa-text"
FORMAT_VERSION = 1

_MAX_TOKEN_BYTES = 24
_CACHE_LIMIT = 1 << 16
_STARTS_WITH_CJK = re.compile(f"[{CJK}]")
_CHUNK = re.compile(rf"[{CJK}]| ?[^\W_{CJK}]+| ?[^\w\s]+| ?_+|\s+")


def normalize(text: str) -> str:
    """NFKC, lower case, whitespace runs to one space, none at the ends."""
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates have no bytes
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


class TextTokenizer:
    """Byte-level BPE with the words of its training captions; immutable after construction."""

    def __init__(self, merges: Sequence[Pair], words: Iterable[str], vocab_size: int) -> None:
        self.vocab_size = vocab_size  # rows of a text table; merges may use fewer
        self.merges = tuple((int(left), int(right)) for left, right in merges)
        self.words = frozenset(words)
        self._ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        self._bytes: list[bytes] = [b"", b"", *(bytes([value]) for value in range(256))]
        for left, right in self.merges:
            self._bytes.append(self._bytes[left] + self._bytes[right])
        self._cache: dict[str, tuple[int, ...]] = {}

    @classmethod
    def train(
        cls, texts: Iterable[str], vocab_size: int = 2048, *, known: Iterable[str] = ()
    ) -> Self:
        """Learn merges from `texts`; `known` are further words a prompt may use (names of the
        catalog, so that Chinese prompts can be segmented). Raises UsageError if `vocab_size` has
        no room for the bytes."""
        if vocab_size < FIRST_MERGE:
            raise UsageError(f"vocab_size '{vocab_size}': too small; give at least {FIRST_MERGE}")
        counts: Counter[str] = Counter(normalize(text) for text in texts)
        chunks: Counter[bytes] = Counter()
        for text, count in counts.items():
            for chunk in _chunks(text):
                chunks[chunk.encode()] += count
        merges = learn_merges(
            chunks,
            vocab_size - FIRST_MERGE,
            byte_offset=BYTE_OFFSET,
            first_id=FIRST_MERGE,
            max_bytes=_MAX_TOKEN_BYTES,
        )
        words = known_words.collect_words(counts, (normalize(word) for word in known))
        return cls(merges, words, vocab_size)

    def encode(self, text: str) -> list[int]:
        """Token ids with the end-of-text mark; an empty text gives no ids at all."""
        normal = normalize(text)
        if not normal:
            return []
        ids: list[int] = []
        for chunk in _chunks(normal):
            ids.extend(self._encode_chunk(chunk))
        return [*ids, EOT]

    def encode_batch(self, texts: Sequence[str], max_len: int = 77) -> Tensor:
        """Tokens (b, max_len) int64, padded with 0. A text that is too long loses its end but
        keeps the end-of-text mark; `dropped_text` says what was lost."""
        batch = torch.zeros(len(texts), max_len, dtype=torch.int64)
        for row, text in enumerate(texts):
            ids = self.encode(text)
            if len(ids) > max_len:
                ids = [*ids[: max_len - 1], EOT]
            batch[row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
        return batch

    def dropped_text(self, text: str, max_len: int = 77) -> str:
        """The end of `text` that does not fit into `max_len` tokens; empty when all of it fits."""
        ids = self.encode(text)
        return "" if len(ids) <= max_len else self.decode(ids[max_len - 1 :]).strip()

    def decode(self, ids: Iterable[int]) -> str:
        """Normalised text of token ids; padding and end of text are skipped."""
        data = b"".join(self._bytes[index] for index in ids if index < len(self._bytes))
        return data.decode("utf-8", "replace").removeprefix(" ")

    def unknown_words(self, prompt: str) -> list[tuple[str, list[str]]]:
        """Words of the prompt that no training caption contained, in order, each with at most
        three nearest known words."""
        return known_words.unknown_words(normalize(prompt), self.words)

    def save(self, path: Path) -> None:
        """Write one JSON file; the same tokenizer always gives the same bytes."""
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "vocab_size": self.vocab_size,
            "merges": [list(pair) for pair in self.merges],
            "words": sorted(self.words),
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        path.write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote. Raises InputError if the file is damaged or newer."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(
                f"text file '{path}': {error.strerror}; check the model folder"
            ) from error
        except ValueError as error:
            raise InputError(f"text file '{path}': not JSON; fetch the model again") from error
        problem = _problem(document)
        if problem:
            raise InputError(f"text file '{path}': {problem}; fetch the model again")
        return cls(document["merges"], document["words"], document["vocab_size"])

    def _encode_chunk(self, chunk: str) -> tuple[int, ...]:
        cached = self._cache.get(chunk)
        if cached is None:
            symbols = [BYTE_OFFSET + value for value in chunk.encode()]
            cached = tuple(apply_merges(symbols, self._ranks, FIRST_MERGE))
            if len(self._cache) >= _CACHE_LIMIT:
                self._cache.clear()
            self._cache[chunk] = cached
        return cached


def _chunks(normal: str) -> list[str]:
    """Chunks of a normalised text. A first word gets the space that later words carry, so that
    "dog" is the same token at the start and inside of a caption."""
    if not normal:
        return []
    return _CHUNK.findall(normal if _STARTS_WITH_CJK.match(normal) else " " + normal)


def _problem(document: Any) -> str:
    """Why a parsed text file cannot be used; empty if it can."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        return "not a nuwa text file"
    if document.get("format_version") != FORMAT_VERSION:
        return f"format version {document.get('format_version')!r}, known is {FORMAT_VERSION}"
    size, merges, words = (document.get(key) for key in ("vocab_size", "merges", "words"))
    if not isinstance(size, int) or not isinstance(merges, list) or not isinstance(words, list):
        return "vocab_size, merges or words missing"
    if not FIRST_MERGE + len(merges) <= size <= 1 << 20:
        return f"{len(merges)} merges do not fit vocab_size {size}"
    for rank, pair in enumerate(merges):
        if not isinstance(pair, list) or len(pair) != 2:
            return f"merge {rank} is no pair"
        if not all(type(s) is int and BYTE_OFFSET <= s < FIRST_MERGE + rank for s in pair):
            return f"merge {rank} names a later symbol"
    if not all(isinstance(word, str) for word in words):
        return "a known word is no string"
    return ""
