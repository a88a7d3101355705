"""`nuwa train`: tokenizer, model, and the export of finished runs into a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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

RecipeOption = Annotated[Path, typer.Option("--recipe", help="TOML file that says everything.")]
RunDirOption = Annotated[Path, typer.Option("--run-dir", help="Folder of checkpoints and logs.")]
SpritesOption = Annotated[Path, typer.Option("--sprites", help="Sprite pack (`make sprites`).")]
MinutesOption = Annotated[
    float | None,
    typer.Option("--minutes", min=0.01, help="Stop after this long; run again to go on."),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu or cuda.")]
WorkersOption = Annotated[
    int, typer.Option("--workers", min=0, help="Processes that render scenes; for a GPU.")
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 = all.")]
SketchTokenizerOption = Annotated[
    Path | None,
    typer.Option(
        "--sketch-tokenizer", help="Run of the sketch tokenizer, or a model that has one."
    ),
]

WorldOption = Annotated[str, typer.Option("--world", help="core or full.")]

_SPRITES = Path("data/sprites")


def register(app: typer.Typer) -> None:
    """Add `nuwa train …` to the command line."""
    app.add_typer(train_app, name="train")


@train_app.command("tokenizer", short_help="Stage one: pictures to tokens and back.")
def train_tokenizer(
    recipe: RecipeOption,
    run_dir: RunDirOption,
    sprites: SpritesOption = _SPRITES,
    minutes: MinutesOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 0,
    workers: WorkersOption = 0,
) -> None:
    """nuwa train tokenizer --recipe recipes/tokenizer-cpu.toml --run-dir runs/tokenizer

    Stage one: learn to turn pictures into tokens and back (VQ-GAN).
    """
    from nuwa_cli.training.train_vqgan import TokenizerStage

    _train_first_stage(TokenizerStage, recipe, run_dir, sprites, minutes, device, threads, workers)


@train_app.command("sketch", short_help="Stage one for sketches.")
def train_sketch(
    recipe: RecipeOption,
    run_dir: RunDirOption,
    sprites: SpritesOption = _SPRITES,
    minutes: MinutesOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 0,
    workers: WorkersOption = 0,
) -> None:
    """nuwa train sketch --recipe recipes/sketch-cpu.toml --run-dir runs/sketch

    Stage one for sketches: segmentation maps to tokens and back (VQ-GAN-Seg).
    """
    from nuwa_cli.training.train_vqgan_seg import SketchStage

    _train_first_stage(SketchStage, recipe, run_dir, sprites, minutes, device, threads, workers)


@train_app.command("model", short_help="Stage two: tokens for a prompt.")
def train_model(
    recipe: RecipeOption,
    run_dir: RunDirOption,
    tokenizer: Annotated[
        Path, typer.Option("--tokenizer", help="Run of the tokenizer, or the model to continue.")
    ],
    start_from: Annotated[
        Path | None, typer.Option("--start-from", help="Model folder whose weights to begin with.")
    ] = None,
    sketch_tokenizer: SketchTokenizerOption = None,
    sprites: SpritesOption = _SPRITES,
    minutes: MinutesOption = None,
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 0,
    workers: WorkersOption = 0,
) -> None:
    """nuwa train model --recipe recipes/model-cpu.toml --run-dir runs/model --tokenizer runs/tokenizer

    Stage two: learn to write tokens for a prompt (3D encoder-decoder). Recipes
    that train sketches need --sketch-tokenizer. To train a finished model
    further, --tokenizer, --sketch-tokenizer and --start-from name its folder.
    """
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
    _use_threads(threads)
    preset = get_preset(settings.preset)
    source = _scene_source(settings, sprites)
    run_dir.mkdir(parents=True, exist_ok=True)
    vocabulary = run_dir / "text.json"
    first = load_model(start_from) if start_from else None
    if first:
        first.text.save(vocabulary)
    if not vocabulary.exists():
        _report("learning the text vocabulary")
        build_text_tokenizer(source, preset.transformer.text_vocab).save(vocabulary)
    text = TextTokenizer.load(vocabulary)
    vqgan = load_trained_tokenizer(tokenizer, preset.tokenizer)
    seg = None
    if sketch_tokenizer:
        seg = load_trained_sketch_tokenizer(sketch_tokenizer, preset.sketch_tokenizer)
    stage = ModelStage(settings, source, vqgan, text, torch.device(device), seg)
    if first:
        stage.nuwa.load_state_dict(first.transformer.state_dict(), strict=True)
    Run(stage, run_dir, _report, workers).train(budget_minutes=minutes)
    typer.echo(run_dir)


@train_app.command("reranker", short_help="The dual encoder of --best-of.")
def train_reranker(
    run_dir: RunDirOption,
    text: Annotated[Path, typer.Option("--text", help="text.json of the model's run.")],
    world: WorldOption = "core",
    sprites: SpritesOption = _SPRITES,
    threads: ThreadsOption = 0,
) -> None:
    """nuwa train reranker --run-dir runs/reranker --text runs/model/text.json

    Train the dual encoder that --best-of chooses with (minutes).
    """
    from nuwa_cli.storybook.render import Renderer
    from nuwa_cli.storybook.sprites import SpritePack
    from nuwa_cli.tokenizer.text import TextTokenizer
    from nuwa_cli.training.export import save_reranker
    from nuwa_cli.training.scenes import make_world
    from nuwa_cli.training.train_dual_encoder import train_dual_encoder

    _use_threads(threads)
    renderer = Renderer(SpritePack.load(sprites), cache_size=1024)
    words = TextTokenizer.load(text)
    reranker, figures = train_dual_encoder(
        renderer, make_world(world, {}), words, run_dir, report=_report
    )
    save_reranker(reranker, figures, run_dir)
    typer.echo(run_dir)


@train_app.command("evaluator", short_help="The nets that judge in `nuwa eval`.")
def train_evaluator(
    run_dir: RunDirOption,
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to put it into.")],
    world: WorldOption = "core",
    sprites: SpritesOption = _SPRITES,
    threads: ThreadsOption = 0,
) -> None:
    """nuwa train evaluator --run-dir runs/evaluator -o weights/storybook

    Train the nets that judge in `nuwa eval`, on renders only (minutes).
    """
    from nuwa_cli.evaluation.store import save_evaluator
    from nuwa_cli.storybook.render import Renderer
    from nuwa_cli.storybook.sprites import SpritePack
    from nuwa_cli.training import train_evaluator as judges
    from nuwa_cli.training.scenes import make_world

    _use_threads(threads)
    renderer = Renderer(SpritePack.load(sprites), cache_size=1024)
    evaluator, accuracy = judges.train_evaluator(
        renderer, make_world(world, {}), run_dir, report=_report
    )
    save_evaluator(evaluator, out, accuracy)
    typer.echo(out)


@train_app.command("export", short_help="Finished runs into a model folder.")
def export(
    tokenizer: Annotated[Path, typer.Option("--tokenizer", help="Run folder of the tokenizer.")],
    model: Annotated[Path, typer.Option("--model", help="Run folder of the model.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model folder to write.")],
    sketch_tokenizer: SketchTokenizerOption = None,
    reranker: Annotated[
        Path | None, typer.Option("--reranker", help="Run folder of the re-ranker.")
    ] = None,
    guidance: Annotated[float, typer.Option("--guidance", help="Default of the model.")] = 2.0,
    temperature: Annotated[float, typer.Option("--temperature", help="Default.")] = 1.0,
    top_k: Annotated[int, typer.Option("--top-k", help="Default; 0 = off.")] = 0,
    top_p: Annotated[float, typer.Option("--top-p", help="Default; 1 = off.")] = 0.95,
    persistence: Annotated[float, typer.Option("--persistence", help="Default; 0 = off.")] = 0.0,
    best_of: Annotated[int, typer.Option("--best-of", min=1, help="Default.")] = 1,
) -> None:
    """nuwa train export --tokenizer runs/tokenizer --model runs/model -o weights/storybook

    Write the averaged weights of finished runs as a model folder (bfloat16).
    """
    from nuwa_cli.config import SamplingConfig
    from nuwa_cli.training.export import export_model, load_reranker

    digest = export_model(
        tokenizer,
        model,
        out,
        defaults=SamplingConfig(
            guidance_scale=guidance,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            persistence=persistence,
        ),
        best_of=best_of,
        sketch_tokenizer=sketch_tokenizer,
        reranker=load_reranker(reranker) if reranker else None,
    )
    _report(f"model {digest[:12]}")
    typer.echo(out)


def _train_first_stage(
    make_stage: Callable[[TrainRecipe, SceneSource, torch.device], Stage],
    recipe: Path,
    run_dir: Path,
    sprites: Path,
    minutes: float | None,
    device: str,
    threads: int,
    workers: int,
) -> None:
    """Train a tokenizer, of pictures or of sketches, on the scenes of its recipe."""
    import torch

    from nuwa_cli.training.loop import Run
    from nuwa_cli.training.recipe import load_recipe

    settings = load_recipe(recipe)
    _use_threads(threads)
    stage = make_stage(settings, _scene_source(settings, sprites), torch.device(device))
    Run(stage, run_dir, _report, workers).train(budget_minutes=minutes)
    typer.echo(run_dir)


def _use_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


def _scene_source(recipe: TrainRecipe, sprites: Path) -> SceneSource:
    from nuwa_cli.presets import get_preset
    from nuwa_cli.storybook.render import Renderer
    from nuwa_cli.storybook.sprites import SpritePack
    from nuwa_cli.training.scenes import SceneSource, make_world

    preset = get_preset(recipe.preset)
    renderer = Renderer(SpritePack.load(sprites), cache_size=2048)
    world = make_world(recipe.world, recipe.world_changes)
    size = preset.tokenizer.image_size
    return SceneSource(renderer, world, size, recipe.seed, preset.num_frames)


def _report(line: str) -> None:
    typer.echo(line, err=True)
