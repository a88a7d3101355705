"""The nearby context pool against a canvas that keeps everything."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nuwa_cli.infinity.geometry import Rect
from nuwa_cli.infinity.pool import UNKNOWN, Cells, ContextPool

SIDE = 24
rects = st.tuples(*(st.integers(0, SIDE - 1),) * 4).map(
    lambda x: Rect(min(x[0], x[1]), min(x[2], x[3]), abs(x[0] - x[1]) + 1, abs(x[2] - x[3]) + 1)
)


@settings(deadline=None, max_examples=50)
@given(
    page=st.integers(1, 9),
    changes=st.lists(st.tuples(st.booleans(), rects), max_size=12),
    seen=rects,
)
def test_like_a_canvas(page: int, changes: list[tuple[bool, Rect]], seen: Rect) -> None:
    rng = np.random.default_rng(0)
    canvas = Cells.unknown(SIDE, SIDE)
    pool = ContextPool(page)
    for is_added, rect in changes:
        if is_added:
            cells = random_cells(rng, rect)
            canvas.put(rect, cells)
            pool.add(rect, cells)
        else:
            canvas.tokens[rect.slices] = UNKNOWN
            pool.remove(rect)
        assert pool.num_cells == (canvas.tokens != UNKNOWN).sum()
    found = pool.select(seen)
    assert (found.tokens == canvas.tokens[seen.slices]).all()
    is_known = found.tokens != UNKNOWN
    assert (found.samples[is_known] == canvas.samples[seen.slices][is_known]).all()


def test_what_is_forgotten_takes_no_memory() -> None:
    pool = ContextPool(4)
    for start in range(0, 400, 4):
        rect = Rect(0, start, 6, 4)
        pool.add(rect, random_cells(np.random.default_rng(start), rect))
        pool.remove(Rect(0, start - 4, 6, 4))
        assert len(pool._pages) == 2
    pool.remove(Rect(0, 396, 6, 4))
    assert not pool._pages


def test_a_selection_is_a_copy() -> None:
    pool, rect = ContextPool(4), Rect(0, 0, 2, 2)
    pool.add(rect, random_cells(np.random.default_rng(0), rect))
    pool.select(rect).tokens[:] = 77
    assert (pool.select(rect).tokens != 77).all()


def random_cells(rng: Any, rect: Rect) -> Cells:
    shape = (rect.height, rect.width)
    return Cells(
        rng.integers(0, 50, shape), rng.integers(0, 256, (*shape, 4, 4, 3), dtype=np.uint8)
    )
