"""What the two VQ-GANs keep of unseen renders and of their sketches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from nuwa_cli.evaluation.probes import Probe, make_probes
from nuwa_cli.evaluation.reconstruction import measure_tokenizer
from nuwa_cli.evaluation.samples import Sample, judge, verdicts
from nuwa_cli.evaluation.segmentation import SketchTokenizer, measure_sketch_tokenizer
from nuwa_cli.evaluation.text_tasks import CHUNK, render_probes, summary
from nuwa_cli.model.evaluator import Evaluator
from nuwa_cli.ops.pixels import to_levels, to_pixels
from nuwa_cli.sketches.palette import NUM_SKETCH_CLASSES
from nuwa_cli.storybook.render import Renderer
from nuwa_cli.storybook.world import WorldConfig
from nuwa_cli.tokenizer.vqgan import VQGAN

_PICTURES = 256


@torch.inference_mode()
def tokenizer_figures(
    tokenizer: VQGAN, evaluator: Evaluator, renderer: Renderer, world: WorldConfig
) -> dict[str, float]:
    """Reconstruction of unseen renders by the VQ-GAN, the health of its codebook, and how often the
    judge still sees the right subject and place afterwards: no sample can do better."""
    probes = make_probes(world, "image", "train", _PICTURES)
    chunks = [probes[start : start + CHUNK] for start in range(0, len(probes), CHUNK)]
    size = tokenizer.config.image_size
    device = next(tokenizer.parameters()).device

    def pixels_of(chunk: Sequence[Probe]) -> Tensor:
        frames = render_probes(renderer, chunk, "image")[:, 0].float()
        resized = torch.nn.functional.interpolate(frames, (size, size), mode="area")
        return to_pixels(resized).to(device)

    figures = measure_tokenizer(tokenizer, tokenizer.config.codebook_size, map(pixels_of, chunks))
    kept: list[Sample] = []
    for chunk in chunks:
        restored = tokenizer.decode(tokenizer.encode(pixels_of(chunk)))
        images = to_levels(restored)
        judged = judge(evaluator, "image", images[:, None])
        kept += verdicts(evaluator, "kept", chunk, judged, [None] * len(chunk), [""] * len(chunk))
    seen = summary(kept)
    return figures | {"subject_kept": seen["subject"], "place_kept": seen["place"]}


def sketch_tokenizer_figures(
    tokenizer: SketchTokenizer,
    renderer: Renderer,
    world: WorldConfig,
    device: torch.device | str = "cpu",
) -> dict[str, Any]:
    """Pixel accuracy, mean IoU and frequency-weighted IoU of the class maps of unseen renders after
    the VQ-GAN-Seg, at the size that it works at."""
    specs = [probe.spec for probe in make_probes(world, "image", "train", _PICTURES)]

    def classes_of(start: int) -> Tensor:
        chunk = specs[start : start + CHUNK]
        moments = [[spec.seed % spec.num_frames] for spec in chunk]
        return renderer.render(chunk, moments).classes[:, 0].to(device)

    batches = map(classes_of, range(0, len(specs), CHUNK))
    return measure_sketch_tokenizer(tokenizer, batches, NUM_SKETCH_CLASSES)
