"""Layouts: where in each frame the subject is, planned from the text before a token is drawn.

Small windows know little of the whole: a car may grow three windows too many. So each cell is told, as
part of its position, whether it lies inside the subject's box, and where in it (an 8 × 8 raster). The
box comes from a planner, a tiny autoregressive net over the pooled text: boxes at the first, middle and
last frame, which also decide the path of travel. A layout is known before decoding starts, so wavefront
decoding stays exact; a cell of -1 has none, and a model asked without a layout simply draws.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nuwa_cli.ops.grid import GridShape

PARTS = 8  # rows and columns of the raster inside a box
OUTSIDE = 0
LAYOUT_VOCAB = 1 + PARTS * PARTS
BINS = 32  # steps of a box coordinate
KEY_FRAMES = 3
NUM_SLOTS = 1 + 4 * KEY_FRAMES  # is there a subject; center x, center y, width, height per key
_HIDDEN = 192


class LayoutPlanner(nn.Module):
    """Pooled text → bins of the key boxes, one slot after another (a NADE: one hidden layer whose
    input is the text plus every earlier slot)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.text = nn.Linear(dim, _HIDDEN)
        self.earlier = nn.Parameter(torch.empty(NUM_SLOTS, BINS, _HIDDEN))
        self.slots = nn.Parameter(torch.empty(NUM_SLOTS, _HIDDEN))
        self.kinds = nn.Parameter(torch.empty(2, _HIDDEN))  # of a picture, of a clip
        self.heads = nn.Parameter(torch.empty(NUM_SLOTS, BINS, _HIDDEN))

    def forward(self, pooled: Tensor, bins: Tensor, *, is_clip: bool) -> Tensor:
        """Teacher-forced logits: (b, d), int64 (b, s) → (b, s, BINS)."""
        count = bins.shape[1]
        steps = torch.arange(count, device=bins.device)
        given = self.earlier[steps, bins]  # (b, s, hidden)
        before = F.pad(given.cumsum(dim=1)[:, :-1], (0, 0, 1, 0))
        start = self.text(pooled) + self.kinds[int(is_clip)]
        hidden = F.gelu(start[:, None] + before + self.slots[:count])
        return torch.einsum("bsd,svd->bsv", hidden, self.heads[:count].to(hidden.dtype))

    def draw(
        self,
        pooled: Tensor,
        uniforms: Tensor,
        *,
        is_clip: bool,
        given: Tensor | None = None,
        temperature: float = 0.7,
    ) -> Tensor:
        """Bins (b, NUM_SLOTS) for pooled texts (b, d), one number in [0, 1) per slot (b, NUM_SLOTS).

        Args:
            given: bins (1, s) of the first slots, if these are settled already.
        """
        start = torch.zeros(1, 0, dtype=torch.int64, device=pooled.device)
        bins = (start if given is None else given).expand(len(pooled), -1)
        for slot in range(bins.shape[1], NUM_SLOTS):
            logits = self.forward(pooled, F.pad(bins, (0, 1)), is_clip=is_clip)[:, slot].double()
            mass = (logits / temperature).softmax(dim=-1).cumsum(dim=-1)
            chosen = torch.searchsorted(mass, uniforms[:, slot : slot + 1].to(mass).contiguous())
            bins = torch.cat((bins, chosen.clamp(max=BINS - 1)), dim=1)
        return bins


def boxes_of(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Bounding boxes of masks (…, H, W): (center x, center y, width, height) as shares of the
    frame, (…, 4), and whether there is anything, bool (…)."""
    height, width = mask.shape[-2:]
    spans = []
    for size, dim in ((width, -2), (height, -1)):
        line = (mask > 0).any(dim=dim)
        index = torch.arange(size, device=mask.device)
        low = torch.where(line, index, size).amin(dim=-1) / size
        high = torch.where(line, index + 1, 0).amax(dim=-1) / size
        spans.append((low, high))
    (x0, x1), (y0, y1) = spans
    boxes = torch.stack(((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0), dim=-1)
    return boxes.clamp(0, 1), x1 > x0


def to_bins(boxes: Tensor) -> Tensor:
    """Shares in [0, 1] → int64 bins."""
    return (boxes * BINS).long().clamp(0, BINS - 1)


def from_bins(bins: Tensor) -> Tensor:
    """Bins → the share in the middle of each."""
    return (bins.float() + 0.5) / BINS


def key_boxes(bins: Tensor) -> tuple[Tensor, Tensor]:
    """Planned bins (b, NUM_SLOTS) → boxes (b, KEY_FRAMES, 4), and whether there is a subject."""
    return from_bins(bins[:, 1:]).view(-1, KEY_FRAMES, 4), bins[:, 0] > 0


def box_path(keys: Tensor, num_frames: int, planned_frames: int) -> Tensor:
    """Boxes of every frame (b, num_frames, 4) from the key boxes of a clip of `planned_frames`,
    straight from key to key; a longer clip stays at the last one."""
    last = max(planned_frames - 1, 1)
    place = torch.arange(num_frames, device=keys.device).clamp(max=last) / last * (KEY_FRAMES - 1)
    low = place.long().clamp(max=KEY_FRAMES - 2)
    share = (place - low)[None, :, None]
    return keys[:, low] * (1 - share) + keys[:, low + 1] * share


def rasterize(boxes: Tensor, present: Tensor, grid: GridShape) -> Tensor:
    """Layout tokens (b, t, h, w) of boxes (b, t, 4); frames without a subject are all outside.

    Args:
        present: bool (b, t).
    """
    center_x, center_y, width, height = boxes.unbind(dim=-1)
    columns = _parts(center_x, width, grid.width)  # (b, t, w), -1 outside
    rows = _parts(center_y, height, grid.height)  # (b, t, h)
    inside = (rows >= 0)[..., :, None] & (columns >= 0)[..., None, :]
    part = rows[..., :, None] * PARTS + columns[..., None, :]
    tokens = torch.where(inside, part + 1, OUTSIDE)
    return torch.where(present[..., None, None], tokens, OUTSIDE)


def _parts(center: Tensor, extent: Tensor, cells: int) -> Tensor:
    """Which of the PARTS of a span each cell's middle lies in, -1 outside: (…) → (…, cells)."""
    middle = (torch.arange(cells, device=center.device) + 0.5) / cells
    extent = extent.clamp(min=1.0 / cells)[..., None]
    share = (middle - center[..., None]) / extent + 0.5
    part = (share * PARTS).long().clamp(0, PARTS - 1)
    return torch.where((share >= 0) & (share < 1), part, -1)
