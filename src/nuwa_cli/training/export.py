"""From finished runs to a model folder that every command can load."""

from __future__ import annotations

import json
from pathlib import Path

from torch import Tensor

from nuwa_cli.config import SamplingConfig, VQGANConfig
from nuwa_cli.errors import InputError
from nuwa_cli.hub.card import Provenance, model_card
from nuwa_cli.hub.manifest import RERANKER_NAME, parse_json, read_file
from nuwa_cli.hub.model_dir import ModelConfig, save_model
from nuwa_cli.hub.safetensors_file import check_fit, tensors_from_bytes, tensors_to_bytes
from nuwa_cli.media.atomic import write_bytes
from nuwa_cli.model.dual_encoder import DualEncoder, DualEncoderConfig
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.training.checkpoint import latest_checkpoint
from nuwa_cli.training.recipe import TrainRecipe

_RERANKER_RECORD = "reranker.json"
_MAX_RECORD = 1 << 16
_MAX_WEIGHTS = 1 << 28


def averaged_weights(run_dir: Path, module: str) -> tuple[dict[str, Tensor], TrainRecipe, int]:
    """Averaged weights of `module` in the newest checkpoint, its recipe and its step.

    Raises InputError when the run has no valid checkpoint or no such module.
    """
    found, _ = latest_checkpoint(run_dir)
    prefix = f"average.{module}."
    if found is None:
        raise InputError(f"run '{run_dir}': no checkpoint; train it first with `nuwa train`")
    tensors, state = found
    weights = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    if not weights:
        raise InputError(f"run '{run_dir}': holds no '{module}'; give the run of that stage")
    return weights, TrainRecipe.from_dict(state["recipe"]), int(state["step"])


def load_trained_tokenizer(run_dir: Path, config: VQGANConfig) -> VQGAN:
    """The averaged VQ-GAN of a tokenizer run, float32."""
    weights, _, _ = averaged_weights(run_dir, "vqgan")
    vqgan = VQGAN(config)
    vqgan.load_state_dict(weights, strict=True)
    return vqgan


def export_model(
    tokenizer_run: Path,
    model_run: Path,
    folder: Path,
    *,
    defaults: SamplingConfig,
    best_of: int = 1,
    reranker: DualEncoder | None = None,
) -> str:
    """Write the averaged weights of two finished runs as the model folder `folder`.

    Returns the digest of the folder. Raises InputError when a run is missing, or when the two do
    not belong to the same preset.
    """
    weights, tokenizer_recipe, tokenizer_steps = averaged_weights(tokenizer_run, "vqgan")
    nuwa_weights, recipe, model_steps = averaged_weights(model_run, "nuwa")
    if recipe.preset != tokenizer_recipe.preset:
        raise InputError(
            f"run '{model_run}': preset {recipe.preset}, but the tokenizer's is "
            f"{tokenizer_recipe.preset}; give runs that belong together"
        )
    preset = get_preset(recipe.preset)
    vqgan, nuwa = VQGAN(preset.tokenizer), Nuwa(preset.transformer)
    vqgan.load_state_dict(weights, strict=True)
    nuwa.load_state_dict(nuwa_weights, strict=True)
    config = ModelConfig(
        name=folder.name,
        tokenizer=preset.tokenizer,
        transformer=preset.transformer,
        reranker=reranker.config if reranker else None,
        num_frames=preset.num_frames,
        fps=preset.fps,
        defaults=defaults,
        best_of=best_of,
    )
    nets = {"VQ-GAN": vqgan, "transformer": nuwa, "re-ranker": reranker}
    card = model_card(
        config,
        Provenance(
            tokenizer_steps=tokenizer_steps,
            tokenizer_pictures=tokenizer_steps * tokenizer_recipe.batch_size,
            model_steps=model_steps,
            world=recipe.world,
            num_parameters={
                name: sum(p.numel() for p in net.parameters()) for name, net in nets.items() if net
            },
        ),
    )
    return save_model(
        folder,
        config=config,
        tokenizer=vqgan,
        transformer=nuwa,
        text_json=model_run / "text.json",
        reranker=reranker,
        card=card,
    )


def save_reranker(reranker: DualEncoder, figures: dict[str, float], run_dir: Path) -> None:
    """Put a trained re-ranker, its config and its figures into its run folder."""
    record = {"config": reranker.config.to_dict(), "figures": figures}
    write_bytes(run_dir / RERANKER_NAME, tensors_to_bytes(reranker), force=True)
    write_bytes(run_dir / _RERANKER_RECORD, json.dumps(record, indent=1).encode(), force=True)


def load_reranker(run_dir: Path) -> DualEncoder:
    """Read what `save_reranker` wrote. Raises InputError when it is missing or damaged."""
    record_path, path = run_dir / _RERANKER_RECORD, run_dir / RERANKER_NAME
    record = parse_json(read_file(record_path, max_bytes=_MAX_RECORD), record_path)
    reranker = DualEncoder(DualEncoderConfig.from_dict(record["config"]))
    tensors = tensors_from_bytes(read_file(path, max_bytes=_MAX_WEIGHTS), path)
    check_fit(reranker, tensors, path)
    reranker.load_state_dict(tensors, strict=True)
    return reranker
