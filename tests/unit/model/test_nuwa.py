"""The encoder-decoder: causality, what conditions do and do not, precision, training."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from nuwa_cli.config import NuwaConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.model.condition import Condition, cat_conditions
from nuwa_cli.model.layout import BINS, LAYOUT_VOCAB, NUM_SLOTS
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.nearby import Backend
from nuwa_cli.presets import get_preset

CONFIG = dataclasses.replace(get_preset("test").transformer, max_frames=3)
TEXT = torch.tensor([[7, 8, 9, 0, 0, 0, 0, 0, 0, 0], [5, 0, 0, 0, 0, 0, 0, 0, 0, 0]])


def lively(config: NuwaConfig = CONFIG) -> Nuwa:
    """A float64 model whose every parameter matters (at the start some are zero or tiny)."""
    torch.manual_seed(0)
    model = Nuwa(config).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def tokens(b: int, t: int, vocab: int = CONFIG.visual_vocab) -> Tensor:
    return torch.randint(0, vocab, (b, t, CONFIG.grid_height, CONFIG.grid_width))


@torch.no_grad()
def test_a_token_influences_later_positions_only() -> None:
    model = lively()
    target = tokens(1, 3)
    condition = Condition(TEXT[:1])
    before = model(target, condition).flatten(1, 3)[0]
    reached = torch.zeros(48, dtype=torch.bool)
    for position in range(48):
        other = target.flatten().clone()
        other[position] = (other[position] + 1) % CONFIG.visual_vocab
        after = model(other.view_as(target), condition).flatten(1, 3)[0]
        changed = (after != before).any(dim=-1)
        assert not changed[: position + 1].any(), position
        reached[position] = changed.any()
    assert reached[:47].all()  # every token but the last is seen by somebody


@torch.no_grad()
def test_text_padding_and_batch_neighbors_do_not_matter() -> None:
    model = lively()
    target = tokens(2, 2)
    both = model(target, Condition(TEXT))
    cut = model(target[1:], Condition(TEXT[1:, :3]))
    torch.testing.assert_close(both[1:], cut)


@torch.no_grad()
def test_text_matters_and_null_is_a_row_of_zeros() -> None:
    model = lively()
    target = tokens(1, 1)
    with_text = model(target, Condition(TEXT[:1]))
    without = model(target, Condition(TEXT[:1]).null())
    assert float((with_text - without).abs().max()) > 1e-3
    torch.testing.assert_close(without, model(target, Condition(torch.zeros(1, 1).long())))


@torch.no_grad()
@pytest.mark.parametrize("kind", ["sketch", "canvas", "both"])
def test_an_absent_grid_does_not_influence_its_sample(kind: str) -> None:
    model = lively()
    target = tokens(2, 2)
    sketch = torch.randint(0, CONFIG.sketch_vocab, (2, 2, 3, 2))
    canvas = torch.randint(-1, CONFIG.visual_vocab, (2, 2, 3, 2))
    sketch[1] = canvas[1] = -1
    given = Condition(
        TEXT,
        sketch if kind in ("sketch", "both") else None,
        canvas if kind in ("canvas", "both") else None,
    )
    logits = model(target, given)
    plain = model(target, Condition(TEXT))
    torch.testing.assert_close(logits[1], plain[1])
    assert float((logits[0] - plain[0]).abs().max()) > 1e-3
    alone = model(target[:1], given.select(slice(0, 1)))
    torch.testing.assert_close(logits[:1], alone)


@torch.no_grad()
def test_a_canvas_absent_everywhere_is_as_none_beside_a_sketch() -> None:
    model = lively()
    target = tokens(1, 1)
    sketch = torch.randint(0, CONFIG.sketch_vocab, (1, 1, 4, 4))
    holes = torch.full((1, 1, 4, 4), -1)
    beside = model(target, Condition(TEXT[:1], sketch, holes))
    torch.testing.assert_close(beside, model(target, Condition(TEXT[:1], sketch)))


@torch.no_grad()
def test_every_grid_cell_reaches_the_logits() -> None:
    model = lively(dataclasses.replace(CONFIG, encoder_layers=1))
    target = tokens(1, 1)
    canvas = tokens(1, 1)
    sketch = torch.randint(0, CONFIG.sketch_vocab, (1, 1, 4, 4))
    before = model(target, Condition(TEXT[:1], sketch, canvas))
    for cell in range(16):
        for which in range(2):
            grids = [sketch.clone(), canvas.clone()]
            grids[which].view(-1)[cell] = -1
            after = model(target, Condition(TEXT[:1], *grids))
            assert float((after - before).abs().max()) > 1e-6


@torch.no_grad()
def test_frames_beyond_the_time_table_share_its_last_row() -> None:
    model = lively()
    target, condition = tokens(1, 1), Condition(TEXT[:1])
    at = [model(target, condition, time_offset=offset) for offset in (0, 2, 3, 50)]
    assert float((at[0] - at[1]).abs().max()) > 1e-3
    torch.testing.assert_close(at[1], at[2])
    torch.testing.assert_close(at[1], at[3])


def test_shapes_that_do_not_fit_are_refused() -> None:
    model = lively()
    with pytest.raises(UsageError, match="one condition per sample"):
        model(tokens(2, 1), Condition(TEXT[:1]))
    with pytest.raises(UsageError, match="layout"):
        model(tokens(1, 2), Condition(TEXT[:1], layout=torch.zeros(1, 1, 4, 4).long()))
    with pytest.raises(UsageError, match="1x5x4"):
        model(torch.zeros(1, 1, 5, 4).long(), Condition(TEXT[:1]))
    with pytest.raises(UsageError, match="78 tokens"):
        model(tokens(1, 1), Condition(torch.ones(1, 78).long()))


@pytest.mark.parametrize("is_autocast", [False, True], ids=["float32", "bfloat16"])
def test_it_learns_one_batch_by_heart(is_autocast: bool) -> None:
    torch.manual_seed(1)
    model = Nuwa(CONFIG)
    target, condition = tokens(2, 2), Condition(TEXT)
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    losses = []
    for _ in range(60):
        with torch.autocast("cpu", torch.bfloat16, enabled=is_autocast):
            logits = model(target, condition)
        loss = F.cross_entropy(logits.float().flatten(0, 3), target.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    assert abs(losses[0] - 4.16) < 0.1  # ln 64: the first guess is uniform
    assert losses[-1] < 0.3


def test_every_parameter_gets_a_gradient() -> None:
    model = lively()
    sketch = torch.randint(-1, CONFIG.sketch_vocab, (1, 1, 4, 4))
    canvas = torch.randint(-1, CONFIG.visual_vocab, (1, 1, 4, 4))
    canvas[0, 0, 1:3, 1:3] = -1  # at least one hole, and something known around it
    canvas[0, 0, 0] = canvas[0, 0, :, 0] = 3
    layout = torch.randint(LAYOUT_VOCAB, (1, 3, 4, 4))
    pixels = torch.rand(1, 4, 16, 16, dtype=torch.float64)
    condition = cat_conditions(
        [Condition(TEXT[:1], sketch, canvas, layout, pixels), Condition(TEXT).null()]
    )
    bins = torch.randint(BINS, (3, NUM_SLOTS))
    planned = model.planner(model.encode(condition).pooled, bins, is_clip=True)
    (model(tokens(3, 3), condition).sin().sum() + planned.sin().sum()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.any()), name


@torch.no_grad()
def test_autocast_is_close_to_float32() -> None:
    torch.manual_seed(2)
    model = Nuwa(CONFIG)
    target, condition = tokens(1, 2), Condition(TEXT[:1])
    exact = model(target, condition)
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(target, condition)
    assert rough.dtype == torch.bfloat16
    assert float((rough - exact).abs().max()) < 0.02 * float(exact.abs().max()) + 0.01


@pytest.mark.parametrize("backend", ["matmul", "sdpa", "reference"])
def test_training_goes_on_after_sampling(backend: Backend) -> None:
    """Tables kept from a pass in inference mode must not get in the way of a backward pass."""
    model = Nuwa(dataclasses.replace(CONFIG, grid_height=7), backend=backend)
    target = torch.randint(0, CONFIG.visual_vocab, (1, 1, 7, 3))
    condition = Condition(TEXT[:1], sketch=torch.zeros_like(target))
    with torch.inference_mode():
        model(target, condition)
    model(target, condition).sum().backward()
    assert model.head.weight.grad is not None
