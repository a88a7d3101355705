"""How well two class maps agree, and how steady a clip stays where its sketch does.

Everything comes from one confusion matrix n, whose entry n[i, j] counts the pixels of class i that
were found to be class j (Long et al. 2015):

    pixel accuracy              Σᵢ nᵢᵢ / Σ n
    IoU of class i              nᵢᵢ / (Σⱼ nᵢⱼ + Σⱼ nⱼᵢ - nᵢᵢ)
    mean IoU                    over the classes that the truth contains
    frequency-weighted IoU      Σᵢ IoUᵢ Σⱼ nᵢⱼ / Σ n

The same figures serve the VQ-GAN-Seg (a sketch against what comes back from its tokens) and sketch
consistency (the given sketch against the segmentation of the generated picture). Matrices add up, so
a set is measured by the sum over its samples, not by a mean of ratios.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nuwa_cli.errors import UsageError
from nuwa_cli.tokenizer.vqgan_seg import resize

Matrix = NDArray[np.int64]
Maps = NDArray[np.uint8]


def confusion_matrix(truth: Maps, found: Maps, num_classes: int) -> Matrix:
    """Counts (k, k) of true class (row) and found class (column) of two maps of one shape, any
    rank. Raises UsageError for maps that differ in shape or hold an id beyond `num_classes`."""
    if truth.shape != found.shape:
        raise UsageError(
            f"class maps '{truth.shape}': not of the shape {found.shape}; give maps of one shape"
        )
    if max(truth.max(initial=0), found.max(initial=0)) >= num_classes:
        raise UsageError(f"class maps: hold an id that is not below {num_classes}; use its classes")
    cells = truth.astype(np.int64).ravel() * num_classes + found.ravel()
    counts = np.bincount(cells, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def agreement(matrix: Matrix) -> dict[str, float | None]:
    """Pixel accuracy, mean IoU and frequency-weighted IoU, 0 … 1; None where nothing was counted."""
    total = int(matrix.sum())
    if total == 0:
        return {"pixel_accuracy": None, "mean_iou": None, "fw_iou": None}
    hits, sizes = np.diagonal(matrix), matrix.sum(axis=1)
    iou = hits / np.maximum(sizes + matrix.sum(axis=0) - hits, 1)
    return {
        "pixel_accuracy": round(float(hits.sum() / total), 4),
        "mean_iou": round(float(iou[sizes > 0].mean()), 4),
        "fw_iou": round(float((iou * sizes).sum() / total), 4),
    }


def to_counts(matrix: Matrix) -> list[list[int]]:
    """The cells of a matrix that are not zero as [truth, found, pixels], for JSON."""
    rows, columns = np.nonzero(matrix)
    return [[int(i), int(j), int(matrix[i, j])] for i, j in zip(rows, columns, strict=True)]


def from_counts(counts: Iterable[list[int]], num_classes: int) -> Matrix:
    """What `to_counts` gave, as a matrix again; counts of several matrices add up."""
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    for row, column, pixels in counts:
        matrix[row, column] += pixels
    return matrix


def temporal_consistency(sketches: Maps, found: Maps) -> float | None:
    """Of all pixels whose class in the sketches (T, H, W) is that of the frame before, the share
    whose found class (T, H, W) is that of the frame before too. None if the sketches never rest."""
    rests = sketches[1:] == sketches[:-1]
    stays = found[1:] == found[:-1]
    count = int(rests.sum())
    return float((rests & stays).sum() / count) if count else None


def unchanged(sketches: Maps) -> NDArray[np.bool_]:
    """Pixels (H, W) whose class is the same in all sketches (T, H, W)."""
    rests: NDArray[np.bool_] = (sketches == sketches[:1]).all(axis=0)
    return rests


def frame_difference(frames: NDArray[np.uint8], where: NDArray[np.bool_]) -> float | None:
    """Mean absolute difference of neighbouring frames (T, H, W, 3) in the region `where` (H, W), in
    1/255. Nothing is warped: in a region at rest every difference is flicker. None if there is no
    region or only one frame."""
    if len(frames) < 2 or not where.any():
        return None
    region = frames[:, where].astype(np.int16)
    return float(np.abs(region[1:] - region[:-1]).mean())


class SketchTokenizer(Protocol):
    """The part of a VQ-GAN-Seg that is measured."""

    def encode_classes(self, classes: Tensor) -> Tensor: ...

    def decode_classes(self, tokens: Tensor) -> Tensor: ...


@torch.inference_mode()
def measure_sketch_tokenizer(
    tokenizer: SketchTokenizer, batches: Iterable[Tensor], num_classes: int
) -> dict[str, Any]:
    """Agreement of class maps (b, H, W) with what comes back from their tokens, at the size that the
    tokenizer works at."""
    matrix = np.zeros((num_classes, num_classes), dtype=np.int64)
    maps = 0
    for classes in batches:
        restored = tokenizer.decode_classes(tokenizer.encode_classes(classes)).cpu()
        truth = resize(classes, restored.shape[-1]).cpu()
        matrix += confusion_matrix(truth.numpy(), restored.numpy(), num_classes)
        maps += len(classes)
    return {**agreement(matrix), "sketches": maps}
