"""The words that training captions contained, and which words of a prompt are not among them.

English words are runs of letters. Chinese has no spaces, so words are found by a rule that needs no
dictionary: a character that always has the same neighbour on one side is glued to it. 尔 always
comes between 高 and 夫: no word of its own, but part of 高尔夫.
Names of the catalog are added as they are. In a prompt, a stretch is known if a known word, or two
and more characters out of one, cover it; what is left over is reported.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

CJK = "㐀-䶿一-鿿豈-﫿぀-ヿ々〇\U00020000-\U0003ffff"
"""Characters written without spaces between words, as the inside of a regular-expression class."""

_CJK_RUN = re.compile(f"[{CJK}]+")
_WORD = re.compile(rf"[^\W\d_{CJK}]+")
_FUNCTION_WORDS = frozenset(
    (
        *("a", "an", "and", "are", "at", "be", "by", "for", "from", "has", "have", "in", "is"),
        *("it", "its", "of", "on", "some", "that", "the", "their", "there", "this", "to"),
        *("very", "was", "were", "with"),
        *"一个了着的在正很是有和与这那里上中",
    )
)
"""Words that draw nothing by themselves: never worth a warning."""

_EDGE = ""
_MAX_SUGGESTIONS = 3
_MAX_GLUED = 6


def collect_words(texts: Iterable[str], extra: Iterable[str] = ()) -> set[str]:
    """Words of normalised `texts`, and of `extra` (names whose Chinese form is known)."""
    words = {word for entry in extra for word in _split(entry)}
    runs: Counter[str] = Counter()
    for text in texts:
        words.update(_WORD.findall(text))
        runs.update(_CJK_RUN.findall(text))
    before: defaultdict[str, set[str]] = defaultdict(set)
    after: defaultdict[str, set[str]] = defaultdict(set)
    for run in runs:
        padded = [_EDGE, *run, _EDGE]
        for left, char, right in zip(padded, padded[1:], padded[2:], strict=False):
            before[char].add(left)
            after[char].add(right)
    for char in before:
        words.add(_glued(char, before, after))
    return words


def _glued(char: str, before: dict[str, set[str]], after: dict[str, set[str]]) -> str:
    """`char` with the neighbours that it never comes without; alone if there are none."""
    word = char
    while len(after[word[-1]]) == 1 and len(word) < _MAX_GLUED:
        (right,) = after[word[-1]]
        if right == _EDGE or (len(word) > 1 and len(before[right]) > 1):
            break
        word += right
    while len(before[word[0]]) == 1 and len(word) < _MAX_GLUED:
        (left,) = before[word[0]]
        if left == _EDGE or (len(word) > 1 and len(after[left]) > 1):
            break
        word = left + word
    return word


def unknown_words(text: str, words: frozenset[str]) -> list[tuple[str, list[str]]]:
    """Words of a normalised text that are not in `words`, in order, each once, with the nearest
    known words (at most three, the nearest first; empty when nothing is near)."""
    words |= _FUNCTION_WORDS
    missing: list[str] = []
    for match in re.finditer(rf"{_CJK_RUN.pattern}|{_WORD.pattern}", text):
        piece = match.group()
        if _CJK_RUN.fullmatch(piece):
            missing.extend(_uncovered(piece, words))
        elif piece not in words:
            missing.append(piece)
    return [(word, _nearest(word, words)) for word in dict.fromkeys(missing)]


def _split(entry: str) -> list[str]:
    return _WORD.findall(entry) + _CJK_RUN.findall(entry)


def _uncovered(run: str, words: frozenset[str]) -> list[str]:
    """Maximal stretches of a Chinese run that no known word, nor a piece of one, covers."""
    pieces = {
        word[start:end]
        for word in words
        if _CJK_RUN.match(word)
        for start in range(len(word))
        for end in range(start + 1, len(word) + 1)
        if end - start > 1 or len(word) == 1
    }
    longest = max((len(piece) for piece in pieces), default=0)
    covered = [False] * len(run)
    for start in range(len(run)):
        for end in range(min(len(run), start + longest), start, -1):
            if run[start:end] in pieces:
                covered[start:end] = [True] * (end - start)
                break
    marked = "".join("\0" if known else char for char, known in zip(run, covered, strict=True))
    return [stretch for stretch in marked.split("\0") if stretch]


def _nearest(word: str, words: frozenset[str]) -> list[str]:
    is_cjk = bool(_CJK_RUN.fullmatch(word))
    words -= _FUNCTION_WORDS
    same_script = sorted(w for w in words if bool(_CJK_RUN.match(w)) == is_cjk)
    if not is_cjk:
        return difflib.get_close_matches(word, same_script, n=_MAX_SUGGESTIONS, cutoff=0.6)
    # One shared character says a lot in Chinese: rank by the share of characters in common.
    shared = {w: len(set(w) & set(word)) / len(set(w) | set(word)) for w in same_script}
    ranked = sorted((w for w in same_script if shared[w] > 0), key=lambda w: (-shared[w], w))
    return ranked[:_MAX_SUGGESTIONS]
