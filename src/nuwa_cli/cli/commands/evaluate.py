"""`nuwa eval`: how good is a model? Figures, a table, a sheet of judged samples."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuwa_cli.cli.work.options import (
    MAX_BEST_OF,
    ModelOptions,
    VoiceOptions,
    check_range,
    takes_options,
)
from nuwa_cli.cli.work.output import Output, Progress, print_json, print_line
from nuwa_cli.cli.work.training import SPRITES
from nuwa_cli.config import SamplingConfig
from nuwa_cli.evaluation.settings import SECTIONS, EvaluationSettings
from nuwa_cli.media.atomic import check_output

if TYPE_CHECKING:
    from nuwa_cli.storybook.render import Renderer

_MAX_SAMPLES = 100_000


def register(app: typer.Typer) -> None:
    """Add `nuwa eval` to the command line."""
    app.command("eval", short_help="Measure a model on prompts that it has never seen.")(evaluate)


@takes_options
def evaluate(
    *,
    model: ModelOptions,
    num: Annotated[
        int, typer.Option("-n", "--num", help="Pictures of prompts.")
    ] = EvaluationSettings.num,
    clips: Annotated[
        int, typer.Option("--clips", help="Clips of prompts.")
    ] = EvaluationSettings.clips,
    sketches: Annotated[
        int, typer.Option("--sketches", help="Pictures of sketches.")
    ] = EvaluationSettings.sketches,
    sketch_clips: Annotated[
        int, typer.Option("--sketch-clips", help="Clips of sketches.")
    ] = EvaluationSettings.sketch_clips,
    predictions: Annotated[
        int, typer.Option("--predictions", help="Clips of a picture.")
    ] = EvaluationSettings.predictions,
    edits: Annotated[
        int, typer.Option("--edits", help="Pictures to edit.")
    ] = EvaluationSettings.edits,
    pairs: Annotated[
        int, typer.Option("--pairs", help="Seeds of every impossible pair.")
    ] = EvaluationSettings.pairs,
    completions: Annotated[
        int, typer.Option("--completions", help="Holes, each filled by both engines.")
    ] = EvaluationSettings.completions,
    extensions: Annotated[
        int, typer.Option("--extensions", help="Pictures to extend, in every direction.")
    ] = EvaluationSettings.extensions,
    long_pictures: Annotated[
        int, typer.Option("--long-pictures", help="Pictures extended to 16 times the width.")
    ] = EvaluationSettings.long_pictures,
    long_clips: Annotated[
        int, typer.Option("--long-clips", help="Clips extended to 200 frames.")
    ] = EvaluationSettings.long_clips,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only", metavar="SECTION", help=f"Sections: {', '.join(SECTIONS)}; repeatable."
        ),
    ] = None,
    best_of: Annotated[
        int | None, typer.Option("--best-of", help="Draw K candidates and keep the best.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option("--guidance", help="Instead of the model's own.")
    ] = None,
    temperature: Annotated[
        float | None, typer.Option("--temperature", help="Instead of the model's own.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Report to write (JSON).")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", help="PNG of samples with their verdicts.")
    ] = None,
    evaluator: Annotated[
        Path | None,
        typer.Option("--evaluator", help="Folder of the judging nets; else the model's own."),
    ] = None,
    sprites: Annotated[
        Path, typer.Option("--sprites", help="Sprite pack (`make sprites`), for true renders.")
    ] = SPRITES,
    card: Annotated[
        bool,
        typer.Option("--card", help="Put the figures into the model's folder, section by section."),
    ] = False,
    said: VoiceOptions,
) -> None:
    """nuwa eval -o report.json --sheet sheet.png

    Draw pictures and clips of unseen prompts, sketches, first frames, edits, holes
    and extensions, and judge what they show. Stopped? The same command goes on where
    it was, if it has an -o.

    \b
    nuwa eval --num 50 --clips 10            a first impression, as a table
    nuwa eval --only completion,extend       two sections of it
    nuwa eval --model runs/mine --json       the whole report on stdout
    """
    counts = {
        "num": num,
        "clips": clips,
        "sketches": sketches,
        "sketch_clips": sketch_clips,
        "predictions": predictions,
        "edits": edits,
        "pairs": pairs,
        "completions": completions,
        "extensions": extensions,
        "long_pictures": long_pictures,
        "long_clips": long_clips,
    }
    voice = said.voice()
    for name, count in counts.items():
        check_range(name.replace("_", "-"), count, 0, _MAX_SAMPLES)
    if best_of is not None:
        check_range("best-of", best_of, 1, MAX_BEST_OF)
    given = {"guidance_scale": guidance, "temperature": temperature}
    sampling: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    SamplingConfig(**sampling)
    sections = tuple(name.strip() for names in only or () for name in names.split(","))
    settings = EvaluationSettings(**counts, only=sections, best_of=best_of, sampling=sampling)
    for path in (output, sheet):
        if path is not None:
            check_output(path, force=True)

    from nuwa_cli.api import NuwaPipeline
    from nuwa_cli.evaluation.report import markdown_table
    from nuwa_cli.evaluation.run import put_into_card, run_evaluation, write_report, write_sheet
    from nuwa_cli.evaluation.store import has_segmenter
    from nuwa_cli.hub.catalog import find_model

    pipeline = NuwaPipeline.load(
        model.model, device=model.device, dtype=model.dtype, attention=model.attention
    )
    folder = evaluator or find_model(model.model)
    if not has_segmenter(folder) and any(map(settings.includes, ("sketch", "predict", "edit"))):
        voice.note(f"no segmenter in '{folder}': no sketches, predictions, edits; train one")
    elif pipeline.model.sketch_tokenizer is None and settings.includes("sketch"):
        voice.note(f"model '{pipeline.identity['name']}' reads no sketches: none are judged")
    renderer = _renderer(sprites, voice)
    with contextlib.ExitStack() as stack:
        progress: Progress | None = None

        def show(done: int, total: int) -> None:
            nonlocal progress
            if progress is None:  # how many there are is known with the first one
                progress = stack.enter_context(voice.progress(total, "sample"))
            progress.finished = done
            progress.show(done / total)

        report, samples = run_evaluation(
            pipeline,
            folder,
            settings,
            renderer=renderer,
            partial=output.with_name(output.name + ".partial") if output else None,
            on_progress=show,
        )
    if card:
        put_into_card(report, find_model(model.model))
    if output is not None:
        write_report(report, output)
    if sheet is not None:
        write_sheet(samples, sheet)
    if said.json:
        print_json(report)
        return
    if output is None and not said.json_stream:
        print_line(markdown_table(report))
    elif not said.quiet and not said.json_stream:
        typer.echo(markdown_table(report), err=True)
    for path in (output, sheet):
        if path is not None:
            voice.result(path, {})
    voice.finish("eval", report=report)


def _renderer(sprites: Path, voice: Output) -> Renderer | None:
    from nuwa_cli.errors import InputError
    from nuwa_cli.storybook.render import Renderer
    from nuwa_cli.storybook.sprites import SpritePack

    try:
        return Renderer(SpritePack.load(sprites))
    except InputError as error:
        if sprites != SPRITES:
            raise
        voice.note(f"{error}; nothing that needs true renders")
        return None
