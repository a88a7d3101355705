"""Draw runs: each model is loaded once, and like outputs of all runs share the steps of the decoder.

An error belongs to the run that it meets, the others go on; a signal ends them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.forecast.memory import memory_advice
from nuwa_cli.cli.main_errors import is_out_of_memory
from nuwa_cli.cli.recipes.recall import embedded, shown
from nuwa_cli.cli.work.output import Progress
from nuwa_cli.cli.work.runs import Run, streams
from nuwa_cli.cli.work.stream_out import send_clip
from nuwa_cli.cli.work.warm import is_warm
from nuwa_cli.errors import EnvironmentFault
from nuwa_cli.media.atomic import make_folder
from nuwa_cli.media.naming import makes_folder

if TYPE_CHECKING:
    from nuwa_cli.api import NuwaPipeline
    from nuwa_cli.api.engine import Prepared

OnDone = Callable[[Run, BaseException | None], None]
"""Called when the last file of a run is written, or with what went wrong."""


def raise_error(run: Run, error: BaseException | None) -> None:
    """What a command does that is alone: its error is that of the process, and where memory ran out, it
    says what to give instead."""
    if error is None:
        return
    if is_out_of_memory(error):
        advice = memory_advice(run.work.task, run.work.values)
        raise EnvironmentFault(f"memory: not enough for this run; {advice}") from error
    raise error


def draw_runs(
    runs: Sequence[Run],
    on_done: OnDone,
    on_progress: Callable[[float], None] | None = None,
) -> None:
    """Draw runs; `on_progress` is given the fraction of all. What `on_done` raises is passed on."""
    left: dict[object, list[Run]] = {}
    for run in runs:
        try:
            if run.settle():
                left.setdefault(run.work.model, []).append(run)
            else:
                on_done(run, None)
        except Exception as error:
            on_done(run, error)
    total = sum(len(group) for group in left.values())
    done = 0
    for group in left.values():

        def report(fraction: float, done: int = done, size: int = len(group)) -> None:
            if on_progress is not None:
                on_progress((done + fraction * size) / total)

        _Group(group, on_done, report).draw()
        done += len(group)


class _Group:
    """Runs with the same model."""

    def __init__(
        self, runs: Sequence[Run], on_done: OnDone, on_progress: Callable[[float], None]
    ) -> None:
        self.runs = list(runs)
        self.on_done = on_done
        self.on_progress = on_progress

    def draw(self) -> None:
        """Load the model, draw everything."""
        from nuwa_cli.cli.forecast.calibration import Watch

        watch = Watch()
        pipeline = None
        was_loaded = False
        for run in list(self.runs):
            try:
                was_loaded |= not is_warm(run.work.model)
                pipeline = run.work.load()
                _say_fit(run, pipeline)
            except Exception as error:
                self._fail(run, error)
        if pipeline is None:
            return
        watch.ready(was_loaded=was_loaded)
        first = self.runs[0] if len(self.runs) == 1 else None
        total = sum(run.missing for run in self.runs)
        if first is not None:
            unit = "clip" if first.work.kind == "video" else "picture"
            with first.work.voice.progress(total, unit) as progress:
                self._draw_all(pipeline, progress)
            if first.plan is not None and first in self.runs:
                watch.record(first.plan)
        else:
            self._draw_all(pipeline, _Fraction(total, self.on_progress))

    def _draw_all(self, pipeline: NuwaPipeline, progress: Progress) -> None:
        together = min(run.plan.together for run in self.runs if run.plan is not None)
        window: list[tuple[Run, int, Prepared]] = []
        # Like outputs share the steps of the decoder: those of a task come after each other.
        for run in sorted(self.runs, key=lambda run: run.work.task):
            if window and window[-1][0].work.task != run.work.task:
                self._draw_window(pipeline, window, progress)
                window = []
            for index in run.to_do():
                is_streamed = streams(run, index)
                if is_streamed and any(entry[0] is run for entry in window):
                    self._draw_window(pipeline, window, progress)  # its outputs come in order
                    window = []
                if run not in self.runs:
                    break
                try:
                    if is_streamed:
                        _stream(run, index, pipeline, progress)
                        self._end(run, pipeline)
                        continue
                    window.append((run, index, pipeline.prepare(run.order(index))))
                except Exception as error:
                    self._fail(run, error)
                    window = [entry for entry in window if entry[0] is not run]
                    break
                if len(window) == together:
                    self._draw_window(pipeline, window, progress)
                    window = []
        if window:
            self._draw_window(pipeline, window, progress)

    def _draw_window(
        self,
        pipeline: NuwaPipeline,
        window: Sequence[tuple[Run, int, Prepared]],
        progress: Progress,
    ) -> None:
        """Draw some outputs at once; if that fails, one by one, to see whose fault it is."""
        size = len(window)

        def report(done: int, of: int) -> None:
            progress.step(done * size, of)

        def preview(number: int, frame: int, pixels: Any) -> None:
            run, index, _ = window[number]
            if run.preview is not None:
                run.preview.frame(index, frame, pixels)

        is_watched = any(run.preview is not None for run, _, _ in window)
        drawn = pipeline.draw(
            [prepared for _, _, prepared in window],
            together=size,
            on_progress=report,
            on_frame=preview if is_watched else None,  # every frame is decoded once more for it
        )
        for place, (run, index, _) in enumerate(window):
            if run not in self.runs:
                continue
            try:
                generated = next(drawn)
            except Exception as error:
                if size == 1:
                    self._fail(run, error)
                    return
                for entry in window[place:]:
                    if entry[0] in self.runs:
                        self._draw_window(pipeline, [entry], progress)
                return
            try:
                run.deliver(index, generated, progress)
            except Exception as error:
                self._fail(run, error)
            else:
                self._end(run, pipeline)

    def _end(self, run: Run, pipeline: NuwaPipeline) -> None:
        """Finish a run whose outputs are all there."""
        if run.missing:
            return
        try:
            if run.preview is not None:
                run.preview.close()
            run.finish(pipeline)
        except Exception as error:
            self._fail(run, error)
        else:
            self.on_done(run, None)

    def _fail(self, run: Run, error: Exception) -> None:
        self.runs.remove(run)
        self.on_done(run, error)


class _Fraction(Progress):
    """Progress of several runs, told to whoever draws them together."""

    def __init__(self, total: int, on_progress: Callable[[float], None]) -> None:
        super().__init__(total, "output")
        self._on_progress = on_progress

    def show(self, fraction: float) -> None:
        self._on_progress(fraction)


def _stream(run: Run, index: int, pipeline: NuwaPipeline, progress: Progress) -> None:
    """Draw a clip and write it frame by frame. Raises OutputError."""
    from nuwa_cli.api.streaming import stream_frames
    from nuwa_cli.media.video import write_video

    work, path = run.work, run.work.paths[index]
    clip = stream_frames(pipeline, run.order(index), on_progress=progress.step)
    recipe = embedded(clip.recipe, work.values_of(index))
    kept = None if work.output.no_metadata else recipe
    if work.form is not None:
        send_clip(clip.frames, clip.fps, work.form, kept)
    else:
        if makes_folder(work.output.output):
            make_folder(path.parent)
        write_video(path, clip.frames, clip.fps, kept, force=work.force)
    facts = {
        "prompt": clip.recipe["prompt"],
        "seed": clip.seed,
        "width": clip.width,
        "height": clip.height,
        "frames": clip.num_frames,
        "fps": clip.fps,
        "recipe": shown(recipe),
    }
    run.tell(index, facts, progress)


def _say_fit(run: Run, pipeline: NuwaPipeline) -> None:
    given, voice = run.given, run.work.voice
    if given is None:
        return

    from nuwa_cli.api.fitting import choose_fit

    fit = choose_fit(given, pipeline.model.config.tokenizer.image_size)
    if fit is None or not fit.describe():
        return
    if given.masks is None:
        voice.note(f"input: {fit.describe()}")
    else:
        left, top, width, height = fit.window
        voice.note(
            f"region: repainted in a window of {width}x{height} pixels at {left},{top}, "
            f"which the model sees as {fit.size}x{fit.size}"
        )
