"""`NuwaPipeline`: what scripts import. One method a task, arrays of any size in, `Generated` out."""

from __future__ import annotations

from typing import Any, Unpack

from nuwa_cli.api.engine import Engine, RunOptions
from nuwa_cli.api.generated import Generated
from nuwa_cli.api.given import FitMode, Given, as_frames, as_masks, as_sketch


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
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Complete a picture (H, W, 3) where the mask (H, W) is True (I2I). The result has the
        picture's size, and its pixels outside the mask. Raises UsageError for unusable inputs."""
        return self._repaint("inpaint", picture, mask, prompt, feather, fit, options)

    def edit(
        self,
        picture: Any,
        mask: Any,
        prompt: str,
        *,
        feather: float = 0.0,
        fit: FitMode | None = None,
        **options: Unpack[RunOptions],
    ) -> Generated:
        """Paint a text into a picture (H, W, 3) where the mask (H, W) is True (TI2I); otherwise as
        `inpaint`. Raises UsageError for unusable inputs."""
        return self._repaint("edit", picture, mask, prompt, feather, fit, options)

    def edit_video(
        self,
        frames: Any,
        prompt: str,
        *,
        keep_first: int | None = None,
        masks: Any = None,
        feather: float = 0.0,
        fit: FitMode | None = None,
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
        options: RunOptions,
    ) -> Generated:
        given = Given(
            frames=as_frames(picture)[:1], masks=as_masks(mask)[:1], feather=feather, fit=fit
        )
        return self.run(task, prompt, given=given, **options)
