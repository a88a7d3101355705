"""From finished runs to a model folder that every command can load."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from torch import Tensor

from nuwa_cli.config import SamplingConfig, VQGANConfig
from nuwa_cli.errors import InputError, UsageError
from nuwa_cli.hub.card import Provenance, model_card
from nuwa_cli.hub.manifest import MANIFEST_NAME, RERANKER_NAME, TEXT_NAME, parse_json, read_file
from nuwa_cli.hub.model_dir import ModelConfig, load_model, save_model
from nuwa_cli.hub.safetensors_file import check_fit, tensors_from_bytes, tensors_to_bytes
from nuwa_cli.media.atomic import write_bytes
from nuwa_cli.model.dual_encoder import DualEncoder, DualEncoderConfig
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.presets import get_preset
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg
from nuwa_cli.training.checkpoint import latest_checkpoint
from nuwa_cli.training.recipe import TrainRecipe

_RERANKER_RECORD = "reranker.json"
_SKIPS = "decoder.skips."
_MAX_RECORD = 1 << 16
_MAX_TEXT = 1 << 24
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


@dataclass(frozen=True)
class Share:
    """A finished run of the model, and how much its weights count."""

    run_dir: Path
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `runs/model` or `runs/model=0.75`. Raises UsageError."""
        folder, sign, number = text.rpartition("=")
        if not sign or Path(text).exists():
            return cls(Path(text))
        try:
            weight = float(number)
        except ValueError:
            weight = 0.0
        if not 0 < weight < math.inf:
            raise UsageError(f"model '{text}': '{number}' is no share; give RUN=0.75 or the like")
        return cls(Path(folder), weight)


def mixed_weights(shares: Sequence[Share]) -> tuple[dict[str, Tensor], TrainRecipe, str]:
    """Weights of one model from one run, or the weighted mean of several that have a beginning in common: often
    better than each of them ("model soups", Wortsman et al., 2203.05482). With them the recipe of the first, and
    what was trained, in words. Raises InputError as `averaged_weights`, and for runs that do not go together.
    """
    total = sum(share.weight for share in shares)
    mixed: dict[str, Tensor] = {}
    histories, recipes, texts = [], [], set()
    for share in shares:
        weights, recipe, steps = averaged_weights(share.run_dir, "nuwa")
        recipes.append(recipe)
        texts.add(read_file(share.run_dir / TEXT_NAME, max_bytes=_MAX_TEXT))
        if recipe.preset != recipes[0].preset or len(texts) > 1:
            raise InputError(
                f"run '{share.run_dir}': is of another preset or vocabulary than "
                f"'{shares[0].run_dir}'; give runs that began with the same model"
            )
        part = share.weight / total
        for name, value in weights.items():
            mixed[name] = mixed[name] + part * value if name in mixed else part * value
        history = f"{steps:,} steps of `{recipe.stage}` on `{recipe.world}`"
        histories.append(history if len(shares) == 1 else f"{part:.0%} {history}")
    return mixed, recipes[0], " + ".join(histories)


def load_trained_tokenizer(source: Path, config: VQGANConfig) -> VQGAN:
    """The VQ-GAN of a tokenizer run (its averaged weights) or of a model folder, float32.

    One that was trained without skips also serves a config with them (`intact_skips`): they begin
    without effect. Raises InputError when there is none, or when it is not of `config`.
    """
    if _is_model(source):
        weights = load_model(source).tokenizer.state_dict()
        kind = "model"
    else:
        weights, _, _ = averaged_weights(source, "vqgan")
        kind = "run"
    vqgan = VQGAN(config)
    wanted = vqgan.state_dict()
    weights = {name: wanted[name] for name in wanted if name.startswith(_SKIPS)} | weights
    if {name: value.shape for name, value in weights.items()} != {
        name: value.shape for name, value in wanted.items()
    }:
        raise InputError(f"{kind} '{source}': its tokenizer is of another preset; train one")
    vqgan.load_state_dict(weights, strict=True)
    return vqgan


def load_trained_sketch_tokenizer(source: Path, config: VQGANConfig) -> VQGANSeg:
    """The VQ-GAN-Seg of a sketch run (its averaged weights) or of a model folder, float32.

    Raises InputError when there is none, or when it is not of `config`.
    """
    if _is_model(source):
        vqgan_seg = load_model(source).sketch_tokenizer
        if vqgan_seg is None or vqgan_seg.config != config:
            raise InputError(f"model '{source}': has no sketch tokenizer of this preset; train one")
        return vqgan_seg
    weights, _, _ = averaged_weights(source, "vqgan_seg")
    vqgan_seg = VQGANSeg(config)
    vqgan_seg.load_state_dict(weights, strict=True)
    return vqgan_seg


def _is_model(folder: Path) -> bool:
    return (folder / MANIFEST_NAME).exists()


def export_model(
    tokenizer: Path,
    model_runs: Sequence[Share],
    folder: Path,
    *,
    defaults: SamplingConfig,
    best_of: int = 1,
    sketch_tokenizer: Path | None = None,
    reranker: DualEncoder | None = None,
) -> str:
    """Write the averaged weights of finished runs as the model folder `folder`; those of several runs of the
    model are mixed.

    `tokenizer` and `sketch_tokenizer` are runs, or the model that this one continues. Returns the digest of the
    folder. Raises InputError when a run is missing, or when the two are not of the same preset.
    """
    nuwa_weights, recipe, history = mixed_weights(model_runs)
    preset = get_preset(recipe.preset)
    vqgan, nuwa = load_trained_tokenizer(tokenizer, preset.tokenizer), Nuwa(preset.transformer)
    nuwa.load_state_dict(nuwa_weights, strict=True)
    vqgan_seg = None
    if sketch_tokenizer:
        vqgan_seg = load_trained_sketch_tokenizer(sketch_tokenizer, preset.sketch_tokenizer)
    config = ModelConfig(
        name=folder.name,
        tokenizer=preset.tokenizer,
        transformer=preset.transformer,
        sketch_tokenizer=preset.sketch_tokenizer if vqgan_seg else None,
        reranker=reranker.config if reranker else None,
        num_frames=preset.num_frames,
        fps=preset.fps,
        defaults=defaults,
        best_of=best_of,
    )
    nets = {"VQ-GAN": vqgan, "transformer": nuwa, "VQ-GAN-Seg": vqgan_seg, "re-ranker": reranker}
    card = model_card(
        config,
        Provenance(
            tokenizer=_tokenizer_history(tokenizer),
            transformer=history,
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
        text_json=model_runs[0].run_dir / TEXT_NAME,
        sketch_tokenizer=vqgan_seg,
        reranker=reranker,
        card=card,
    )


def _tokenizer_history(source: Path) -> str:
    if _is_model(source):
        return "taken over from the model that this one continues"
    _, recipe, steps = averaged_weights(source, "vqgan")
    return f"{steps:,} steps, {steps * recipe.batch_size:,} pictures"


def save_reranker(reranker: DualEncoder, figures: dict[str, float], run_dir: Path) -> None:
    """Put a trained re-ranker, its config and its figures into its run folder."""
    record = {"config": reranker.config.to_dict(), "figures": figures}
    write_bytes(run_dir / RERANKER_NAME, tensors_to_bytes(reranker), force=True)
    write_bytes(run_dir / _RERANKER_RECORD, json.dumps(record, indent=1).encode(), force=True)


def load_reranker(source: Path) -> DualEncoder:
    """The dual encoder that `save_reranker` wrote, or that of a model folder. Raises InputError when it is
    missing or damaged."""
    if _is_model(source):
        kept = load_model(source).reranker
        if kept is None:
            raise InputError(f"model '{source}': has no re-ranker; train one")
        return kept
    record_path, path = source / _RERANKER_RECORD, source / RERANKER_NAME
    record = parse_json(read_file(record_path, max_bytes=_MAX_RECORD), record_path)
    reranker = DualEncoder(DualEncoderConfig.from_dict(record["config"]))
    tensors = tensors_from_bytes(read_file(path, max_bytes=_MAX_WEIGHTS), path)
    check_fit(reranker, tensors, path)
    reranker.load_state_dict(tensors, strict=True)
    return reranker
