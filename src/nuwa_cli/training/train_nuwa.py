"""Stage two: the 3D encoder-decoder on tokens of a finished VQ-GAN (paper §3.4, eq. 16).

Loss = cross-entropy of the target's tokens. A step trains one task, drawn by the weights of the
recipe's phase: `t2i` (a picture given text), `t2v` (a clip given text), `v2v` (a clip given the word
"None"), `s2i` and `s2v` (given a sketch, with or without text), `i2i` and `tv2v` (a picture or clip
given but for a hole, with or without text; loss in the hole only), or `text` (the text encoder alone,
which costs next to nothing).

Three things make a small budget go further:
- cells that hold the subject count `1 + subject_weight` times: backgrounds are easy, subjects are not;
- the pooled condition also predicts the scene's attributes (subject, place, time, motion) through small heads
  that only exist while training, so that words and sketches mean something within the first minute;
- a share of the *seen* tokens is replaced at random, so that sampling's own small errors are
  nothing new. The predicted tokens are never touched.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nuwa_cli.config import SamplingConfig
from nuwa_cli.errors import UsageError
from nuwa_cli.model.condition import ABSENT, Condition
from nuwa_cli.model.encoder import EncodedCondition
from nuwa_cli.model.layout import boxes_of, from_bins, rasterize, to_bins
from nuwa_cli.model.nuwa import Nuwa
from nuwa_cli.ops.grid import GridShape, grid_of
from nuwa_cli.ops.samples import sample_pixels
from nuwa_cli.presets import get_preset
from nuwa_cli.tasks.plan import Plan
from nuwa_cli.tasks.run import run_plan
from nuwa_cli.tokenizer.text import TextTokenizer
from nuwa_cli.tokenizer.vqgan import VQGAN
from nuwa_cli.tokenizer.vqgan_seg import VQGANSeg
from nuwa_cli.training.recipe import TrainRecipe, check_options
from nuwa_cli.training.scenes import SceneSource
from nuwa_cli.training.sheets import class_colors, save_sheet
from nuwa_cli.training.stage import make_optimizer, update
from nuwa_cli.training.task_batches import ModelOptions, TaskBatch, TaskBatches, label_sizes

_Net = TypeVar("_Net", bound=nn.Module)
_LOSS_ROWS = 1024
_SEEN_ANYWHERE = ("place", "time")  # attributes that any part of a picture shows


@dataclass(frozen=True)
class _Given:
    """What is left of a target with a hole."""

    canvas: Tensor  # int64 (b, t, h, w), -1 in the hole
    pixels: Tensor  # (b, 4, 4h, 4w) of the first frame


class ModelStage:
    """Trains `Nuwa` on scenes, tokenized as they are rendered."""

    averaged: tuple[str, ...] = ("nuwa",)

    def __init__(
        self,
        recipe: TrainRecipe,
        source: SceneSource,
        vqgan: VQGAN,
        text: TextTokenizer,
        device: torch.device,
        vqgan_seg: VQGANSeg | None = None,
    ) -> None:
        self.recipe = recipe
        self.options = check_options(recipe.options, ModelOptions())
        self.device = device
        self.vqgan = self._frozen(vqgan)
        self.vqgan_seg = None if vqgan_seg is None else self._frozen(vqgan_seg)
        self.batches = TaskBatches(recipe, self.options, source, text)
        torch.manual_seed(recipe.seed)
        preset = get_preset(recipe.preset)
        self.nuwa = _trained_alone(Nuwa(preset.transformer).to(device), self.options.trained)
        dim = preset.transformer.dim
        self.heads = nn.ModuleDict(
            {name: nn.Linear(dim, size) for name, size in label_sizes().items()}
        ).to(device)
        self.modules: dict[str, nn.Module] = {"nuwa": self.nuwa, "heads": self.heads}
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "nuwa": make_optimizer([self.nuwa, self.heads], recipe)
        }

    def batch(self, step: int) -> TaskBatch:
        """Draw the task and render its scenes."""
        return self.batches.make(step)

    def step(self, batch: TaskBatch, step: int) -> dict[str, float]:  # noqa: ARG002
        """One update on one task."""
        text = batch.text.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.autocast):
            given = self._given(batch)
            encoded = self.nuwa.encode(self._condition(batch, text, given))
            attribute_loss = self._attribute_loss(encoded, text, batch.labels)
            loss, figures = attribute_loss, {}
            if batch.scenes is not None:
                token_loss, plain = self._token_loss(batch, encoded, given)
                layout_loss = self._layout_loss(batch, encoded.pooled)
                loss = (
                    token_loss
                    + self.options.attribute_weight * attribute_loss
                    + self.options.layout_weight * layout_loss
                )
                figures = {
                    f"{batch.task}_loss": float(plain),
                    "layout_loss": float(layout_loss.detach()),
                }
        loss.backward()  # type: ignore[no-untyped-call]
        norm = update(self.optimizers["nuwa"], self.recipe.grad_clip)
        return {
            "loss": float(loss.detach()),
            **figures,
            "attribute_loss": float(attribute_loss.detach()),
            "grad_norm": norm,
        }

    def sample(self, average: dict[str, nn.Module], path: Path, step: int) -> None:
        """One picture per sample prompt, with guidance; once clips are trained, two of them below; once
        sketches are, some with the pictures drawn from them."""
        prompts = self.options.sample_prompts
        if not prompts:
            return
        # A copy: the average itself must keep its float32 digits.
        nuwa = copy.deepcopy(average["nuwa"]).to(self.vqgan.decoder.refine.weight.dtype)
        assert isinstance(nuwa, Nuwa)
        rows = [torch.cat([self._draw(nuwa, prompt, 1) for prompt in prompts])]
        if {"t2v", "v2v"} & set(self.recipe.phase_at(step).mix):
            rows += [self._draw(nuwa, prompt, len(prompts)) for prompt in prompts[:2]]
        if "s2i" in self.recipe.phase_at(step).mix:
            rows += self._sketch_rows(nuwa, len(prompts))
        save_sheet(rows, path)

    def _sketch_rows(self, nuwa: Nuwa, count: int) -> list[Tensor]:
        """Sketches of unseen scenes, and below each what is drawn from it alone."""
        assert self.vqgan_seg is not None
        classes = self.batches.source.batch(-1, count).classes[:, 0].to(self.device)
        tokens = self.vqgan_seg.encode_classes(classes)[:, None]
        drawn = [self._draw(nuwa, "", 1, sketch=tokens[i : i + 1]) for i in range(count)]
        return [class_colors(classes), torch.cat(drawn)]

    def _draw(
        self, nuwa: Nuwa, prompt: str, num_frames: int, sketch: Tensor | None = None
    ) -> Tensor:
        """Frames (num_frames, 3, H, W) of a prompt or sketch."""
        plan = Plan(
            task="t2v" if num_frames > 1 else "t2i",
            kind="video" if num_frames > 1 else "image",
            grid=GridShape(num_frames, nuwa.config.grid_height, nuwa.config.grid_width),
            text=self.batches.encode_text([prompt]),
            sketch=None if sketch is None else sketch.cpu(),
            layout_frames=0
            if sketch is not None
            else nuwa.config.clip_frames
            if num_frames > 1
            else 1,
        )
        sampling = SamplingConfig(guidance_scale=self.options.sample_guidance, top_p=0.95)
        return self.vqgan.decode(run_plan(nuwa, plan, sampling).to(self.device))

    def _frozen(self, net: _Net) -> _Net:
        net = net.to(self.device).eval().requires_grad_(False)
        return net.bfloat16() if self.device.type == "cpu" and self.recipe.autocast else net

    def _given(self, batch: TaskBatch) -> _Given | None:
        """What a completion sees of its target, the defect-free way: damage never touches it."""
        if batch.holes is None or batch.scenes is None:
            return None
        pixels, holes = batch.scenes.pixels(self.device), batch.holes.to(self.device)[:, :, None]
        flat = self.vqgan.encode(pixels.flatten(0, 1), holes.flatten(0, 1))
        touched = F.adaptive_max_pool2d(holes.flatten(0, 1).float(), flat.shape[1:])[:, 0] > 0
        canvas = flat.where(~touched, ABSENT).view(*pixels.shape[:2], *flat.shape[1:])
        samples = sample_pixels(pixels[:, 0], holes[:, 0], GridShape(1, *flat.shape[1:]))
        return _Given(canvas, samples)

    def _condition(self, batch: TaskBatch, text: Tensor, given: _Given | None) -> Condition:
        sketch = None
        if batch.sketch is not None:
            if self.vqgan_seg is None:
                raise UsageError(
                    f"task '{batch.task}': needs a sketch tokenizer; train one with "
                    "`nuwa train sketch` and give its run as --sketch-tokenizer"
                )
            classes = batch.sketch.to(self.device)
            flat = self.vqgan_seg.encode_classes(classes.flatten(0, 1))
            sketch = flat.view(*classes.shape[:2], *flat.shape[1:])
        return Condition(
            text=text,
            sketch=sketch,
            canvas=given.canvas if given else None,
            layout=self._layout(batch),
            pixels=given.pixels if given else None,
            first_frame=batch.time_offset,
        )

    def _tokenize(self, pixels: Tensor) -> Tensor:
        flat = self.vqgan.encode(pixels.flatten(0, 1))
        return flat.view(*pixels.shape[:2], *flat.shape[1:])

    def _token_loss(
        self, batch: TaskBatch, encoded: EncodedCondition, given: _Given | None
    ) -> tuple[Tensor, Tensor]:
        """Weighted and plain cross-entropy of a batch's tokens, in nats per token."""
        assert batch.scenes is not None and batch.noise is not None
        tokens = self._tokenize(batch.scenes.pixels(self.device))
        noise = batch.noise.to(self.device)
        seen = torch.where(noise >= 0, noise, tokens)
        if given is not None:
            seen = torch.where(given.canvas >= 0, given.canvas, seen)
        hidden = self.nuwa.decoder(
            seen.flatten(1),
            grid_of(seen),
            encoded,
            time_offset=batch.time_offset,
            backend=self.nuwa.backend,
        )
        weight = self._cell_weight(
            tokens, batch.scenes.subject(self.device), batch.time_offset, given
        )
        return _cross_entropy(
            self.nuwa.head, hidden.flatten(0, 1), tokens.flatten(), weight.flatten()
        )

    def _layout(self, batch: TaskBatch) -> Tensor | None:
        """Layout tokens (b, t, h, w) of the true boxes, as coarse as planned ones; -1 where none."""
        if batch.scenes is None or batch.has_layout is None:
            return None
        mask = batch.scenes.subject_mask.to(self.device)
        boxes, present = boxes_of(mask)
        size = self.nuwa.config
        grid = GridShape(mask.shape[1], size.grid_height, size.grid_width)
        tokens = rasterize(from_bins(to_bins(boxes)), present, grid)
        return tokens.where(batch.has_layout.to(self.device)[:, None, None, None], ABSENT)

    def _layout_loss(self, batch: TaskBatch, pooled: Tensor) -> Tensor:
        """The planner's cross-entropy per slot: key boxes of a clip, the one box of a picture. Without
        text it learns what layouts are usual."""
        assert batch.scenes is not None
        if batch.is_completion:  # a cut-out says nothing of where subjects usually stand
            return pooled.sum() * 0.0
        is_clip = not batch.is_picture
        masks = batch.scenes.key_masks if is_clip else batch.scenes.subject_mask
        boxes, present = boxes_of(masks.to(self.device))
        boxes = to_bins(boxes).flatten(1)  # (b, 4·keys)
        anybody = present.any(dim=1, keepdim=True)
        bins = torch.cat((anybody.long(), boxes), dim=1)
        seen = torch.cat((torch.ones_like(anybody), present.repeat_interleave(4, dim=1)), dim=1)
        logits = self.nuwa.planner(pooled, bins, is_clip=is_clip).float()
        losses = F.cross_entropy(logits.flatten(0, 1), bins.flatten(), reduction="none")
        return (losses * seen.flatten()).sum() / seen.sum()

    def _cell_weight(
        self, tokens: Tensor, subject: Tensor, first_frame: int, given: _Given | None
    ) -> Tensor:
        """Weight of each cell (b, t, h, w): 1, more on subjects, on change and where a hole ends, 0
        where the cell is given, mean 1."""
        height, width = tokens.shape[-2:]
        share = F.adaptive_avg_pool2d(subject.flatten(0, 1), (height, width)).view(tokens.shape)
        weight = 1.0 + self.options.subject_weight * (share > 0.1)
        if tokens.shape[1] > 1:
            changed = (tokens[:, 1:] != tokens[:, :-1]).float()
            weight[:, 1:] += self.options.changed_weight * changed
            if first_frame > 0:  # its context, the frame before, is not in this batch
                weight[:, 0] = 0.0
        if given is not None:
            known = (given.canvas >= 0).float()
            # on the left and above the causal order would show it anyway
            ends = F.max_pool2d(F.pad(known, (0, 1, 0, 1)).flatten(0, 1), 2, stride=1)
            weight = (weight + self.options.joint_weight * ends.view_as(weight)) * (1.0 - known)
        normalized: Tensor = weight / weight.mean()
        return normalized

    def _attribute_loss(
        self, encoded: EncodedCondition, text: Tensor, labels: dict[str, Tensor]
    ) -> Tensor:
        """What text, sketch and canvas say of the scene; samples without any do not count, and of what
        is left of a picture alone only place and time are asked: its subject may be hidden."""
        told = text[:, 0] != 0
        shown = told if encoded.present is None else told | encoded.present
        if not bool(shown.any()):
            return encoded.pooled.sum() * 0.0
        losses = []
        for name, head in self.heads.items():
            is_sure = shown if encoded.canvas is None or name in _SEEN_ANYWHERE else told
            wanted = labels[name].to(text.device)[is_sure]
            loss = F.cross_entropy(
                head(encoded.pooled[is_sure]).float(), wanted, ignore_index=-1, reduction="sum"
            )
            losses.append(loss / (wanted >= 0).sum().clamp(min=1))  # perhaps nobody is there
        return torch.stack(losses).mean()


def _trained_alone(nuwa: Nuwa, names: Sequence[str]) -> Nuwa:
    """The same model, of which nothing learns but parameters whose names begin so; none: everything."""
    for prefix in names:
        if not any(name.startswith(prefix) for name, _ in nuwa.named_parameters()):
            raise UsageError(
                f"recipe option trained '{prefix}': no parameter of the model begins so; "
                "give names such as 'decoder.neighbors'"
            )
    for name, parameter in nuwa.named_parameters():
        parameter.requires_grad_(not names or name.startswith(tuple(names)))
    return nuwa


def _cross_entropy(
    head: nn.Module, hidden: Tensor, tokens: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Weighted and plain mean cross-entropy, in nats per token, of hidden states (n, d).

    In pieces that stay in a CPU's cache: all logits of a batch at once cost as much as two layers.
    """
    pieces = [
        F.cross_entropy(head(part).float(), target, reduction="none")
        for part, target in zip(
            torch.split(hidden, _LOSS_ROWS), torch.split(tokens, _LOSS_ROWS), strict=True
        )
    ]
    losses = torch.cat(pieces)
    return (losses * weight).mean(), losses.detach()[weight > 0].mean()
