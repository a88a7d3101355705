"""Generation: streaming, constant memory, batches, known tokens, refusals."""

from __future__ import annotations

import dataclasses
import gc

import pytest
import torch

from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.model.condition import Condition
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape
from nuwa_cli.presets import get_preset
from nuwa_cli.sampling.decode import decode_waves, generate, generate_tokens
from nuwa_cli.sampling.events import Progress

CONFIG = get_preset("test").transformer
TEXT = torch.tensor([[7, 8, 9, 0], [5, 0, 0, 0], [0, 0, 0, 0]])
GRID = GridShape(3, 4, 4)


@pytest.fixture(scope="module")
def model() -> Nuwa:
    torch.manual_seed(0)
    model = Nuwa(CONFIG).bfloat16()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize("together", [1, 2, 3])
def test_an_item_alone_is_that_item_in_a_batch(model: Nuwa, guidance: float, together: int) -> None:
    """In bfloat16, where products of other row counts round differently."""
    sampling = SamplingConfig(seed=11, guidance_scale=guidance, top_k=40, top_p=0.95)
    batch = generate_tokens(model, Condition(TEXT), GRID, sampling, together=together)
    for item in range(3):
        alone = generate_tokens(
            model,
            Condition(TEXT[item : item + 1]),
            GRID,
            dataclasses.replace(sampling, seed=11 + item),
        )
        assert torch.equal(alone[0], batch[item])
    assert not torch.equal(batch[0], batch[1])


def test_the_same_seed_gives_the_same_tokens(model: Nuwa) -> None:
    condition = Condition(TEXT[:1])
    first, again, other = (
        generate_tokens(model, condition, GRID, SamplingConfig(), seeds=[seed])
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_known_tokens_are_kept(model: Nuwa) -> None:
    known = torch.full((2, *GRID.sides), -1)
    known[0, 0] = 5  # a whole first frame
    known[1, :, 2:] = 9  # the lower half
    tokens = generate_tokens(model, Condition(TEXT[:2]), GRID, SamplingConfig(), known_tokens=known)
    assert torch.equal(tokens[known >= 0], known[known >= 0])
    assert bool((tokens >= 0).all())


def test_frames_arrive_while_the_rest_is_still_to_do(model: Nuwa) -> None:
    events: list[Progress] = []
    frames = generate(model, Condition(TEXT[:2]), GRID, SamplingConfig(), on_event=events.append)
    first = next(frames)
    assert (first.sample, first.index, first.tokens.shape) == (0, 0, (4, 4))
    assert len(events) == 9  # of 18 steps: the tenth completes the frame
    assert events[0].num_steps == 36
    rest = [(frame.sample, frame.index) for frame in frames]
    assert rest == [(0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert events[-1].fraction == 1.0
    assert not torch.is_inference_mode_enabled()


def test_200_frames_need_no_more_memory_than_20() -> None:
    torch.manual_seed(1)
    config = dataclasses.replace(CONFIG, dim=16, encoder_layers=1, decoder_layers=2, max_frames=5)
    tiny = Nuwa(config).double()
    for parameter in tiny.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    grid = GridShape(200, 2, 3)
    condition = Condition(TEXT[:1])
    frames, logits, held = [], [], {}
    for wave in decode_waves(tiny, condition, grid, SamplingConfig(), seed=4):
        newest = int(wave.coords[:, 0].max())
        if newest in (20, 199) and newest not in held:
            held[newest] = live_tensor_bytes() - sum(x.numel() * 8 for x in (*frames, *logits))
        frames.append(torch.cat((wave.coords, wave.tokens[:, None]), dim=1))
        logits.append(wave.logits)
    assert held[199] == pytest.approx(held[20], abs=2000)
    tokens = torch.empty(grid.sides, dtype=torch.int64)
    decoded = torch.empty((*grid.sides, config.visual_vocab), dtype=torch.float64)
    for places, values in zip(frames, logits, strict=True):
        frame, row, column, token = places.unbind(dim=1)
        tokens[frame, row, column] = token
        decoded[frame, row, column] = values
    with torch.no_grad():
        full = tiny(tokens[None], condition)[0]
    assert float((full - decoded).abs().max()) < 1e-10


def live_tensor_bytes() -> int:
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if type(thing) is torch.Tensor]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    return sum(storage.nbytes() for storage in storages.values())


def test_shapes_that_do_not_fit_are_refused(model: Nuwa) -> None:
    condition = Condition(TEXT)
    with pytest.raises(UsageError, match="2 seeds for 3"):
        next(generate(model, condition, GRID, SamplingConfig(), seeds=[1, 2]))
    known = torch.full((3, 2, 4, 4), -1)
    with pytest.raises(UsageError, match="known tokens"):
        next(generate(model, condition, GRID, SamplingConfig(), known_tokens=known))
