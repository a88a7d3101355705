"""`nuwa models convert`: the same model in another number format."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nuwa_cli.hub.convert import convert_model
from nuwa_cli.hub.manifest import TEXT_NAME, read_manifest
from nuwa_cli.hub.model_dir import load_model, save_model

Run = Callable[..., Any]


def test_there_and_back_is_the_same_model(
    inside: Run, tiny: Run, model_folder: Path, work: Path
) -> None:
    words = ("--dtype", "float32", "-o", "wide", "--json")
    done = json.loads(inside("models", "convert", model_folder, *words).stdout)
    assert (done["folder"], done["dtype"]) == ("wide", "float32")
    assert done["sha256"] == read_manifest(work / "wide").digest
    assert inside("models", "verify", "wide").status == 0
    card = (work / "wide" / "README.md").read_text()
    assert f"converted to float32 from the model {read_manifest(model_folder).digest}" in card
    back = inside("models", "convert", "wide", "--dtype", "bfloat16", "-o", "back")
    assert back.stdout == "back\n"
    assert read_manifest(work / "back").digest == read_manifest(model_folder).digest

    assert tiny("t2i", "a dog", "-o", "a.png", "--no-metadata").status == 0
    assert inside("t2i", "a dog", "-o", "b.png", "--no-metadata", "--model", "wide").status == 0
    assert (work / "a.png").read_bytes() == (work / "b.png").read_bytes()


def test_what_is_in_the_way(inside: Run, model_folder: Path, work: Path) -> None:
    words = ("models", "convert", model_folder, "--dtype", "float16", "-o")
    inside(*words, model_folder).check_refusal(4, "choose another folder")
    (work / "file").write_text("mine")
    inside(*words, "file").check_refusal(4, "choose another folder")
    (work / "full").mkdir()
    (work / "full" / "mine").write_text("mine")
    inside(*words, "full").check_refusal(4, "--force")
    assert [path.name for path in (work / "full").iterdir()] == ["mine"]
    assert inside(*words, "full", "--force").status == 0
    assert (work / "full" / "mine").read_text() == "mine"


def test_numbers_too_large_for_the_format(inside: Run, model_folder: Path, work: Path) -> None:
    convert_model(model_folder, work / "large", torch.float32)
    model = load_model(work / "large")
    model.transformer.head.weight.data[0, 0] = 1e6
    save_model(
        work / "large",
        config=model.config,
        tokenizer=model.tokenizer,
        transformer=model.transformer,
        text_json=work / "large" / TEXT_NAME,
        card="",
        dtype=torch.float32,
    )
    done = inside("models", "convert", "large", "--dtype", "float16", "-o", "small")
    done.check_refusal(3, "transformer head.weight holds numbers above 65504")
    assert not (work / "small").exists()
