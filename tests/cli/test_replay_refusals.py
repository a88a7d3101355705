"""Changed, damaged and hostile recipes: a check ends with 7 or 3, in one line, and nothing is written where
a recipe says."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nuwa_cli
from nuwa_cli.cli.app import run
from nuwa_cli.cli.recipes.recall import argv_of, parameters_of
from nuwa_cli.errors import InputError
from nuwa_cli.media.image import write_image
from nuwa_cli.media.metadata import RECIPE_SCHEMA, recipe_text
from nuwa_cli.media.probe import probe
from nuwa_cli.media.reading import read_picture
from nuwa_cli.media.video import write_video

Run = Callable[..., Any]
CLIP = np.zeros((3, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def picture(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture as the tiny model makes it."""
    path = tmp_path_factory.mktemp("made") / "a.png"
    words = ["t2i", "a dog", "--seed", "3", "--top-k", "9", "--model", str(model_folder)]
    assert run([*words, "-o", str(path)]) == 0
    return path


@pytest.fixture
def made(picture: Path, work: Path) -> dict[str, Any]:
    """It lies in `a.png`; returns its recipe."""
    shutil.copy(picture, work / "a.png")
    recipe: dict[str, Any] = probe(work / "a.png")["recipe"]
    return recipe


def rewrite(work: Path, recipe: dict[str, Any] | None, name: str = "b.png") -> str:
    """The same pixels with another recipe."""
    write_image(work / name, read_picture(work / "a.png").pixels, recipe, force=True)
    return name


def test_a_copy_with_the_same_recipe_is_identical(
    tiny: Run, work: Path, made: dict[str, Any]
) -> None:
    assert tiny("replay", "--check", rewrite(work, made)).status == 0


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": "a cat"},
        {"seed": 4},
        {"version": "9.9"},
        {"torch": "0"},
        {"sample_seed": 1},
        {"command": "t2v"},
        {"command": "t2j"},
        {"more": 1},
        {"tokens": {}},
        {"options": {}},
        {"arguments": {"prompt": "a dog", "seed": 4, "top_k": 9}},
        {"arguments": {"prompt": "a dog", "seed": 3, "top_k": 8}},
        {"arguments": {"prompt": "a dog", "seed": 3, "uop_k": 9}},
        {"arguments": {"prompt": "a dog", "seed": -3}},
        {"arguments": {"prompt": "a dog", "seed": [3]}},
        {"arguments": {"prompt": "a dog", "seed": "x", "top_k": "y"}},
        {"arguments": {"prompt": {"x": 1}}},
        {"arguments": {}},
        {"arguments": []},
        {"model": {"name": "tiny", "sha256": "0" * 64}},
    ],
    ids=str,
)
def test_a_changed_recipe_differs(
    tiny: Run, work: Path, made: dict[str, Any], change: dict[str, Any]
) -> None:
    tiny("replay", "--check", rewrite(work, {**made, **change})).check_refusal(7, "b.png")


def test_what_differs_is_said(tiny: Run, work: Path, made: dict[str, Any]) -> None:
    arguments = {**made["arguments"], "seed": 4}
    done = tiny("replay", "--check", "--json", rewrite(work, {**made, "arguments": arguments}))
    assert done.status == 7
    (found,) = json.loads(done.stdout)["files"]
    assert found["psnr_db"] < 60 and not found["pixels_identical"]
    assert 0 <= found["tokens_equal"] < 1
    assert {"seed", "sample_seed"} <= set(found["recipe_differs"])
    assert f"{found['psnr_db']:.1f} dB, " in done.stderr
    assert " % of tokens equal, recipe differs in " in done.stderr
    done = tiny("replay", "--check", "--json", rewrite(work, {**made, "torch": "0"}))
    (found,) = json.loads(done.stdout)["files"]
    assert found["pixels_identical"] and found["tokens_equal"] == 1
    assert found["recipe_differs"] == ["torch"]
    assert "the same pixels, all of tokens equal, recipe differs in torch" in done.stderr


def test_one_changed_pixel_differs(tiny: Run, work: Path, made: dict[str, Any]) -> None:
    pixels = read_picture(work / "a.png").pixels.copy()
    pixels[3, 3, 0] ^= 1
    write_image(work / "b.png", pixels, made)
    tiny("replay", "--check", "b.png").check_refusal(7, "dB, all of tokens equal;")


def test_any_changed_byte_of_a_recipe_differs(tiny: Run, work: Path, made: dict[str, Any]) -> None:
    """In the file itself, where the checksum of a chunk may notice it, too."""
    content = (work / "a.png").read_bytes()
    start = content.index(b'{"arguments"')
    text = recipe_text(made).encode()
    assert content[start : start + len(text)] == text
    inputs_and_tokens = text.index(b'"tokens"')
    rng = random.Random(0)
    for place in rng.sample(range(inputs_and_tokens), 12):
        damaged = bytearray(content)
        damaged[start + place] ^= 1 << rng.randrange(7)
        (work / "b.png").write_bytes(damaged)
        done = tiny("replay", "--check", "b.png")
        assert done.status == 7, (
            place,
            bytes(damaged[start + place - 20 : start + place + 9]),
            done,
        )


@pytest.mark.parametrize("suffix", ["jpg", "webp", "gif", "mp4", "webm", "apng"])
def test_a_damaged_recipe_is_seen_in_every_format(inside: Run, work: Path, suffix: str) -> None:
    recipe = {"schema": RECIPE_SCHEMA, "command": "t2i", "prompt": "a dog", "seed": 1}
    if suffix == "jpg":
        write_image(work / "a.jpg", CLIP[0], recipe)
    else:
        write_video(work / f"a.{suffix}", CLIP, 6, recipe)
    content = (work / f"a.{suffix}").read_bytes()
    # Where it begins, so that no reader takes it for JSON any more (in every copy of it).
    (work / f"b.{suffix}").write_bytes(content.replace(b'{"command"', b'["command"'))
    inside("replay", "--check", f"b.{suffix}").check_refusal(7, "recipe is damaged")
    inside("replay", f"b.{suffix}").check_refusal(3, f"b.{suffix}")


def test_files_without_a_recipe(inside: Run, work: Path) -> None:
    write_image(work / "a.png", CLIP[0])
    inside("replay", "a.png").check_refusal(3, "carries no recipe")
    inside("replay", "--check", "a.png").check_refusal(3, "carries no recipe")
    (work / "b.png").write_bytes(b"no picture")
    inside("replay", "--check", "b.png").check_refusal(3, "b.png")
    inside("replay", "none.png").check_refusal(3, "no such file")
    inside("replay", "f/%02d.png").check_refusal(3, "no such frames")


def test_by_products_are_refused_not_doubted(tiny: Run, work: Path, made: dict[str, Any]) -> None:
    for change in ({"part": "sketch"}, {"command": "sheet"}):
        tiny("replay", "--check", rewrite(work, {**made, **change})).check_refusal(3, "its recipe")


def test_a_check_of_many_goes_on(tiny: Run, work: Path, made: dict[str, Any]) -> None:
    rewrite(work, {**made, "torch": "0"})
    rewrite(work, None, "c.png")
    done = tiny("replay", "--check", "b.png", "c.png", "a.png")
    assert (done.status, done.paths) == (7, ["a.png: identical"])
    lines = done.stderr.splitlines()
    assert len(lines) == 3
    assert "2 of 3 files could not be confirmed" in lines[-1]
    assert tiny("replay", "--check", "c.png", "a.png").status == 3


def test_another_model_is_named(tiny: Run, inside: Run, work: Path, made: dict[str, Any]) -> None:
    """Said at once by a check, noted otherwise; a model that is not there is asked for."""
    inside("replay", "a.png").check_refusal(3, "say where with --model")
    other = {**made["model"], "sha256": "0123456789abcdef" * 4}
    rewrite(work, {**made, "model": other})
    refused = tiny("replay", "--check", "b.png")
    refused.check_refusal(7, f"has sha256 {made['model']['sha256'][:12]}…")
    assert "made with 0123456789ab…" in refused.stderr
    done = tiny("replay", "b.png")
    assert done.status == 0
    assert "made with another model, sha256 0123456789ab…" in done.stderr


def test_another_version_is_noted(tiny: Run, work: Path, made: dict[str, Any]) -> None:
    done = tiny("replay", rewrite(work, {**made, "version": "0.0.1"}))
    assert done.status == 0
    assert f"made by nuwa 0.0.1, this is {nuwa_cli.__version__}" in done.stderr
    assert "made by nuwa" not in tiny("replay", "--quiet", "b.png", "-o", "c.png").stderr


def test_old_recipes_are_read_from_their_options(tiny: Run, work: Path) -> None:
    """As they were before arguments were recorded."""
    write_image(work / "p.png", np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8))
    cases = {
        "a": ("t2i", "a dog", "--top-p", "0.8"),
        "b": ("t2i", "a dog", "--size", "50x40"),
        "c": ("edit", "p.png", "a dog", "--box", "4,4,20,12", "--feather", "2", "--engine", "nuwa"),
        "d": ("extend", "p.png", "--right", "50%", "--up", "9", "--prompt-at", "5:the sea"),
    }
    for name, words in cases.items():
        assert tiny(*words, "-o", "a.png", "--force", "-q").status == 0
        recipe = probe(work / "a.png")["recipe"]
        later = ("arguments", "tokens")
        recipe = {key: value for key, value in recipe.items() if key not in later}
        old = rewrite(work, recipe, f"{name}.png")
        done = tiny("replay", old, "-o", f"{name}-again.png")
        assert done.status == 0, done
        assert "is an old one" in done.stderr
        again = read_picture(work / f"{name}-again.png").pixels
        assert (again == read_picture(work / "a.png").pixels).all()


HOSTILE: list[dict[str, Any]] = [
    {"arguments": {"prompt": "x", "output": "evil.png"}},
    {"arguments": {"prompt": "x", "force": True}},
    {"arguments": {"prompt": "x", "depfile": "evil.d"}},
    {"arguments": {"prompt": "x", "sheet": "evil.png"}},
    {"arguments": {"prompt": "x", "model": "owner/name"}},
    {"arguments": {"prompt": "x", "help": True}},
    {"arguments": {"prompt": ["x"] * 3}},
    {"arguments": {"prompt": None}},
    {"arguments": {"prompt": "x", "seed": {}}},
    {"arguments": 3},
    {"command": "train", "arguments": {}},
    {"command": "models", "arguments": {}},
    {"command": "info", "arguments": {"files": ["a.png"]}},
    {"command": "replay", "arguments": {}},
    {"command": "sheet", "arguments": {}},
    {"command": ["t2i"], "arguments": {}},
    {"command": {}, "arguments": {}},
    {"command": None},
    {"part": "sketch"},
    {"command": "edit", "arguments": {"image": "p.png", "prompt": "x", "mask_preview": "evil.png"}},
    {"command": "storybook", "arguments": {"seed": 1, "sketch": "evil.png"}},
]


@pytest.mark.parametrize("change", HOSTILE, ids=str)
def test_hostile_recipes_run_nothing(inside: Run, work: Path, change: dict[str, Any]) -> None:
    recipe = {"schema": RECIPE_SCHEMA, "command": "t2i", "prompt": "x", "seed": 1, **change}
    write_image(work / "a.png", CLIP[0], recipe)
    before = {path.name for path in work.iterdir()}
    inside("replay", "a.png").check_refusal(3, "its recipe")
    assert {path.name for path in work.iterdir()} == before
    assert inside("info", "a.png").status == 0
    assert inside("info", "--json", "a.png").status == 0


@pytest.mark.parametrize("name", ["/etc/passwd", "../p.png", "", ".", "..", "x\0y", "-", "a/b.png"])
def test_names_of_inputs_lead_nowhere(inside: Run, work: Path, name: str) -> None:
    recipe = {
        "schema": RECIPE_SCHEMA,
        "command": "edit",
        "seed": 1,
        "prompt": "x",
        "arguments": {"image": name, "prompt": "x", "seed": 1, "box": ["1,1,4,4"]},
        "inputs": [{"name": name, "sha256": "0" * 64}],
    }
    write_image(work / "a.png", CLIP[0], recipe)
    refused = inside("replay", "a.png")
    refused.check_refusal(3, "lies neither beside")


def test_hub_models_are_fetched_for_nobody(
    inside: Run, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A recipe cannot make nuwa talk to the network, whatever it calls its model."""
    from nuwa_cli.hub import fetch

    def never(spec: str) -> Path:
        raise AssertionError(spec)

    monkeypatch.setattr(fetch, "fetch_repository", never)
    for name in ("owner/name", "owner/name@main", "../x", "/etc", "x.pkl", ""):
        recipe = {
            "schema": RECIPE_SCHEMA,
            "command": "t2i",
            "prompt": "x",
            "seed": 1,
            "arguments": {"prompt": "x", "seed": 1},
            "model": {"name": name, "sha256": "0" * 64},
        }
        write_image(work / "a.png", CLIP[0], recipe, force=True)
        inside("replay", "a.png").check_refusal(3, "say where with --model")


def test_misuse(inside: Run, work: Path) -> None:
    inside("replay", "--check", "a.png", "-o", "b.png").check_refusal(2, "--check writes nothing")
    inside("replay", "a.png", "b.png", "-o", "c.png").check_refusal(2, "one name for 2 files")
    inside("replay", "a.png", "--seed", "x").check_refusal(2, "seed 'x'")
    inside("replay").check_refusal(2, "missing argument")
    assert not list(work.iterdir())


def test_every_command_with_a_recipe_can_be_spelled() -> None:
    """Of every command that leaves recipes, each recorded parameter has its place in a command line."""
    found = {name for name in ("t2i", "t2v", "storybook", "extend", "edit") if parameters_of(name)}
    assert found == {"t2i", "t2v", "storybook", "extend", "edit"}
    assert not parameters_of("train") and not parameters_of("info") and not parameters_of("replay")
    recipe = {
        "command": "storybook",
        "arguments": {"seed": 7, "held_out": True, "world": "core"},
    }
    words = argv_of(recipe, Path("a.png"), {}, Path("b.png"))
    assert words == [
        *("storybook", "--seed", "7", "--world", "core", "--held-out", "-o", "b.png"),
    ]
    with pytest.raises(InputError, match="does not take"):
        argv_of({**recipe, "arguments": {"sprites": "x"}}, Path("a.png"), {}, Path("b.png"))


def test_temporary_folders_go_away(
    tiny: Run, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any
) -> None:
    import tempfile

    assert made
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        (tmp_path / "tmp").mkdir()
        assert tiny("replay", "--check", "a.png").status == 0
        assert not list((tmp_path / "tmp").iterdir())
        shutil.rmtree(tmp_path / "tmp")
        tiny("replay", "--check", "a.png").check_refusal(5, "TMPDIR")
    assert [path.name for path in work.iterdir()] == ["a.png"]
