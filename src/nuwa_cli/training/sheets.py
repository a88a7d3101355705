"""Sheets of pictures, drawn while training so that a person can look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nuwa_cli.ops.pixels import to_levels, to_pixels
from nuwa_cli.sketches.maps import colorize


def save_sheet(rows: list[Tensor], path: Path) -> None:
    """Rows of pictures (b, 3, H, W) in [-1, 1] side by side, as one PNG at `path`."""
    lines = [torch.cat(list(row.float().cpu()), dim=-1) for row in rows]  # each (3, H, b*W)
    sheet = to_levels(torch.cat(lines, dim=-2))
    Image.fromarray(np.ascontiguousarray(sheet.permute(1, 2, 0).numpy())).save(path)


def class_colors(classes: Tensor) -> Tensor:
    """Class maps (b, H, W) as pictures (b, 3, H, W) in [-1, 1], on the CPU."""
    colors = torch.from_numpy(colorize(classes.cpu().numpy()))
    return to_pixels(colors.permute(0, 3, 1, 2))
