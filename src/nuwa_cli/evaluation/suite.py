"""The evaluation suite: every section of an evaluation in turn, one report.

    text        T2I, T2V                    text_tasks.py
    sketch      S2I, S2V                    sketch_tasks.py   needs renders and the segmenter
    predict     V2V                         prediction.py     needs renders and the segmenter
    edit        TI2I                        editing.py        needs renders and the segmenter
    pairs       T2V of the impossible       pairs.py
    completion  holes, with both engines    completion.py     needs renders
    extend      pictures, four directions   extension.py      needs renders
    long        wide pictures, long clips   long.py           needs renders

A section whose needs are not met is left out of the report. The figures of the tokenizers are added
by `run.py`, which has a loaded model.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nuwa_cli.evaluation.artists import TaskArtist
from nuwa_cli.evaluation.bench import Bench
from nuwa_cli.evaluation.completion import completion_sets, measure_completions
from nuwa_cli.evaluation.editing import edit_sets, measure_edits
from nuwa_cli.evaluation.extension import extension_sets, measure_extensions
from nuwa_cli.evaluation.long import long_sets, measure_long
from nuwa_cli.evaluation.pairs import measure_pairs, pair_sets
from nuwa_cli.evaluation.prediction import measure_predictions, prediction_sets
from nuwa_cli.evaluation.probes import known_world
from nuwa_cli.evaluation.samples import Sample, SampleFile, TaskSample
from nuwa_cli.evaluation.settings import EvaluationSettings
from nuwa_cli.evaluation.sketch_tasks import measure_sketches, sketch_sets
from nuwa_cli.evaluation.text_tasks import measure_texts
from nuwa_cli.model.evaluator import Evaluator
from nuwa_cli.model.segmenter import SegmentNet
from nuwa_cli.storybook.render import Renderer

REPORT_SCHEMA = "nuwa.evaluation/1"
OnProgress = Callable[[int, int], None]


def evaluate(
    artist: TaskArtist,
    evaluator: Evaluator,
    settings: EvaluationSettings,
    *,
    num_frames: int,
    fps: int,
    renderer: Renderer | None = None,
    segmenter: SegmentNet | None = None,
    partial: Path | None = None,
    on_progress: OnProgress = lambda _done, _total: None,
) -> tuple[dict[str, Any], list[Sample | TaskSample]]:
    """Run the whole suite; returns the report (plain JSON values) and all samples.

    Without a `renderer` (no sprite pack) or a `segmenter` what needs them is left out. With
    `partial`, verdicts are kept in that file and in another beside it (`task_lines`), and a stopped
    run goes on where it was.
    """
    started = time.monotonic()
    settings = _possible(settings, renderer, segmenter)
    world = known_world(evaluator.config, num_frames, fps)
    done = total = 0

    def advance() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    tasks = task_lines(partial) if partial else None
    bench = Bench(
        artist=artist,
        evaluator=evaluator,
        world=world,
        kept=SampleFile(tasks, artist.fingerprint, TaskSample),
        on_sample=advance,
    )
    counted = (
        settings.sets(),
        sketch_sets(settings),
        prediction_sets(settings),
        edit_sets(settings),
        pair_sets(bench, settings),
        completion_sets(settings),
        extension_sets(settings),
        long_sets(bench, settings),
    )
    total = sum(int(entry[-1]) for sets in counted for entry in sets)
    texts = SampleFile(partial, artist.fingerprint, Sample)
    sets, samples = measure_texts(artist, evaluator, settings, world, renderer, texts, advance)
    results: dict[str, Any] = {}
    if renderer is not None and segmenter is not None:
        results |= measure_sketches(bench, renderer, segmenter, settings)
        results |= measure_predictions(bench, renderer, segmenter, settings)
        results |= measure_edits(bench, renderer, segmenter, settings)
    more: dict[str, Any] = {}
    if renderer is not None:
        more = {
            "completion": measure_completions(bench, renderer, settings),
            "extension": measure_extensions(bench, renderer, settings),
            "long": measure_long(bench, renderer, settings),
        }
    report = {
        "schema": REPORT_SCHEMA,
        **artist.fingerprint,
        "sets": sets,
        "tasks": results,
        "pairs": measure_pairs(bench, segmenter, settings),
        **more,
        "seconds": round(time.monotonic() - started, 1),
    }
    return json.loads(json.dumps(report)), [*samples, *bench.kept.samples.values()]


def task_lines(partial: Path) -> Path:
    """Where a run whose text samples are kept in `partial` keeps the samples of other sections."""
    return partial.with_name(partial.name + "-tasks")


def _possible(
    settings: EvaluationSettings, renderer: Renderer | None, segmenter: SegmentNet | None
) -> EvaluationSettings:
    """The settings without the samples that cannot be judged here."""
    if renderer is None:
        settings = replace(settings, completions=0, extensions=0, long_pictures=0, long_clips=0)
    if renderer is None or segmenter is None:
        settings = replace(settings, sketches=0, sketch_clips=0, predictions=0, edits=0)
    return settings
