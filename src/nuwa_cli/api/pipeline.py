"""`NuwaPipeline`: what scripts import. One method a task, arrays of any size in, `Generated` out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from nuwa_cli.api.clip_extension import ClipExtension, start_clip_extension
from nuwa_cli.api.engine import Engine, RunOptions, SamplingOverrides
from nuwa_cli.api.extension import Extension, start_extension, start_wide
from nuwa_cli.api.generated import Generated
from nuwa_cli.api.given import FitMode, Given, as_frames, as_masks, as_sketch
from nuwa_cli.infinity.geometry import Margins
from nuwa_cli.infinity.words import Segment
from nuwa_cli.tasks.inputs import CompletionEngine
from nuwa_cli.tasks.run import OnProgress


class NuwaPipeline(Engine):
    """A loaded model and its eight tasks. Options of every method are those of `RunOptions`; each
    raises UsageError for inputs that cannot be used."""

    def text_to_image(self, prompt: str, **options: Unpack[RunOptions]) -> Generated:
        """Draw a picture of a text (T2I). Raises UsageError for unusable inputs."""
        return self.run("t2i", prompt, **options)

    def text_to_video(
        self, prompt: str, *, num_frames: int | None = None, **options: Unpack[RunOptions]
    ) -> Generated:
        """Make a clip of a text (T2V). Raises UsageError for unusable inputs."""
        return self.run("t2v", prompt, num_frames=num_frames, **options)

    def sketch_to_image(
        self,
        classes: Any,
        prompt: str = "",
        *,
        fit: FitMode | None = None,
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Draw a picture of a sketch (S2I): class ids (H, W) of `sketches.palette`, any size.

        Raises UsageError for unusable inputs, InputError when the model reads no sketches.
        """
        return self.run(
            "sketch2img", prompt, given=Given(sketch=as_sketch(classes)[:1], fit=fit), **options
        )

    def sketch_to_video(
        self,
        classes: Any,
        prompt: str = "",
        *,
        fit: FitMode | None = None,
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Make a clip of a moving sketch (S2V): class ids (T, H, W), one map a frame.

        Raises UsageError for unusable inputs, InputError when the model reads no sketches.
        """
        return self.run(
            "sketch2vid", prompt, given=Given(sketch=as_sketch(classes), fit=fit), **options
        )

    def predict(
        self,
        frames: Any,
        prompt: str = "",
        *,
        num_frames: int | None = None,
        fit: FitMode | None = None,
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Set a picture (H, W, 3) in motion, or go on with a clip (T, H, W, 3) (V2V): a clip of
        `num_frames` in the model's square, which begins with what was given.

        Raises UsageError for unusable inputs.
        """
        given = Given(frames=as_frames(frames), fit=fit)
        return self.run("predict", prompt, given=given, num_frames=num_frames, **options)

    def inpaint(
        self,
        picture: Any,
        mask: Any,
        prompt: str = "",
        *,
        feather: float = 0.0,
        fit: FitMode | None = None,
        engine: CompletionEngine = "lip",
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Complete a picture (H, W, 3) where the mask (H, W) is True (I2I, LIP). The result has the
        picture's size, and its pixels outside the mask. Raises UsageError for unusable inputs."""
        return self._repaint("inpaint", picture, mask, prompt, feather, fit, engine, options)

    def edit(
        self,
        picture: Any,
        mask: Any,
        prompt: str,
        *,
        feather: float = 0.0,
        fit: FitMode | None = None,
        engine: CompletionEngine = "lip",
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Paint a text into a picture (H, W, 3) where the mask (H, W) is True (TI2I); otherwise as
        `inpaint`. Raises UsageError for unusable inputs."""
        return self._repaint("edit", picture, mask, prompt, feather, fit, engine, options)

    def start_extension(
        self,
        picture: Any,
        margins: Margins,
        prompt: str = "",
        *,
        segments: Sequence[Segment] = (),
        sources: tuple[dict[str, str], ...] = (),
        seed: int | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> Extension:
        """Plan a picture (H, W, 3) that grows by `margins` pixels; `Extension.pieces` draws it.

        `prompt` holds up to the first of the segments. `sources` are name and sha256 of the files, for
        the recipe. Raises UsageError for unusable inputs.
        """
        return start_extension(
            self,
            picture,
            margins,
            prompt,
            segments=segments,
            sources=sources,
            seed=seed,
            on_progress=on_progress,
            **sampling,
        )

    def extend(
        self,
        picture: Any,
        margins: Margins,
        prompt: str = "",
        *,
        segments: Sequence[Segment] = (),
        seed: int | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> Generated:
        """The same at once, in memory. Raises UsageError for unusable inputs."""
        extension = self.start_extension(
            picture,
            margins,
            prompt,
            segments=segments,
            seed=seed,
            on_progress=on_progress,
            **sampling,
        )
        return extension.generate()

    def start_wide(
        self,
        prompt: str,
        width: int,
        height: int,
        *,
        seed: int | None = None,
        best_of: int | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> Extension:
        """Plan a picture of a text with `width` x `height` pixels. In its middle stands the model's own
        picture, which is drawn now, reduced where a side is shorter than that; around it the same words
        with nobody in the place. Raises UsageError for unusable inputs."""
        return start_wide(
            self,
            prompt,
            width,
            height,
            seed=seed,
            best_of=best_of,
            on_progress=on_progress,
            **sampling,
        )

    def edit_video(
        self,
        frames: Any,
        prompt: str,
        *,
        keep_first: int | None = None,
        masks: Any = None,
        feather: float = 0.0,
        fit: FitMode | None = None,
        engine: CompletionEngine = "lip",
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Change a clip (T, H, W, 3) by a text (TV2V): its first frames stay (one, unless there is
        a region), and so does what lies outside the masks (H, W) or (T, H, W).

        Raises UsageError for unusable inputs.
        """
        kept = int(masks is None) if keep_first is None else keep_first
        given = Given(
            frames=as_frames(frames, "clip"),
            masks=None if masks is None else as_masks(masks),
            keep_first=kept,
            feather=feather,
            fit=fit,
            engine=engine,
        )
        return self.run("vedit", prompt, given=given, **options)

    def _repaint(
        self,
        task: str,
        picture: Any,
        mask: Any,
        prompt: str,
        feather: float,
        fit: FitMode | None,
        engine: CompletionEngine,
        options: RunOptions,
    ) -> Generated:
        given = Given(
            frames=as_frames(picture)[:1],
            masks=as_masks(mask)[:1],
            feather=feather,
            fit=fit,
            engine=engine,
        )
        return self.run(task, prompt, given=given, **options)

    def start_clip_extension(
        self,
        frames: Any,
        num_frames: int | None = None,
        margins: Margins | None = None,
        prompt: str = "",
        *,
        num_given: int | None = None,
        sources: tuple[dict[str, str], ...] = (),
        seed: int | None = None,
        fps: float | None = None,
        on_progress: OnProgress | None = None,
        **sampling: Unpack[SamplingOverrides],
    ) -> ClipExtension:
        """Plan a clip that goes on up to `num_frames` in all, or grows by `margins` pixels, or both;
        `ClipExtension.frames` draws it frame by frame.

        `frames` are (T, H, W, 3), or come one by one as (H, W, 3): then `num_given` says how many. They
        should follow each other at the model's own speed, and `fps` says what the result plays at.
        `sources` are name and sha256 of the files, for the recipe. Raises UsageError for unusable inputs.
        """
        return start_clip_extension(
            self,
            frames,
            num_frames,
            margins,
            prompt,
            num_given=num_given,
            sources=sources,
            seed=seed,
            fps=fps,
            on_progress=on_progress,
            **sampling,
        )
