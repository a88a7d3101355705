"""The model card: what a model is, what it was trained on, how it was measured."""

from __future__ import annotations

from dataclasses import dataclass

from nuwa_cli.hub.model_dir import ModelConfig

FIGURES_START = "<!-- figures -->"
FIGURES_END = "<!-- /figures -->"


@dataclass(frozen=True)
class Provenance:
    """What a finished training says about itself."""

    tokenizer: str  # how long it was trained, in words
    transformer: str
    world: str
    num_parameters: dict[str, int]  # net → parameters


def model_card(config: ModelConfig, provenance: Provenance) -> str:
    """The card in Markdown, with an empty place for the figures of `nuwa eval`."""
    nets = "\n".join(
        f"| {name} | {count / 1e6:.1f} M |" for name, count in provenance.num_parameters.items()
    )
    transformer, tokenizer = config.transformer, config.tokenizer
    return f"""# {config.name}

A NÜWA: a VQ-GAN, and a 3D encoder-decoder with 3D Nearby Attention over its tokens. It writes pictures of
{tokenizer.image_size} × {tokenizer.image_size} pixels and clips of {config.num_frames} frames from English or \
Chinese prompts about storybook scenes.

    nuwa t2v "play golf on grass" -o out.mp4 --model {config.name}

| net | parameters |
|---|---|
{nets}

- Tokens: {tokenizer.grid_size} × {tokenizer.grid_size} a frame (f{tokenizer.downsample_factor}), \
{tokenizer.codebook_size} codes of {tokenizer.code_dim} dimensions.
- Transformer: {transformer.encoder_layers} + {transformer.decoder_layers} layers, {transformer.dim} wide, \
windows of {" × ".join(map(str, transformer.extent))} (frames × rows × columns), strict first layer.
- Weights: bfloat16 safetensors; `manifest.json` has the sha256 of every file.

## Data

Everything was trained on scenes of the storybook world (`{provenance.world}`), composed while training: landscapes
painted by this project's own code, and the Microsoft Fluent animated emoji (MIT). Captions, class maps and masks
come from the scene descriptions; no photograph, film or foreign caption was used. One in ten
(subject, place) and (action, place) pairs never occurs in training.

## Training

- VQ-GAN: {provenance.tokenizer}.
- Transformer: {provenance.transformer}.
- Recipes: `recipes/`.

## Figures

{FIGURES_START}
Not measured yet: `nuwa eval --model {config.name}`.
{FIGURES_END}

## Limits

It knows storybook scenes and nothing else: `nuwa vocab` lists its words, and a prompt with unknown words is answered
with a warning. Fine parts (faces, spokes, lettering) are soft; people have no likeness of anybody.

## Licence

Weights and code: MIT. Art: see NOTICE.
"""


def with_figures(card: str, figures: str) -> str:
    """The card with its figures replaced; a card without the marks gets them at its end."""
    block = f"{FIGURES_START}\n{figures.strip()}\n{FIGURES_END}"
    before, start, rest = card.partition(FIGURES_START)
    _, end, after = rest.partition(FIGURES_END)
    if not start or not end:
        return f"{card.rstrip()}\n\n## Figures\n\n{block}\n"
    return before + block + after
