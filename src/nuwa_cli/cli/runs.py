"""Runs whose inputs are read: what is out of date is drawn, written, shown and told.

Runs of several commands are drawn together: each model is loaded once, and like outputs of all of them share
the steps of the decoder. An error belongs to the run that it meets, the others go on; a signal ends them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.inputs import Source
from nuwa_cli.cli.output import Progress
from nuwa_cli.cli.recall import embedded, recorded, shown
from nuwa_cli.cli.stream_out import send, send_clip
from nuwa_cli.cli.warm import is_warm
from nuwa_cli.cli.work import Facts, Work
from nuwa_cli.media.atomic import make_folder
from nuwa_cli.media.naming import is_sequence, makes_folder

if TYPE_CHECKING:
    from nuwa_cli.api import Generated, Given, NuwaPipeline, Order
    from nuwa_cli.api.engine import Prepared
    from nuwa_cli.cli.plan import Plan
    from nuwa_cli.cli.preview import Preview
    from nuwa_cli.cli.sheet import SheetFile
    from nuwa_cli.cli.show import Display

OnDone = Callable[["Run", BaseException | None], None]
"""Called when the last file of a run is written, or with what went wrong."""

_LONG = 64  # frames from which on a clip is written while it is drawn


def raise_error(_: Run, error: BaseException | None) -> None:
    """What a command does that is alone: its error is that of the process."""
    if error is not None:
        raise error


@dataclass
class Run:
    """A command that is ready to draw."""

    work: Work
    given: Given | None = None
    facts: Facts | None = None
    current: list[int] = field(default_factory=list)  # outputs that are up to date
    missing: int = 0  # outputs that are still to be written
    plan: Plan | None = None
    sheet: SheetFile | None = None
    preview: Preview | None = None
    display: Display | None = None

    def __post_init__(self) -> None:
        output, work = self.work.output, self.work
        if output.sheet is not None:
            from nuwa_cli.cli.sheet import SheetFile

            self.sheet = SheetFile(
                output.sheet,
                len(work.jobs),
                force=work.force,
                with_recipe=not output.no_metadata,
                others=work.paths,
            )
        if output.preview is not None:
            from nuwa_cli.cli.preview import Preview

            self.preview = Preview(
                output.preview,
                len(work.jobs),
                None if work.kind == "video" else 1,
                force=work.force,
                others=work.paths,
            )

    @property
    def nbytes(self) -> int:
        """Memory of its inputs."""
        given = self.given
        arrays = () if given is None else (given.frames, given.masks, given.sketch, given.alpha)
        return sum(array.nbytes for array in arrays if array is not None)

    def order(self, index: int) -> Order:
        """One output, as the engine is asked for it."""
        from nuwa_cli.api import Order

        job = self.work.details[index]
        is_video = self.work.kind == "video"
        overrides = {**job.sampling.overrides(), **(job.clip.overrides() if is_video else {})}
        return Order(
            task=self.work.task,
            prompt=job.prompt,
            given=self.given,
            num_frames=job.clip.frames if is_video else None,
            seed=job.seed,
            best_of=job.sampling.candidates(),
            fps=job.clip.fps if is_video else None,
            sampling=overrides,
        )

    def settle(self) -> bool:
        """What needs no model: outputs that are up to date, a dry run. Whether anything is left to do.

        Raises UsageError, InputError, EnvironmentFault for more memory than there is.
        """
        work = self.work
        if work.output.update:
            self.current = up_to_date(work, [] if self.given is None else list(self.given.sources))
        self.missing = len(work.jobs) - len(self.current)
        if not self.missing:
            tell_current(work, self.current)
            work.finish()
            return False

        from nuwa_cli.cli.plan import forecast
        from nuwa_cli.cli.plan_memory import check_memory
        from nuwa_cli.hub.catalog import find_model
        from nuwa_cli.hub.manifest import read_manifest

        to_do = self.to_do()
        plan = forecast(
            work.config(),
            [self.order(index) for index in to_do],
            model=work.model,
            manifest=read_manifest(find_model(work.model.model)),
            streamed=[place for place, index in enumerate(to_do) if _streams(self, index)],
        )
        chunks = check_memory(plan, work.output.max_memory)
        if chunks.note:
            work.voice.note(chunks.note)
        self.plan = replace(plan, together=chunks.together)
        if work.output.dry_run:
            self._tell_plan(self.plan)
            return False
        if work.output.show:
            from nuwa_cli.cli.show import Display

            self.display = Display(work.voice.note)
        return True

    def to_do(self) -> list[int]:
        """Outputs that are to be drawn."""
        return [index for index in range(len(self.work.jobs)) if index not in self.current]

    def _tell_plan(self, plan: Plan) -> None:
        work = self.work
        for place, index in enumerate(self.to_do()):
            prompt, seed = work.jobs[index]
            facts = {"prompt": prompt, "seed": seed, **plan.facts(place)}
            path = work.paths[index]
            work.voice.result(path, facts, line=f"{path}: {plan.describe(place)}")
        if self.sheet is not None:
            work.voice.result(self.sheet.path, {})
        work.voice.note(plan.total())
        work.voice.finish(work.task, dry_run=True)

    def deliver(self, index: int, generated: Generated, progress: Progress) -> None:
        """Write one output and tell it. Raises OutputError."""
        work, path = self.work, self.work.paths[index]
        tokens = None if _may_stream(work, index) else generated.tokens
        recipe = embedded(generated.recipe, work.values_of(index), tokens)
        generated = replace(generated, recipe=recipe)
        with_recipe = not work.output.no_metadata
        if work.form is not None:
            send(generated, work.form, with_recipe=with_recipe)
        else:
            if makes_folder(work.output.output):
                make_folder(path.parent)
            generated.save(path, force=work.force, with_recipe=with_recipe)
        facts = {**_facts(generated), **(self.facts(path, generated) if self.facts else {})}
        self.tell(index, facts, progress)
        if self.display is not None:
            with progress.aside():
                self.display.show(generated.frames, str(path), generated.fps)
        if self.sheet is not None:
            prompt, seed = work.jobs[index]
            self.sheet.add(
                generated.frames, prompt=prompt, seed=seed, name=path.name, recipe=recipe
            )

    def tell(self, index: int, facts: dict[str, Any], progress: Progress) -> None:
        """An output is complete."""
        progress.next()
        self.missing -= 1
        self.work.voice.result(self.work.paths[index], facts)

    def finish(self, pipeline: NuwaPipeline) -> None:
        """All outputs are complete. Raises OutputError."""
        tell_current(self.work, self.current)
        if self.sheet is not None:
            self.work.voice.result(self.sheet.path, self.sheet.write(self.work.task))
        self.work.finish(pipeline)


def up_to_date(work: Work, sources: Sequence[Source]) -> list[int]:
    """Outputs of a work that are what would be made now. Raises InputError."""
    from nuwa_cli.cli.up_to_date import Freshness

    fresh = Freshness(work.task, work.model.model, sources, work.prerequisites())
    current = []
    for index, (path, (prompt, seed)) in enumerate(zip(work.paths, work.jobs, strict=True)):
        if fresh.is_current(path, recorded(work.task, work.values_of(index), prompt, seed)):
            work.voice.note(f"'{path}': up to date")
            current.append(index)
    return current


def tell_current(work: Work, indices: Sequence[int]) -> None:
    """Outputs that were left alone are results too."""
    for index in indices:
        prompt, seed = work.jobs[index]
        facts = {"prompt": prompt, "seed": seed, "up_to_date": True}
        work.voice.result(work.paths[index], facts)


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
        from nuwa_cli.cli.calibration import Watch

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
        for run in list(self.runs):
            for index in run.to_do():
                try:
                    if _streams(run, index):
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

        drawn = pipeline.draw(
            [prepared for _, _, prepared in window],
            together=size,
            on_progress=report,
            on_frame=preview,
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


def _streams(run: Run, index: int) -> bool:
    """Whether a clip is written while it is drawn: to stdout, or because it is long."""
    work, job = run.work, run.work.details[index]
    is_seen = run.preview is not None or run.sheet is not None or work.output.show
    if is_seen or (job.sampling.candidates() or 1) > 1 or not _may_stream(work, index):
        return False
    path = work.paths[index]
    is_streamable = is_sequence(path) or path.suffix.lower() in (".mp4", ".webm")
    return work.form is not None or (is_streamable and run.facts is None)


def _may_stream(work: Work, index: int) -> bool:
    """Whether a clip like that leaves before its tokens are known: then its recipe has none, however
    this one leaves."""
    is_long = (work.details[index].clip.frames or 0) > _LONG
    return work.kind == "video" and (work.form is not None or is_long)


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


def _facts(generated: Generated) -> dict[str, Any]:
    frames, height, width = generated.frames.shape[:3]
    return {
        "prompt": generated.recipe["prompt"],
        "seed": generated.seed,
        "sample_seed": generated.recipe["sample_seed"],
        "score": generated.score,
        "width": width,
        "height": height,
        "frames": frames,
        "fps": generated.fps,
        **({"fit": generated.fit} if "window" in generated.recipe else {}),
        "recipe": shown(generated.recipe),
    }
