"""From finished runs to a model folder that every command can load."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from nuwa_cli.config import SamplingConfig, VQGANConfig
from nuwa_cli.errors import InputError
from nuwa_cli.hub.card import Provenance, model_card
from nuwa_cli.hub.model_dir import ModelConfig, save_model
from nuwa_cli.model.dual_encoder import DualEncoder
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.training.checkpoint import latest_checkpoint
from nuwa_cli.training.recipe import TrainRecipe


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
