"""A command whose inputs are read: what of it is out of date, what it will take, and what becomes of each output.

`drawing` draws one or several of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from nuwa_cli.cli.recipes.recall import embedded, shown
from nuwa_cli.cli.work.current import Current
from nuwa_cli.cli.work.output import Progress
from nuwa_cli.cli.work.stream_out import send
from nuwa_cli.cli.work.work import Facts, Work
from nuwa_cli.media.atomic import make_folder
from nuwa_cli.media.naming import is_sequence, makes_folder

if TYPE_CHECKING:
    from nuwa_cli.api import Generated, Given, NuwaPipeline, Order
    from nuwa_cli.cli.forecast.plan import Plan
    from nuwa_cli.cli.looking.preview import Preview
    from nuwa_cli.cli.looking.sheet import SheetFile
    from nuwa_cli.cli.looking.show import Display

_LONG = 64  # frames from which on a clip is written while it is drawn


@dataclass
class Run:
    """A command that is ready to draw."""

    work: Work
    given: Given | None = None
    facts: Facts | None = None
    current: Current = field(init=False)  # outputs that are up to date, once it is settled
    missing: int = 0  # outputs that are still to be written
    plan: Plan | None = None
    sheet: SheetFile | None = None
    preview: Preview | None = None
    display: Display | None = None

    def __post_init__(self) -> None:
        output, work = self.work.output, self.work
        if output.sheet is not None:
            from nuwa_cli.cli.looking.sheet import SheetFile

            self.sheet = SheetFile(
                output.sheet,
                len(work.jobs),
                force=work.force,
                with_recipe=not output.no_metadata,
                others=work.paths,
            )
        if output.preview is not None:
            from nuwa_cli.cli.looking.preview import Preview

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
        self.current = Current(work, () if self.given is None else self.given.sources)
        to_do = self.to_do()
        self.missing = len(to_do)
        if not to_do:
            self.current.tell()
            work.finish()
            return False

        from nuwa_cli.cli.forecast.memory import check_memory
        from nuwa_cli.cli.forecast.plan import forecast
        from nuwa_cli.hub.catalog import find_model
        from nuwa_cli.hub.manifest import read_manifest

        plan = forecast(
            work.config(),
            [self.order(index) for index in to_do],
            model=work.model,
            manifest=read_manifest(find_model(work.model.model)),
            streamed=[place for place, index in enumerate(to_do) if streams(self, index)],
        )
        chunks = check_memory(plan, work.output.max_memory)
        if chunks.note:
            work.voice.note(chunks.note)
        self.plan = replace(plan, together=chunks.together)
        if work.output.dry_run:
            self._tell_plan(self.plan)
            return False
        if work.output.show:
            from nuwa_cli.cli.looking.show import Display

            self.display = Display(work.voice.note)
        return True

    def to_do(self) -> list[int]:
        """Outputs that are to be drawn."""
        return self.current.others()

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
        facts = _facts(generated)
        if self.facts is not None and work.form is None:
            facts |= self.facts(path, generated)
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
        """An output is complete, and all before it."""
        progress.next()
        self.missing -= 1
        self.current.tell(before=index)
        self.work.voice.result(self.work.paths[index], facts)

    def finish(self, pipeline: NuwaPipeline) -> None:
        """All outputs are complete. Raises OutputError."""
        self.current.tell()
        if self.sheet is not None:
            self.work.voice.result(self.sheet.path, self.sheet.write(self.work.task))
        self.work.finish(pipeline)


def streams(run: Run, index: int) -> bool:
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
