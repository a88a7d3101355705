"""The region to repaint: its options, checked before anything is read, and its preview."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nuwa_cli.cli.work.inputs import Source, input_callback, source_of
from nuwa_cli.cli.work.rehearsal import is_rehearsal
from nuwa_cli.errors import UsageError
from nuwa_cli.media.atomic import check_output
from nuwa_cli.media.naming import check_suffix

if TYPE_CHECKING:
    import numpy as np

    from nuwa_cli.compositing.regions import RegionSpec


@dataclass(frozen=True, kw_only=True)
class RegionOptions:
    """Shapes, mask files and transparency, united; white means repaint."""

    box: Annotated[
        list[str] | None,
        typer.Option("--box", metavar="X,Y,W,H", help="Repaint a box; pixels or percents."),
    ] = None
    ellipse: Annotated[
        list[str] | None,
        typer.Option("--ellipse", metavar="X,Y,W,H", help="Repaint the ellipse in a box."),
    ] = None
    polygon: Annotated[
        list[str] | None,
        typer.Option("--polygon", metavar="'X,Y X,Y X,Y'", help="Repaint a polygon."),
    ] = None
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            metavar="FILE",
            help="Repaint what is white in this picture.",
            callback=input_callback,
        ),
    ] = None
    alpha: Annotated[
        bool, typer.Option("--alpha", help="Repaint what is transparent in the input.")
    ] = False
    mask_invert: Annotated[
        bool, typer.Option("--mask-invert", help="Repaint everything but the region.")
    ] = False
    feather: Annotated[
        float, typer.Option("--feather", metavar="PX", help="Fade in over PX pixels.")
    ] = 0.0
    mask_preview: Annotated[
        Path | None,
        typer.Option("--mask-preview", metavar="FILE", help="Also write what will be repainted."),
    ] = None

    def check(self, *, force: bool, is_needed: bool = True) -> RegionSpec:
        """The region as described. Raises UsageError for a text that does not parse or when a
        needed region is missing, OutputError for a preview that cannot be written."""
        from nuwa_cli.compositing.regions import RegionSpec

        spec = RegionSpec(
            boxes=tuple(self.box or ()),
            ellipses=tuple(self.ellipse or ()),
            polygons=tuple(self.polygon or ()),
            mask=self.mask,
            use_alpha=self.alpha,
            invert=self.mask_invert,
            feather=self.feather,
        )
        spec.check()
        is_modified = self.mask_invert or self.feather or self.mask_preview is not None
        if spec.is_empty and (is_needed or is_modified):
            raise UsageError(
                "region: none is given; say what to repaint with --box, --ellipse, --polygon, "
                "--mask or --alpha"
            )
        if self.mask_preview is not None:
            check_suffix(self.mask_preview, "image")
            check_output(self.mask_preview, force=force)
        return spec

    def write_preview(
        self,
        pixels: np.ndarray[Any, np.dtype[np.uint8]],
        mask: np.ndarray[Any, np.dtype[np.bool_]],
        *,
        force: bool,
    ) -> None:
        """Write the picture (H, W, 3) with its region (H, W) marked, if asked for, in a dry run
        too: that is what a dry run of an edit is for."""
        if self.mask_preview is None or is_rehearsal():
            return
        from nuwa_cli.compositing.regions import preview
        from nuwa_cli.media.image import write_image

        write_image(self.mask_preview, preview(pixels, mask), force=force)

    def mask_source(self) -> list[Source]:
        """The mask file, for the recipe."""
        return [] if self.mask is None else [source_of(self.mask)]

    def facts(self) -> dict[str, Any]:
        """The region as it was given, for the recipe; file names without their folder."""
        given = {
            "box": self.box,
            "ellipse": self.ellipse,
            "polygon": self.polygon,
            "mask": self.mask and self.mask.name,
            "alpha": self.alpha,
            "mask_invert": self.mask_invert,
            "feather": self.feather,
        }
        return {name: value for name, value in given.items() if value}
