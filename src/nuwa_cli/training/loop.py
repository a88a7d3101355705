"""The one training loop. Once-in-a-while blocks in fixed order, then exactly one step, then one line.

Resuming is exact: data and randomness of a step depend on (recipe, step) only, and a checkpoint holds
weights, optimizer moments and averaged weights bit for bit.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from nuwa_cli.errors import EnvironmentFault, UsageError
from nuwa_cli.media.locks import hold
from nuwa_cli.training.batches import make_batches
from nuwa_cli.training.checkpoint import latest_checkpoint, save_checkpoint
from nuwa_cli.training.plot import plot_log
from nuwa_cli.training.recipe import TrainRecipe
from nuwa_cli.training.stage import Stage, load_optimizer, optimizer_tensors

Report = Callable[[str], None]
_MAX_BAD_STEPS = 20  # non-finite losses in a row before the run gives up


class Run:
    """One training run in `run_dir`: loads or creates its state, and advances it."""

    def __init__(
        self, stage: Stage, run_dir: Path, report: Report = lambda _: None, workers: int = 0
    ) -> None:
        self.stage = stage
        self.recipe: TrainRecipe = stage.recipe
        self.run_dir = run_dir
        self.report = report
        self.workers = workers
        self.step = 0
        self.average = {name: copy.deepcopy(stage.modules[name]) for name in stage.averaged}
        for module in self.average.values():
            module.requires_grad_(False)
        run_dir.mkdir(parents=True, exist_ok=True)
        self._restore()

    def train(self, budget_minutes: float | None = None, stop_at: int | None = None) -> int:
        """Advance to the recipe's last step, `stop_at`, or the end of the time budget.

        Returns the number of steps done in all. A checkpoint is always written at the end.
        Raises EnvironmentFault while another process trains in the same folder.
        """
        lock = hold(
            self.run_dir / ".lock", f"run '{self.run_dir}'", "wait, or use another --run-dir"
        )
        try:
            return self._train(budget_minutes, stop_at)
        finally:
            lock.release()

    def _train(self, budget_minutes: float | None, stop_at: int | None) -> int:
        last = min(self.recipe.steps, stop_at or self.recipe.steps)
        started, bad_steps, log = time.monotonic(), 0, _Log(self.run_dir / "log.jsonl", self.step)
        batches = make_batches(self.stage.batch, range(self.step, last), self.workers)
        while self.step < last:
            if budget_minutes and time.monotonic() - started > budget_minutes * 60:
                break
            if self.step and self.step % self.recipe.save_every == 0:
                self.save()
            if self.step and self.step % self.recipe.sample_every == 0:
                self.sample()
                plot_log(self.run_dir / "log.jsonl", self.run_dir / "loss.png")

            for optimizer in self.stage.optimizers.values():
                for group in optimizer.param_groups:
                    group["lr"] = self.recipe.learning_rate_at(self.step)
            figures = self.stage.step(next(batches), self.step)
            self._average()
            self.step += 1

            bad_steps = bad_steps + 1 if figures["loss"] != figures["loss"] else 0
            if bad_steps >= _MAX_BAD_STEPS:
                raise EnvironmentFault(f"run '{self.run_dir}': loss is not finite; lower the rate")
            line = log.add(self.step, figures, self.recipe)
            if line:
                self.report(line)
        batches.close()
        self.save()
        self.sample()
        plot_log(self.run_dir / "log.jsonl", self.run_dir / "loss.png")
        return self.step

    def save(self) -> Path:
        """Write a checkpoint of this moment."""
        return save_checkpoint(
            self.run_dir,
            self.step,
            self._tensors(),
            {"recipe": self.recipe.to_dict(), "torch": torch.__version__},
            self.recipe.keep,
        )

    def sample(self) -> None:
        """Let the stage draw a sheet with the averaged weights."""
        self.stage.sample(self.average, self.run_dir / f"samples-{self.step:06d}.png", self.step)

    @torch.no_grad()
    def _average(self) -> None:
        # Early on the plain weights are better than an average that still holds their first values.
        decay = min(self.recipe.ema_decay, (1 + self.step) / (10 + self.step))
        for name, module in self.average.items():
            source = self.stage.modules[name]
            mine: list[Tensor] = list(module.parameters())
            theirs: list[Tensor] = list(source.parameters())
            torch._foreach_lerp_(mine, theirs, 1.0 - decay)
            for buffer, value in zip(module.buffers(), source.buffers(), strict=True):
                buffer.copy_(value)

    def _tensors(self) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for prefix, group in (("weights", self.stage.modules), ("average", self.average)):
            for name, module in group.items():
                for key, value in module.state_dict().items():
                    tensors[f"{prefix}.{name}.{key}"] = value
        for name, optimizer in self.stage.optimizers.items():
            tensors.update(optimizer_tensors(name, optimizer))
        return {name: tensor.detach().cpu() for name, tensor in tensors.items()}

    def _restore(self) -> None:
        found, notes = latest_checkpoint(self.run_dir)
        for note in notes:
            self.report(f"note: {note}")
        if found is None:
            return
        tensors, state = found
        differing = self.recipe.compatible_with(TrainRecipe.from_dict(state["recipe"]))
        if differing:
            raise UsageError(
                f"run '{self.run_dir}': it began with another recipe ({', '.join(differing)}); "
                "use that recipe, or another --run-dir"
            )
        for prefix, group in (("weights", self.stage.modules), ("average", self.average)):
            for name, module in group.items():
                _load(module, f"{prefix}.{name}.", tensors)
        for name, optimizer in self.stage.optimizers.items():
            load_optimizer(name, optimizer, tensors)
        self.step = int(state["step"])
        self.report(f"resuming at step {self.step}")


def _load(module: nn.Module, prefix: str, tensors: dict[str, Tensor]) -> None:
    values = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
    module.load_state_dict(values, strict=True)


class _Log:
    """`log.jsonl`: one line every `log_every` steps, each the mean of the steps since the last."""

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        self.sums: dict[str, list[float]] = {}
        self.clock = time.monotonic()
        if path.exists():  # a resumed run repeats the steps after its checkpoint: drop their lines
            lines = [line for line in path.read_text().splitlines() if line.strip()]
            kept = [line for line in lines if json.loads(line)["step"] <= step]
            path.write_text("".join(line + "\n" for line in kept))

    def add(self, step: int, figures: dict[str, float], recipe: TrainRecipe) -> str | None:
        for name, value in figures.items():
            self.sums.setdefault(name, []).append(value)
        if step % recipe.log_every and step != recipe.steps:
            return None
        means = {name: sum(values) / len(values) for name, values in self.sums.items()}
        seconds, self.clock = time.monotonic() - self.clock, time.monotonic()
        record = {
            "step": step,
            **{name: round(value, 5) for name, value in means.items()},
            "learning_rate": recipe.learning_rate_at(step - 1),
            "seconds": round(seconds, 2),
        }
        self.sums = {}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
        return f"step {step}/{recipe.steps}  {shown}  {seconds:.1f} s"
