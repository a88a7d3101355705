"""What lies below: a draft at half the scale, what it knows, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nuwa_cli.infinity import joints
from nuwa_cli.infinity.controller import Controller, Step
from nuwa_cli.infinity.drafts import Shows, _continued
from nuwa_cli.infinity.geometry import Margins
from nuwa_cli.infinity.plans import Words, step_seed
from nuwa_cli.infinity.pool import UNKNOWN
from nuwa_cli.infinity.source import SourceCells
from nuwa_cli.infinity.walk import Filled, Lane, Nearby, walk
from nuwa_cli.tasks.plan import Plan

Make = Callable[..., SourceCells]
TEXT = torch.tensor([[3, 1, 2]])
PLACE, SOMEBODY = Words(TEXT, has_subject=False), Words(TEXT, has_subject=True)


@pytest.fixture(autouse=True)
def joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random tokens join badly; only one test is about that."""
    monkeypatch.setattr(joints, "joint_step", lambda *_: 0.0)


class _Drawer:
    """Draws random tokens of the seed, and keeps all plans and seeds."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []
        self.seeds: list[int] = []

    def __call__(self, plan: Plan, seed: int) -> Tensor:
        self.plans.append(plan)
        self.seeds.append(seed)
        rng = np.random.default_rng(seed)
        return torch.from_numpy(rng.integers(0, 64, (1, *plan.grid.sides[1:])))


def filled(
    source: SourceCells,
    draw: Any,
    tell: Callable[[Step], Words] = lambda _: PLACE,
    shows: Shows = lambda *_: None,
) -> list[Filled]:
    nearby = Nearby(source, Controller(source.canvas))
    return list(walk(Lane(nearby).alone(), draw=draw, tell=tell, shows=shows, seed=5, known={}))


def test_a_draft_knows_the_source_at_half_its_size(make_source: Make) -> None:
    source, draw = make_source(32, 32, Margins(bottom=32)), _Drawer()
    filled(source, draw)
    (plan,) = draw.plans  # for both bands
    known = np.zeros((4, 4), bool)
    known[:2, 1:3] = True
    assert plan.canvas is not None and plan.pixels is not None and plan.known_tokens is not None
    assert ((plan.canvas[0, 0] != UNKNOWN).numpy() == known).all()
    assert torch.equal(plan.canvas, plan.known_tokens)
    share = plan.pixels[0, 3].view(4, 4, 4, 4).numpy()
    assert (share == known[:, None, :, None]).all()
    # 4 samples of a cell of the draft are 4 x 4 pixels of the source each
    picture = source.pixels(source.canvas.source).reshape(8, 4, 8, 4, 3).mean(axis=(1, 3))
    told = plan.pixels[0, :3].permute(1, 2, 0).numpy()
    seen = told[:8, 4:12]
    assert np.abs(seen - (picture / 127.5 - 1)).max() < 1e-5
    assert (plan.nobody, plan.layout_frames, plan.text.tolist()) == (True, 1, TEXT.tolist())


def test_two_bands_share_a_draft(make_source: Make) -> None:
    """A band is 2 cells deep; 5 bands of 80 pixels need three drafts, each with a seed of its own."""
    draw = _Drawer()
    steps = filled(make_source(32, 32, Margins(bottom=80)), draw)
    assert len(steps) == 5
    assert len(draw.plans) == len(set(draw.seeds)) == 3


def test_patches_beside_the_first_share_drafts_in_twos(make_source: Make) -> None:
    """They are 2 cells wide. The first of two lies in the middle of their draft: left of it are 3 cells whose
    patch is drawn by then."""
    source, draw = make_source(32, 80, Margins(bottom=32)), _Drawer()
    steps = filled(source, draw)
    across = [(0, 4), (4, 2), (6, 2), (8, 2)]
    assert [(s.step.patch.left, s.step.patch.width) for s in steps] == across * 2
    known = [
        (plan.canvas[0, 0] >= 0).int().tolist() for plan in draw.plans if plan.canvas is not None
    ]
    above, first, beside = [0, 1, 1, 1], [0, 0, 0, 0], [1, 0, 0, 0]
    upper, last = [1, 1, 1, 1], [1, 1, 0, 0]  # the canvas ends two cells of the draft earlier
    # The draft of the first patch serves the second band, too; there the others begin two cells lower.
    assert known == [
        [above, above, first, first],
        [upper, upper, beside, first],
        [last, last, beside, first],
        [upper, upper, beside, first],
        [last, last, beside, first],
    ]


def test_what_the_draft_shows_is_what_the_patches_are(make_source: Make) -> None:
    """The enlarged draft, tokenized; its lower rows are for the second band."""
    source = make_source(32, 32, Margins(bottom=32))

    def drawn(upper: int, lower: int) -> list[Any]:
        tokens = torch.full((1, 4, 4), upper)
        tokens[:, 3] = lower
        return [step.tokens for step in filled(source, lambda *_: tokens)]

    one, same, other = drawn(3, 3), drawn(3, 3), drawn(3, 40)
    assert all((a == b).all() for a, b in zip(one, same, strict=True))
    assert (one[1] != other[1]).any()
    assert (drawn(40, 40)[0] != one[0]).any()


def test_elsewhere_and_for_somebody_patches_are_drawn_as_they_are(make_source: Make) -> None:
    draw = _Drawer()
    steps = filled(make_source(32, 32, Margins(right=32, left=16, top=32)), draw)
    assert draw.seeds == [step_seed(5, step.step.index) for step in steps]
    draw = _Drawer()
    source = make_source(32, 32, Margins(bottom=32))
    steps = filled(source, draw, lambda step: PLACE if step.index else SOMEBODY)
    upper, draft = draw.plans
    assert not upper.nobody and upper.focus is not None and draft.nobody
    assert draft.canvas is not None
    # somebody stands in the first band, so the second has a draft of its own, that knows the first
    assert (draft.canvas[0, 0] != UNKNOWN)[:2, 1:3].all()
    assert len(steps) == 2


@pytest.mark.parametrize(
    ("sizes", "drafts", "is_kept"),
    [
        ((3.0,), 1, True),
        ((9.0, 1.0), 2, True),
        ((9.0, 4.0, 3.0), 3, True),
        ((9.0, 9.0, 4.0), 3, False),
    ],
)
def test_a_draft_that_does_not_join_is_drawn_again_and_then_dropped(
    make_source: Make,
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[float, ...],
    drafts: int,
    is_kept: bool,
) -> None:
    """Without a draft both bands are drawn as they are: what is known is then the upper half, all across."""
    remaining = iter((*sizes, 0.0, 0.0))
    monkeypatch.setattr(joints, "joint_step", lambda *_: next(remaining))
    draw = _Drawer()
    filled(make_source(32, 32, Margins(bottom=32)), draw)
    assert len(set(draw.seeds)) == len(draw.plans) == drafts + (0 if is_kept else 2)
    for plan in draw.plans[drafts:]:
        assert plan.canvas is not None
        assert (plan.canvas[0, 0, :2] != UNKNOWN).all() and (plan.canvas[0, 0, 2:] == UNKNOWN).all()


@pytest.mark.parametrize(
    ("size", "gain", "is_kept"),
    [(9.0, 0.5, True), (9.0, 0.01, False), (9.0, -1.0, False), (16.0, 0.5, False)],
)
def test_a_draft_that_tells_more_is_kept(
    make_source: Make, monkeypatch: pytest.MonkeyPatch, size: float, gain: float, is_kept: bool
) -> None:
    """Even if it hardly joins: what is asked is the known half alone, then the whole draft; before that, what each
    of three attempts adds."""
    monkeypatch.setattr(joints, "joint_step", lambda *_: size)
    asked: list[tuple[int, ...]] = []

    def shows(text: Tensor, pixels: Tensor) -> float:
        assert torch.equal(text, TEXT)
        asked.append(tuple(pixels.shape))
        return -1.0 + gain * (len(asked) - 4)

    draw = _Drawer()
    filled(make_source(32, 32, Margins(bottom=32)), draw, shows=shows)
    added = [(1, 3, 16, 16)] * 3
    assert asked == added + ([(1, 3, 16, 16), (1, 3, 32, 32)] if size < 15 else [])
    assert len(draw.plans) == (3 if is_kept else 3 + 6)  # three drafts; three drawings of each band


@pytest.mark.parametrize(
    ("sizes", "clear", "chosen", "drafts"),
    [
        ((1.0, 1.0, 1.0), (-0.01, 0.0, 0.0), 0, 1),
        ((1.0, 1.0, 1.0), (-0.5, -0.3, -0.4), 1, 3),
        ((1.0, 9.0, 3.0), (-0.5, 0.0, -0.4), 2, 3),
        ((9.0, 9.0, 1.0), (0.0, 0.0, -9.0), 2, 3),
        ((9.0, 2.0, 1.0), (0.0, 0.0, 0.0), 1, 2),
    ],
)
def test_of_drafts_that_join_the_clearest_is_taken(
    make_source: Make,
    monkeypatch: pytest.MonkeyPatch,
    sizes: tuple[float, ...],
    clear: tuple[float, ...],
    chosen: int,
    drafts: int,
) -> None:
    monkeypatch.setattr(joints, "joint_step", lambda *_, left=list(sizes): left.pop(0))
    source = make_source(32, 32, Margins(bottom=32))
    told = list(clear)

    def drawn(value: int) -> Any:
        return torch.full((1, 4, 4), value)

    values = iter((3, 20, 40))
    steps = filled(source, lambda *_: drawn(next(values)), shows=lambda *_: told.pop(0))
    assert len(told) == 3 - drafts
    monkeypatch.setattr(joints, "joint_step", lambda *_: 0.0)
    alone = filled(source, lambda *_: drawn((3, 20, 40)[chosen]))
    for one, other in zip(steps, alone, strict=True):
        assert (one.tokens == other.tokens).all()


@pytest.mark.usefixtures("vqgan")
def test_unknown_cells_continue_their_column() -> None:
    tokens = np.array([[7, -1, -1], [8, 5, -1], [-1, -1, -1], [-1, 6, -1]])
    assert _continued(tokens).tolist() == [[7, 5, 8], [8, 5, 8], [8, 5, 8], [8, 6, 8]]
    assert _continued(np.full((2, 2), -1)).tolist() == [[0, 0], [0, 0]]
