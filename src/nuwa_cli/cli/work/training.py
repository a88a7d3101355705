"""What the training commands share: their options, the scenes that a net learns from, and what is said meanwhile.

stdout carries the folder that was written, one document with --json, or with --json-stream events as of the
commands that draw; the lines of the training log go to stderr, or are events too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuwa_cli.cli.work.options import VoiceOptions
from nuwa_cli.cli.work.output import Progress

if TYPE_CHECKING:
    from nuwa_cli.storybook.render import Renderer
    from nuwa_cli.storybook.world import WorldConfig
    from nuwa_cli.training.loop import Run
    from nuwa_cli.training.recipe import TrainRecipe
    from nuwa_cli.training.scenes import SceneSource

SPRITES = Path("data/sprites")

RecipeOption = Annotated[Path, typer.Option("--recipe", help="TOML file that says everything.")]
OutOption = Annotated[Path, typer.Option("-o", "--out", help="Model folder to put it into.")]
SketchTokenizerOption = Annotated[
    Path | None,
    typer.Option(
        "--sketch-tokenizer", help="Run of the sketch tokenizer, or a model that has one."
    ),
]


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """Where a run is kept, and what it renders scenes with."""

    run_dir: Annotated[Path, typer.Option("--run-dir", help="Folder of checkpoints and logs.")]
    sprites: Annotated[Path, typer.Option("--sprites", help="Sprite pack (`make sprites`).")] = (
        SPRITES
    )
    threads: Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 = all.")] = 0

    def use_threads(self) -> None:
        """Let torch compute with as many threads as were asked for."""
        if self.threads:
            import torch

            torch.set_num_threads(self.threads)

    def renderer(self, cache_size: int) -> Renderer:
        """What draws scenes. Raises InputError without the sprite pack."""
        from nuwa_cli.storybook.render import Renderer
        from nuwa_cli.storybook.sprites import SpritePack

        return Renderer(SpritePack.load(self.sprites), cache_size=cache_size)


@dataclass(frozen=True, kw_only=True)
class StageOptions(SceneOptions):
    """One of the two stages; what is trained stands in its recipe."""

    minutes: Annotated[
        float | None,
        typer.Option("--minutes", min=0.01, help="Stop after this long; run again to go on."),
    ] = None
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu"
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Processes that render scenes; for a GPU.")
    ] = 0

    def source(self, recipe: TrainRecipe) -> SceneSource:
        """The scenes of a recipe. Raises InputError without the sprite pack."""
        from nuwa_cli.presets import get_preset
        from nuwa_cli.training.scenes import SceneSource, make_world

        preset = get_preset(recipe.preset)
        world = make_world(recipe.world, recipe.world_changes)
        size = preset.tokenizer.image_size
        return SceneSource(self.renderer(2048), world, size, recipe.seed, preset.num_frames)


@dataclass(frozen=True, kw_only=True)
class NetOptions(SceneOptions):
    """A small net that is trained at once."""

    world: Annotated[str, typer.Option("--world", help="core or full.")] = "core"

    def make_world(self) -> WorldConfig:
        """The world that it learns. Raises UsageError for an unknown one."""
        from nuwa_cli.training.scenes import make_world

        return make_world(self.world, {})


class Narrator:
    """What one training command says."""

    def __init__(self, command: str, options: VoiceOptions) -> None:
        """Raises UsageError for options that go not together."""
        self._command = command
        self._voice = options.voice()
        self._options = options
        self._run: Run | None = None
        self._first = 0
        self._progress = Progress(1, "step")

    def line(self, text: str) -> None:
        """A line of the log, which comes every now and then."""
        if self._options.json_stream:
            self._voice.event("note", text=text)
        elif not self._options.quiet:
            typer.echo(text, err=True)
        if self._run is not None:
            self._progress.finished = self._run.step - self._first
            self._progress.show(self._progress.finished / max(self._progress.total, 1))

    def train(self, run: Run, minutes: float | None) -> None:
        """Train a stage to the end of its recipe, or for some minutes, and tell it."""
        self._first = run.step
        with self._events(run.recipe.steps - run.step, "step"):
            self._run = run
            run.train(budget_minutes=minutes)
        self.finish(run.run_dir, step=run.step, steps=run.recipe.steps)

    @contextlib.contextmanager
    def one_net(self) -> Iterator[None]:
        """Around the training of a small net, which does not say how far it is but in its lines."""
        with self._events(1, "net"):
            yield
            self._progress.next()

    def finish(self, path: Path, **facts: Any) -> None:
        """Tell what was written."""
        self._voice.result(path, facts)
        self._voice.finish(self._command)

    @contextlib.contextmanager
    def _events(self, total: int, unit: str) -> Iterator[None]:
        """Progress as events; otherwise the lines say it."""
        if not self._options.json_stream:
            yield
            return
        with self._voice.progress(total, unit) as self._progress:
            yield
