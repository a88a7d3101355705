"""Prompts and plans: what is refused, and what a task asks of the model."""

from __future__ import annotations

import pytest

from nuwa_cli.errors import UsageError
from nuwa_cli.presets import get_preset
from nuwa_cli.tasks.prompt import MAX_PROMPT_CHARACTERS, check_prompt
from nuwa_cli.tasks.registry import TASKS
from nuwa_cli.tokenizer.text import TextTokenizer

CONFIG = get_preset("test").transformer


@pytest.fixture(scope="module")
def text() -> TextTokenizer:
    return TextTokenizer.train(["a dog on the beach"], CONFIG.text_vocab)


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


def test_text_to_image(text: TextTokenizer) -> None:
    plan = TASKS["t2i"].load_planner()("a dog", text, CONFIG)
    assert plan.grid.sides == (1, CONFIG.grid_height, CONFIG.grid_width)
    assert (plan.task, plan.kind) == ("t2i", "image")
    assert plan.text.shape == (1, CONFIG.max_text_len)
    assert plan.text[0, : len(text.encode("a dog"))].tolist() == text.encode("a dog")
    assert plan.known_tokens is None


def test_text_to_video(text: TextTokenizer) -> None:
    plan_clip = TASKS["t2v"].load_planner()
    assert plan_clip("a dog", text, CONFIG, num_frames=7).grid.frames == 7
    for frames in (0, -1, 10**6):
        with pytest.raises(UsageError, match=f"frames '{frames}'"):
            plan_clip("a dog", text, CONFIG, num_frames=frames)


def test_registry_names_its_tasks(text: TextTokenizer) -> None:
    for name, task in TASKS.items():
        length = {"num_frames": 2} if task.kind == "video" else {}
        plan = task.load_planner()("a dog", text, CONFIG, **length)
        assert (name, plan.task, plan.kind) == (task.name, task.name, task.kind)
