"""Prompts and plans: what is refused, and what each task asks of the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.presets import get_preset
from nuwa_cli.tasks.inputs import Mask, TaskInputs
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.prompt import MAX_PROMPT_CHARACTERS, check_prompt
from nuwa_cli.tasks.registry import TASKS
from nuwa_cli.tasks.toolkit import Toolkit
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg

PRESET = get_preset("test")
CONFIG = PRESET.transformer
SIZE = PRESET.tokenizer.image_size
CELL = SIZE // CONFIG.grid_height


@pytest.fixture(scope="module")
def toolkit() -> Toolkit:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        vqgan = VQGAN(PRESET.tokenizer).eval()
        torch.manual_seed(1)  # random nets see two classes as one with some seeds
        return Toolkit(
            text=TextTokenizer.train(["a dog on the beach"], CONFIG.text_vocab),
            vqgan=vqgan,
            vqgan_seg=VQGANSeg(PRESET.sketch_tokenizer).eval(),
            config=CONFIG,
        )


Planner = Callable[..., Plan]


@pytest.fixture
def plan(toolkit: Toolkit) -> Planner:
    def make(task: str, *, kit: Toolkit = toolkit, **inputs: Any) -> Plan:
        planned: Plan = TASKS[task].load_planner()(TaskInputs(**inputs), kit)
        return planned

    return make


def frames(count: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def region(top: int, bottom: int, left: int, right: int, count: int = 1) -> Mask:
    mask = np.zeros((count, SIZE, SIZE), dtype=np.bool_)
    mask[:, top:bottom, left:right] = True
    return mask


@pytest.mark.parametrize(
    "prompt",
    ["", "  \n\t", "\u0301\u0301", "...", "\u200b", "a\udcff", "x" * (MAX_PROMPT_CHARACTERS + 1)],
)
def test_prompts_that_say_nothing(prompt: str) -> None:
    with pytest.raises(UsageError, match="prompt"):
        check_prompt(prompt)


@pytest.mark.parametrize(
    "prompt", ["a", "马", "🐎", "--force", "{0} %s $(x)", "👩‍👩‍👧", "שלום", "3"]
)
def test_prompts_that_say_something(prompt: str) -> None:
    assert check_prompt(f" {prompt}\n") == prompt


def test_text_to_image(plan: Planner, toolkit: Toolkit) -> None:
    planned = plan("t2i", prompt="a dog")
    assert planned.grid.sides == (1, CONFIG.grid_height, CONFIG.grid_width)
    assert planned.text.shape == (1, CONFIG.max_text_len)
    tokens = toolkit.text.encode("a dog")
    assert planned.text[0, : len(tokens)].tolist() == tokens
    assert planned.known_tokens is None
    assert planned.layout_frames == 1


def test_text_to_video(plan: Planner) -> None:
    planned = plan("t2v", prompt="a dog", num_frames=7)
    assert planned.grid.frames == 7
    assert planned.layout_frames == CONFIG.clip_frames
    for count in (None, 0, -1, 10**6):
        with pytest.raises(UsageError, match=f"frames '{count}'"):
            plan("t2v", prompt="a dog", num_frames=count)


@pytest.mark.parametrize("task", ["t2i", "t2v", "edit", "vedit"])
def test_tasks_that_need_words(task: str, plan: Planner) -> None:
    given = {"frames": frames(2), "region": region(0, 8, 0, 8), "num_frames": 2}
    with pytest.raises(UsageError, match="prompt ''"):
        plan(task, **given)


def test_sketches_follow_their_classes(plan: Planner) -> None:
    sketch = np.zeros((3, SIZE, SIZE), dtype=np.uint8)
    sketch[1:, : SIZE // 2] = 5
    picture, clip = (plan(task, sketch=sketch) for task in ("sketch2img", "sketch2vid"))
    side = PRESET.sketch_tokenizer.grid_size
    assert picture.sketch is not None and clip.sketch is not None
    assert picture.sketch.shape == (1, 1, side, side)
    assert clip.sketch.shape == (1, 3, side, side)
    assert (picture.grid.frames, clip.grid.frames) == (1, 3)
    assert torch.equal(picture.sketch[0, 0], clip.sketch[0, 0])
    assert not torch.equal(clip.sketch[0, 0], clip.sketch[0, 1])
    assert not picture.text.any() and picture.has_condition
    assert plan("sketch2img", sketch=sketch, prompt="a dog").text.any()
    with pytest.raises(UsageError, match="sketch"):
        plan("sketch2vid")


def test_a_model_without_sketches(plan: Planner, toolkit: Toolkit) -> None:
    bare = Toolkit(text=toolkit.text, vqgan=toolkit.vqgan, vqgan_seg=None, config=CONFIG)
    with pytest.raises(InputError, match=r"cannot read sketches; choose another"):
        plan("sketch2img", kit=bare, sketch=np.zeros((1, 8, 8), dtype=np.uint8))


def test_prediction_begins_with_what_is_given(plan: Planner, toolkit: Toolkit) -> None:
    given = frames(2)
    planned = plan("predict", frames=given, num_frames=5)
    known = planned.known_tokens
    assert known is not None
    assert known.shape == (1, *planned.grid.sides)
    assert planned.grid.frames == 5
    assert torch.equal(known[:, :2], toolkit.picture_tokens(given))
    assert (known[:, 2:] == -1).all()
    assert not planned.text.any()
    for count in (1, 2):
        with pytest.raises(UsageError, match=rf"frames '{count}'.*at least 3"):
            plan("predict", frames=given, num_frames=count)
    with pytest.raises(UsageError, match="picture or clip"):
        plan("predict", num_frames=3)


@pytest.mark.parametrize("task", ["inpaint", "edit"])
def test_cells_that_the_region_touches_are_unknown(task: str, plan: Planner) -> None:
    """One pixel is enough; all others are known."""
    hole = region(CELL - 1, CELL + 1, CELL, 2 * CELL)  # of two rows of cells, one column
    picture = frames(1)
    planned = plan(task, prompt="a dog", frames=picture, region=hole)
    assert planned.known_tokens is not None
    expected = torch.ones(CONFIG.grid_height, CONFIG.grid_width, dtype=torch.bool)
    expected[0:2, 1] = False
    assert torch.equal(planned.known_tokens[0, 0] >= 0, expected)
    assert planned.focus == pytest.approx((1.5 / 4, 1 / 4, 1 / 4, 2 / SIZE))
    assert planned.task == task


def test_what_stood_in_the_hole_does_not_show_in_the_tokens_around(
    plan: Planner, toolkit: Toolkit
) -> None:
    hole = region(0, SIZE, 0, SIZE // 2)
    known, raw = [], []
    for level in (0, 255):
        picture = frames(1)
        picture[hole] = level
        planned = plan("inpaint", frames=picture, region=hole)
        assert planned.known_tokens is not None
        known.append(planned.known_tokens)
        raw.append(toolkit.picture_tokens(picture))
    assert torch.equal(known[0], known[1])
    outside = known[0] >= 0
    assert not torch.equal(raw[0][outside], raw[1][outside])  # it would, left as it is


@pytest.mark.parametrize("task", ["inpaint", "edit", "vedit"])
def test_the_completion_engine_sees_three_perspectives(task: str, plan: Planner) -> None:
    """Tokens and low-level pixels of what is intact, and the text; the other engine known tokens only.
    None of it depends on what the hole holds."""
    hole = region(0, SIZE, 0, SIZE // 2)
    planned = []
    for level in (0, 255):
        picture = frames(2)
        picture[:, :SIZE, : SIZE // 2] = level
        planned.append(plan(task, prompt="a dog", frames=picture, region=hole))
    one, other = planned
    assert one.canvas is not None and one.pixels is not None
    assert torch.equal(one.canvas, one.known_tokens)
    assert torch.equal(one.canvas, other.canvas) and torch.equal(one.pixels, other.pixels)
    side = 4 * CONFIG.grid_height
    assert one.pixels.shape == (1, 4, side, side)
    assert not one.pixels[..., : side // 2].any() and (one.pixels[:, 3, :, side // 2 :] == 1).all()
    assert one.text.any()
    raster = plan(task, prompt="a dog", frames=frames(2), region=hole, engine="nuwa")
    assert raster.canvas is None and raster.pixels is None and raster.known_tokens is not None


def test_a_subject_may_be_half_shown_to_be_completed_but_not_to_be_painted(plan: Planner) -> None:
    given = {"prompt": "a dog", "frames": frames(1), "region": region(0, 8, 0, 8)}
    assert plan("inpaint", **given).may_be_shown
    assert not plan("edit", **given).may_be_shown


def test_places_that_the_model_knows_by_name(toolkit: Toolkit) -> None:
    places = toolkit.place_tokens()
    assert places is not None
    told = {toolkit.text.decode(place[place > 0].tolist()) for place in places}
    assert told == {"a beach"}  # of all places the only one in "a dog on the beach"


def test_what_pictures_without_words_are_read_for(plan: Planner) -> None:
    hole = {"frames": frames(1), "region": region(0, 8, 0, 8)}
    assert plan("inpaint", **hole).unsaid == "place"
    assert plan("inpaint", **hole, engine="nuwa").unsaid is None
    assert plan("predict", frames=frames(1), num_frames=3).unsaid == "scene"


def test_completion_without_words(plan: Planner) -> None:
    given = {"frames": frames(1), "region": region(0, 8, 0, 8)}
    planned = plan("inpaint", **given)
    assert planned.layout_frames == 0 and planned.has_condition  # guided by what is intact
    assert not plan("inpaint", **given, engine="nuwa").has_condition
    with pytest.raises(UsageError, match="nothing is to be repainted"):
        plan("inpaint", frames=frames(1), region=region(0, 0, 0, 0))
    with pytest.raises(UsageError, match="picture: none is given"):
        plan("inpaint", region=region(0, 8, 0, 8))


def test_video_editing_keeps_frames_or_what_lies_outside(plan: Planner, toolkit: Toolkit) -> None:
    given = frames(3)
    moved = plan("vedit", prompt="a dog", frames=given, known_frames=1)
    assert moved.known_tokens is not None
    assert torch.equal(moved.known_tokens[:, :1], toolkit.picture_tokens(given[:1]))
    assert (moved.known_tokens[:, 1:] == -1).all()
    assert moved.focus is None
    hole = region(0, SIZE, 0, SIZE // 2)
    both = plan("vedit", prompt="a dog", frames=given, known_frames=1, region=hole)
    assert both.known_tokens is not None
    assert torch.equal(both.known_tokens[:, :1], moved.known_tokens[:, :1])
    half = CONFIG.grid_width // 2
    assert (both.known_tokens[:, 1:, :, :half] == -1).all()
    assert (both.known_tokens[:, 1:, :, half:] >= 0).all()
    assert both.focus == (0.25, 0.5, 0.5, 1.0)


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"known_frames": 0}, "nothing of the clip would stay"),
        ({"known_frames": 3}, r"keep-first '3': the clip has 3 frames; give 0 … 2"),
        ({"known_frames": -1}, "keep-first '-1'"),
        ({"known_frames": 2, "region": region(0, 0, 0, 0)}, "nothing is to be repainted"),
    ],
)
def test_video_edits_without_sense(inputs: dict[str, Any], why: str, plan: Planner) -> None:
    with pytest.raises(UsageError, match=why):
        plan("vedit", prompt="a dog", frames=frames(3), **inputs)


def test_a_region_in_kept_frames_only(plan: Planner) -> None:
    hole = region(0, 8, 0, 8, count=3)
    hole[1:] = False
    with pytest.raises(UsageError, match="kept frames only"):
        plan("vedit", prompt="a dog", frames=frames(3), region=hole, known_frames=1)


def test_frames_of_another_size(plan: Planner) -> None:
    with pytest.raises(UsageError, match=r"8x8 pixels: the model draws 32x32"):
        plan("predict", frames=np.zeros((1, 8, 8, 3), dtype=np.uint8), num_frames=3)


def test_registry_names_its_tasks(plan: Planner) -> None:
    given = {
        "prompt": "a dog",
        "frames": frames(2),
        "sketch": np.zeros((2, SIZE, SIZE), dtype=np.uint8),
        "region": region(0, 8, 0, 8),
        "num_frames": 4,
    }
    for name, task in TASKS.items():
        planned = plan(name, **given)
        assert (name, planned.task, planned.kind) == (task.name, task.name, task.kind)
        assert (planned.grid.frames == 1) == (task.kind == "image")
