"""Byte pair encoding over chunks of bytes: learning the merges, and applying them.

The idea (Gage 1994, as byte-level BPE): start from single bytes and fuse, again and again, the pair
of neighbours that occurs most often. Texts enter as *unique chunks with counts*, and a merge only
touches the chunks that contain its pair, so 50,000 captions are learned in seconds.

Invariants: merge number i makes symbol `first_id + i`; ties between equally frequent pairs go to
the smaller pair of ids, so the same texts always give the same merges; no symbol is longer than
`max_bytes`.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise

Pair = tuple[int, int]


def learn_merges(
    chunks: Mapping[bytes, int],
    num_merges: int,
    *,
    byte_offset: int,
    first_id: int,
    max_bytes: int,
) -> list[Pair]:
    """The `num_merges` most useful merges, fewer if the texts run out of pairs seen twice.

    `chunks` maps a chunk of UTF-8 to how often it occurs; byte `v` is symbol `byte_offset + v`.
    """
    ordered = sorted(chunks.items())
    symbols = [[byte_offset + value for value in chunk] for chunk, _ in ordered]
    counts = [count for _, count in ordered]
    lengths = {byte_offset + value: 1 for value in range(256)}
    pair_counts: Counter[Pair] = Counter()
    homes: defaultdict[Pair, set[int]] = defaultdict(set)
    for index, chunk_symbols in enumerate(symbols):
        for pair in pairwise(chunk_symbols):
            pair_counts[pair] += counts[index]
            homes[pair].add(index)

    # A lazy heap: entries whose count is out of date are dropped when they surface.
    heap = [(-count, pair) for pair, count in pair_counts.items()]
    heapq.heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < num_merges:
        negative, pair = heapq.heappop(heap)
        if -negative != pair_counts[pair] or -negative < 2:
            continue
        if lengths[pair[0]] + lengths[pair[1]] > max_bytes:
            continue
        merged = first_id + len(merges)
        merges.append(pair)
        lengths[merged] = lengths[pair[0]] + lengths[pair[1]]
        changed: set[Pair] = set()
        for index in sorted(homes.pop(pair)):
            before = symbols[index]
            after = _fuse(before, pair, merged)
            for old in pairwise(before):
                pair_counts[old] -= counts[index]
                changed.add(old)
            for new in pairwise(after):
                pair_counts[new] += counts[index]
                homes[new].add(index)
                changed.add(new)
            symbols[index] = after
        for touched in changed:
            if pair_counts[touched] > 0:
                heapq.heappush(heap, (-pair_counts[touched], touched))
            else:
                del pair_counts[touched]
                homes.pop(touched, None)
    return merges


def apply_merges(symbols: list[int], ranks: Mapping[Pair, int], first_id: int) -> list[int]:
    """Fuse the earliest-learned pair present until none is left; `ranks[pair]` = merge number."""
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        symbols = _fuse(symbols, best, first_id + ranks[best])
    return symbols


def _fuse(symbols: list[int], pair: Pair, merged: int) -> list[int]:
    left, right = pair
    result: list[int] = []
    position, last = 0, len(symbols) - 1
    while position <= last:
        if position < last and symbols[position] == left and symbols[position + 1] == right:
            result.append(merged)
            position += 2
        else:
            result.append(symbols[position])
            position += 1
    return result
