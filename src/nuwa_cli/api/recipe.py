"""The recipe of an output: everything that made it, as plain JSON (`media.metadata`)."""

from __future__ import annotations

from typing import Any

import torch

import nuwa_cli
from nuwa_cli.api.given import Given
from nuwa_cli.compositing.fitting import Fit
from nuwa_cli.compositing.shapes import bounds_of
from nuwa_cli.config import SamplingConfig
from nuwa_cli.media.metadata import RECIPE_SCHEMA, TRAINED, Recipe

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""What a trained model drew, together with pixels that were given."""


def make_recipe(
    task: str,
    prompt: str,
    given: Given,
    fit: Fit | None,
    settings: SamplingConfig,
    *,
    sample_seed: int,
    best_of: int,
    clip: tuple[int, float] | None,
    model: dict[str, str],
    device: str,
    dtype: str,
) -> Recipe:
    """The recipe of one output; `clip` is (frames, fps), None for a picture."""
    options: dict[str, Any] = {
        "temperature": settings.temperature,
        "top_k": settings.top_k,
        "top_p": settings.top_p,
        "guidance": settings.guidance_scale,
        "best_of": best_of,
    }
    if task == "extend":
        options |= place_options(settings)
    if clip is not None:
        options |= {"frames": clip[0], "fps": clip[1], "persistence": settings.persistence}
    if task == "vedit":
        options["keep_first"] = given.keep_first
    if given.masks is not None:
        options["engine"] = given.engine
    if fit is not None:
        options["fit"] = fit.mode
    recipe: Recipe = {
        "schema": RECIPE_SCHEMA,
        "version": nuwa_cli.__version__,
        "digital_source_type": TRAINED if given.frames is None else COMPOSITE,
        "command": task,
        "prompt": prompt,
        "seed": settings.seed,
        "sample_seed": sample_seed,
        "options": options,
        "model": model,
        "device": device,
        "dtype": dtype,
        "torch": torch.__version__,
    }
    if given.sources:
        recipe["inputs"] = list(given.sources)
    if fit is not None:
        recipe["window"] = list(fit.window)
    if given.masks is not None:
        left, top, right, bottom = bounds_of(given.masks)
        recipe["region"] = {
            **given.region,
            "bounds": [left, top, right - left, bottom - top],
            "share": round(float(given.masks.mean()), 4),
        }
    return recipe


def place_options(settings: SamplingConfig) -> dict[str, Any]:
    """What a recipe of something that grows tells of how places are drawn."""
    heat = settings.place_temperature
    return {} if heat is None else {"place_temperature": heat}
