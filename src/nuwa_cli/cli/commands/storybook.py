"""`nuwa storybook`: one scene of the training world, so that anyone can look at the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nuwa_cli.cli.recipes.recall import embedded
from nuwa_cli.cli.work.options import FileOptions, SeedText, given_values, parse_seed, takes_options
from nuwa_cli.cli.work.output import Output, prepare_outputs
from nuwa_cli.cli.work.training import SPRITES
from nuwa_cli.media.naming import Kind, kind_of

if TYPE_CHECKING:
    from nuwa_cli.media.metadata import Recipe
    from nuwa_cli.media.video import Frames
    from nuwa_cli.storybook.scene import SceneSpec


def register(app: typer.Typer) -> None:
    """Add `nuwa storybook` to the command line."""
    app.command("storybook", short_help="Render a scene of the training world.")(storybook)


@takes_options
def storybook(
    output: FileOptions,
    seed: SeedText = "0",
    sketch: Annotated[
        Path | None, typer.Option("--sketch", help="Also write the class map of every pixel.")
    ] = None,
    world: Annotated[
        Literal["core", "full"], typer.Option("--world", help="How many subjects and places.")
    ] = "full",
    held_out: Annotated[
        bool, typer.Option("--held-out", help="A pair that training never shows.")
    ] = False,
    sprites: Annotated[
        Path, typer.Option("--sprites", help="Sprite pack, built by `make sprites`.")
    ] = SPRITES,
) -> None:
    """nuwa storybook --seed 7 -o scene.mp4 --sketch scene-sketch.mp4

    Render a scene of the world that the model learned from: a pure function of the seed.
    Its captions in both languages are noted on stderr and stand in the recipe. A picture
    name (png jpg) gives the middle frame.
    """
    number = parse_seed(seed)
    voice = Output(as_json=output.json, quiet=output.quiet)
    wanted = [path for path in (output.output, sketch) if path is not None]
    kinds = [kind_of(path) for path in wanted]
    for path, kind in zip(wanted, kinds, strict=True):
        prepare_outputs(path, kind, [("", number)], force=output.force)
    split = "held_out" if held_out else "train"
    if not output.dry_run:
        spec, pictures = _render(number, world, split, sprites)
        captions = _captions(spec, number)
        voice.note(f"scene: {captions['en']} / {captions['zh']}")
        recipe = embedded(_recipe(number, world, split, captions), given_values())
        recipes = [recipe, {**recipe, "part": "sketch"}]
        for path, kind, frames, own in zip(wanted, kinds, pictures, recipes, strict=False):
            _write(path, kind, frames, spec.fps, output, own)
            voice.result(path, {"seed": number, "captions": captions, "labels": spec.labels})
    else:
        for path in wanted:
            voice.result(path, {"seed": number})
    voice.finish("storybook", dry_run=output.dry_run)


def _render(seed: int, world: str, split: str, sprites: Path) -> tuple[SceneSpec, list[Frames]]:
    """The scene of a seed, and its frames as pictures and as coloured class maps."""
    import numpy as np

    from nuwa_cli.sketches.maps import colorize
    from nuwa_cli.storybook.render import Renderer
    from nuwa_cli.storybook.scene import sample_scene
    from nuwa_cli.storybook.sprites import SpritePack
    from nuwa_cli.storybook.world import WorldConfig

    settings = WorldConfig.core() if world == "core" else WorldConfig.full()
    spec = sample_scene(seed, settings, split=split)
    pack = SpritePack.load(sprites, subjects=[subject.id for subject in spec.subjects])
    rendered = Renderer(pack).render([spec])
    pixels = rendered.pixels[0].permute(0, 2, 3, 1).cpu().numpy()
    return spec, [np.ascontiguousarray(pixels), colorize(rendered.classes[0].cpu().numpy())]


def _captions(spec: SceneSpec, seed: int) -> dict[str, str]:
    from nuwa_cli.storybook.captions import caption

    return {
        language: caption(spec, seed, kind="video", language=language) for language in ("en", "zh")
    }


def _recipe(seed: int, world: str, split: str, captions: dict[str, str]) -> Recipe:
    import nuwa_cli
    from nuwa_cli.media.metadata import ALGORITHMIC, RECIPE_SCHEMA

    options: dict[str, Any] = {"world": world, "split": split}
    return {
        "schema": RECIPE_SCHEMA,
        "version": nuwa_cli.__version__,
        "digital_source_type": ALGORITHMIC,
        "command": "storybook",
        "prompt": captions["en"],
        "captions": captions,
        "seed": seed,
        "options": options,
    }


def _write(
    path: Path, kind: Kind, frames: Frames, fps: float, output: FileOptions, recipe: Recipe
) -> None:
    from nuwa_cli.media.image import write_image
    from nuwa_cli.media.video import write_video

    kept = None if output.no_metadata else recipe
    if kind == "video":
        write_video(path, frames, fps, kept, force=output.force)
    else:
        write_image(path, frames[len(frames) // 2], kept, force=output.force)
