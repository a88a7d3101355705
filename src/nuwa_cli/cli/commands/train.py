"""`nuwa train`: tokenizer, model, and the export of finished runs into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nuwa_cli.cli.work.options import VoiceOptions, takes_options
from nuwa_cli.cli.work.training import (
    Narrator,
    NetOptions,
    OutOption,
    RecipeOption,
    SketchTokenizerOption,
    StageOptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from nuwa_cli.training.recipe import TrainRecipe
    from nuwa_cli.training.scenes import SceneSource
    from nuwa_cli.training.stage import Stage

train_app = typer.Typer(
    help="nuwa train tokenizer --recipe recipes/tokenizer-cpu.toml --run-dir runs/tokenizer\n\n"
    "Train your own tokenizer and model on storybook scenes.",
    short_help="Train your own tokenizer and model on storybook scenes.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add `nuwa train …` to the command line."""
    app.add_typer(train_app, name="train")


@train_app.command("tokenizer", short_help="Stage one: pictures to tokens and back.")
@takes_options
def train_tokenizer(recipe: RecipeOption, options: StageOptions, said: VoiceOptions) -> None:
    """nuwa train tokenizer --recipe recipes/tokenizer-cpu.toml --run-dir runs/tokenizer

    Stage one: learn to turn pictures into tokens and back (VQ-GAN).
    """
    narrator = Narrator("train tokenizer", said)

    from nuwa_cli.training.train_vqgan import TokenizerStage

    _train_first_stage(TokenizerStage, recipe, options, narrator)


@train_app.command("sketch", short_help="Stage one for sketches.")
@takes_options
def train_sketch(recipe: RecipeOption, options: StageOptions, said: VoiceOptions) -> None:
    """nuwa train sketch --recipe recipes/sketch-cpu.toml --run-dir runs/sketch

    Stage one for sketches: segmentation maps to tokens and back (VQ-GAN-Seg).
    """
    narrator = Narrator("train sketch", said)

    from nuwa_cli.training.train_vqgan_seg import SketchStage

    _train_first_stage(SketchStage, recipe, options, narrator)


@train_app.command("model", short_help="Stage two: tokens for a prompt.")
@takes_options
def train_model(
    *,
    recipe: RecipeOption,
    options: StageOptions,
    tokenizer: Annotated[
        Path, typer.Option("--tokenizer", help="Run of the tokenizer, or the model to continue.")
    ],
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help="Model folder whose weights to begin with.")
    ] = None,
    sketch_tokenizer: SketchTokenizerOption = None,
    said: VoiceOptions,
) -> None:
    """nuwa train model --recipe recipes/model-cpu.toml --run-dir runs/model --tokenizer runs/tokenizer

    Stage two: learn to write tokens for a prompt (3D encoder-decoder). Recipes
    that train sketches need --sketch-tokenizer. To train a finished model
    further, --tokenizer, --sketch-tokenizer and --start-from name its folder.
    """
    narrator = Narrator("train model", said)

    import torch

    from nuwa_cli.hub.model_dir import load_model
    from nuwa_cli.presets import get_preset
    from nuwa_cli.tokenizer.text import TextTokenizer
    from nuwa_cli.training.export import load_trained_sketch_tokenizer, load_trained_tokenizer
    from nuwa_cli.training.loop import Run
    from nuwa_cli.training.recipe import load_recipe
    from nuwa_cli.training.train_nuwa import ModelStage
    from nuwa_cli.training.vocabulary import build_text_tokenizer

    settings = load_recipe(recipe)
    options.use_threads()
    preset = get_preset(settings.preset)
    source = options.source(settings)
    options.run_dir.mkdir(parents=True, exist_ok=True)
    vocabulary = options.run_dir / "text.json"
    first = load_model(start_from) if start_from else None
    if first:
        first.text.save(vocabulary)
    if not vocabulary.exists():
        narrator.line("learning the text vocabulary")
        build_text_tokenizer(source, preset.transformer.text_vocab).save(vocabulary)
    text = TextTokenizer.load(vocabulary)
    vqgan = load_trained_tokenizer(tokenizer, preset.tokenizer)
    seg = None
    if sketch_tokenizer:
        seg = load_trained_sketch_tokenizer(sketch_tokenizer, preset.sketch_tokenizer)
    stage = ModelStage(settings, source, vqgan, text, torch.device(options.device), seg)
    if first:
        stage.nuwa.load_state_dict(first.transformer.state_dict(), strict=True)
    narrator.train(Run(stage, options.run_dir, narrator.line, options.workers), options.minutes)


@train_app.command("reranker", short_help="The dual encoder: --best-of, and places.")
@takes_options
def train_reranker(
    options: NetOptions,
    text: Annotated[Path, typer.Option("--text", help="text.json of the model's run.")],
    said: VoiceOptions,
) -> None:
    """nuwa train reranker --run-dir runs/reranker --text runs/model/text.json

    Train the dual encoder that --best-of chooses with, and that tells an extension without words
    which place it extends (minutes).
    """
    narrator = Narrator("train reranker", said)

    from nuwa_cli.tokenizer.text import TextTokenizer
    from nuwa_cli.training.export import save_reranker
    from nuwa_cli.training.train_dual_encoder import train_dual_encoder

    options.use_threads()
    renderer, world = options.renderer(1024), options.make_world()
    words = TextTokenizer.load(text)
    with narrator.one_net():
        reranker, figures = train_dual_encoder(
            renderer, world, words, options.run_dir, report=narrator.line
        )
    save_reranker(reranker, figures, options.run_dir)
    narrator.finish(options.run_dir, figures=figures)


@train_app.command("evaluator", short_help="The nets that judge in `nuwa eval`.")
@takes_options
def train_evaluator(options: NetOptions, out: OutOption, said: VoiceOptions) -> None:
    """nuwa train evaluator --run-dir runs/evaluator -o weights/storybook

    Train the nets that judge in `nuwa eval`, on renders only (minutes).
    """
    narrator = Narrator("train evaluator", said)

    from nuwa_cli.evaluation.store import save_evaluator
    from nuwa_cli.training import train_evaluator as judges

    options.use_threads()
    renderer, world = options.renderer(1024), options.make_world()
    with narrator.one_net():
        evaluator, accuracy = judges.train_evaluator(
            renderer, world, options.run_dir, report=narrator.line
        )
    save_evaluator(evaluator, out, accuracy)
    narrator.finish(out, accuracy=accuracy)


@train_app.command("export", short_help="Finished runs into a model folder.")
@takes_options
def export(
    *,
    tokenizer: Annotated[
        Path, typer.Option("--tokenizer", help="Run of the tokenizer, or the model to continue.")
    ],
    model: Annotated[
        list[str],
        typer.Option(
            "--model", metavar="RUN[=SHARE]", help="Run folder of the model; of several, the mean."
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    sketch_tokenizer: SketchTokenizerOption = None,
    reranker: Annotated[
        Path | None,
        typer.Option("--reranker", help="Run of the re-ranker, or a model that has one."),
    ] = None,
    guidance: Annotated[float, typer.Option("--guidance", help="Default of the model.")] = 2.0,
    temperature: Annotated[float, typer.Option("--temperature", help="Default.")] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help="Default; 0 = off.")] = 0,
    top_p: Annotated[float, typer.Option("--top-p", help="Default; 1 = off.")] = 0.95,
    persistence: Annotated[float, typer.Option("--persistence", help="Default; 0 = off.")] = 0.0,
    place_temperature: Annotated[
        float | None,
        typer.Option("--place-temperature", help="Default of extensions where nobody is."),
    ] = None,
    best_of: Annotated[int, typer.Option("--best-of", min=1, help="Default.")] = 1,
    said: VoiceOptions,
) -> None:
    """nuwa train export --tokenizer runs/tokenizer --model runs/model -o weights/storybook

    Write the averaged weights of finished runs as a model folder (bfloat16). Runs that began
    with the same model can be mixed, which is often better than each of them:

    \b
    nuwa train export --tokenizer runs/joins --model runs/a=0.75 --model runs/b=0.25 -o soup
    """
    narrator = Narrator("train export", said)

    from nuwa_cli.config import SamplingConfig
    from nuwa_cli.training.export import Share, export_model, load_reranker

    digest = export_model(
        tokenizer,
        [Share.parse(text) for text in model],
        out,
        defaults=SamplingConfig(
            guidance_scale=guidance,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            persistence=persistence,
            place_temperature=place_temperature,
        ),
        best_of=best_of,
        sketch_tokenizer=sketch_tokenizer,
        reranker=load_reranker(reranker) if reranker else None,
    )
    narrator.line(f"model {digest[:12]}")
    narrator.finish(out, digest=digest)


def _train_first_stage(
    make_stage: Callable[[TrainRecipe, SceneSource, torch.device], Stage],
    recipe: Path,
    options: StageOptions,
    narrator: Narrator,
) -> None:
    """Train a tokenizer, of pictures or of sketches, on the scenes of its recipe."""
    import torch

    from nuwa_cli.training.loop import Run
    from nuwa_cli.training.recipe import load_recipe

    settings = load_recipe(recipe)
    options.use_threads()
    stage = make_stage(settings, options.source(settings), torch.device(options.device))
    narrator.train(Run(stage, options.run_dir, narrator.line, options.workers), options.minutes)
