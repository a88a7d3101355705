"""Recipes in every format: what is written is read back, whatever the prompt; nothing is left without one;
foreign and damaged texts give no recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import (
    MAX_TEXT,
    RECIPE_SCHEMA,
    exif_block,
    frame_recipe,
    has_traces,
    parse_recipe,
    recipe_text,
)
from nuwa_cli.media.probe import probe, probe_container
from nuwa_cli.media.token_chunk import pack_tokens
from nuwa_cli.media.video import write_video

PICTURES = ("png", "jpg", "webp")
CLIPS = ("mp4", "webm", "gif", "webp", "apng")
FILES = [*(f"i.{suffix}" for suffix in PICTURES), *(f"c.{suffix}" for suffix in CLIPS)]
FRAMES = np.zeros((2, 16, 16, 3), dtype=np.uint8)
FRAMES[1, 4:8, 4:8] = 200

# Every text that can be a prompt: lone surrogates are refused before any work.
prompts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def recipe_of(**more: Any) -> dict[str, Any]:
    return {"schema": RECIPE_SCHEMA, "version": "1", "command": "t2v", "prompt": '在 "草"', **more}


def write(path: Path, recipe: dict[str, Any] | None) -> Path:
    path.unlink(missing_ok=True)
    if path.name.startswith("i."):
        write_image(path, FRAMES[0], recipe)
    else:
        write_video(path, FRAMES, 6, recipe)
    return path


def read(path: Path) -> Any:
    """Without the child process that looks at containers for everybody else."""
    is_container = path.suffix in (".mp4", ".webm")
    return (probe_container(path) if is_container else probe(path))["recipe"]


@pytest.mark.parametrize("name", FILES)
def test_any_prompt_comes_back(tmp_path: Path, name: str) -> None:
    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(prompt=prompts, seed=st.integers(0, 2**63 - 1))
    def check(prompt: str, seed: int) -> None:
        recipe = recipe_of(prompt=prompt, seed=seed)
        assert read(write(tmp_path / name, recipe)) == recipe

    check()


@given(prompt=prompts, name=st.text(max_size=20))
def test_any_text_is_canonical_and_valid(prompt: str, name: str) -> None:
    """The text of a recipe is UTF-8 even where the name of an input is not, and equal for equals."""
    recipe = recipe_of(prompt=prompt, inputs=[{"name": name}])
    text = recipe_text(recipe)
    assert text == recipe_text(dict(reversed(recipe.items())))
    assert parse_recipe(text.encode("utf-8")) == json.loads(json.dumps(recipe))


@pytest.mark.parametrize("name", FILES)
def test_names_of_inputs_need_not_be_text(tmp_path: Path, name: str) -> None:
    recipe = recipe_of(inputs=[{"name": "odd\udcff.png"}])
    assert read(write(tmp_path / name, recipe)) == recipe


@pytest.mark.parametrize("name", FILES)
def test_long_recipes_are_whole(tmp_path: Path, name: str) -> None:
    """Longer than a block of a JPEG's metadata can be, and than the text of a prompt ever is."""
    for size in (65_400, 65_600, 200_000):
        recipe = recipe_of(prompt="x" * size, segments=["图"])
        assert read(write(tmp_path / name, recipe)) == recipe, size
    with_image = Image.open(tmp_path / name) if name.endswith((".jpg", "i.png")) else None
    if with_image is not None:
        with with_image as picture:
            assert np.asarray(picture.convert("RGB")).shape == (16, 16, 3)


@pytest.mark.parametrize("size", range(65_440, 65_530, 8))
def test_every_length_around_the_limit_of_a_block(tmp_path: Path, size: int) -> None:
    recipe = recipe_of(prompt="x" * (size - len(exif_block(recipe_of(prompt="")))))
    assert read(write(tmp_path / "i.jpg", recipe)) == recipe


@pytest.mark.parametrize("name", FILES)
def test_without_a_recipe_nothing_tells_of_us(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, None)
    content = path.read_bytes()
    assert read(path) is None
    assert b"nuwa" not in content
    assert b"DigitalSourceType" not in content
    assert not has_traces(content)
    if path.suffix in (".mp4", ".webm"):
        with av.open(str(path)) as container:
            said = list(container.metadata.values())
        assert not [text for text in said if "20" in text and ":" in text]  # no date
    else:
        with Image.open(path) as picture:
            assert not {"exif", "xmp", "comment", "XML:com.adobe.xmp"} & set(picture.info)


def test_a_sequence_carries_its_recipe_in_every_frame(tmp_path: Path) -> None:
    packed = pack_tokens(np.arange(8).reshape(2, 2, 2))
    recipe = recipe_of(tokens=packed)
    write_video(tmp_path / "f%02d.png", FRAMES, 6, recipe)
    first, second = (read(tmp_path / f"f{index:02d}.png") for index in range(2))
    assert first == {**recipe, "frame": 0}
    assert second == {**recipe_of(), "frame": 1}  # one copy of the tokens is enough
    assert frame_recipe(None, 3) is None


def test_clips_repeat_all_but_the_tokens_for_other_programs(tmp_path: Path) -> None:
    recipe = recipe_of(tokens=pack_tokens(np.arange(8).reshape(2, 2, 2)))
    for suffix in ("mp4", "webm"):
        path = write(tmp_path / f"c.{suffix}", recipe)
        with av.open(str(path)) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
        assert json.loads(tags["nuwa"]) == recipe
        assert json.loads(tags["comment"]) == recipe_of()


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        "[]",
        "nuwa.recipe/1",
        '{"schema": "other/1"}',
        '{"schema": 3}',
        '{"schema": "nuwa.recipe/1", "x": NaN}',
        '{"schema": "nuwa.recipe/1", "x": Infinity}',
        '{"schema": "nuwa.recipe/1"',
        "{" * 100_000,
        b'{"schema": "nuwa.recipe/1", "x": "\xff"}',
        f'{{"schema": "nuwa.recipe/1", "x": {"9" * 5000}}}',
        recipe_text(recipe_of(prompt="x" * MAX_TEXT)),
        ("a tuple",),
    ],
)
def test_foreign_texts_are_no_recipes(text: Any) -> None:
    assert parse_recipe(text) is None


@settings(max_examples=200)
@given(st.data())
def test_a_changed_byte_gives_another_recipe_or_none_and_leaves_traces(data: st.DataObject) -> None:
    recipe = recipe_of(seed=7, digital_source_type="x", options={"top_k": 20})
    content = bytearray(recipe_text(recipe).encode())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    changed = parse_recipe(bytes(content))
    assert changed != recipe
    assert has_traces(b"..." + bytes(content) + b"...")
