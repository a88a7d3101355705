"""Batches in order, made ahead of the step that needs them.

Without workers one thread renders while the step computes, which is right where both share a few
cores. With workers, processes render: sixteen cores keep up with a GPU. Either way batch n is the same
tensors, because a batch depends on its step alone.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

_AHEAD = 2  # batches a thread, or each process, makes ahead


def make_batches(
    make: Callable[[int], Any], steps: Sequence[int], workers: int = 0
) -> Generator[Any, None, None]:
    """`make(step)` for every step, in order; closing the generator stops the makers."""
    return _from_processes(make, steps, workers) if workers else _from_thread(make, steps)


class _Steps(Dataset[Any]):
    def __init__(self, make: Callable[[int], Any], steps: Sequence[int]) -> None:
        self.make = make
        self.steps = steps

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> Any:
        return self.make(self.steps[index])


def _from_processes(
    make: Callable[[int], Any], steps: Sequence[int], workers: int
) -> Generator[Any, None, None]:
    loader = DataLoader(
        _Steps(make, steps),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        multiprocessing_context="fork",
    )
    yield from loader


def _from_thread(make: Callable[[int], Any], steps: Sequence[int]) -> Generator[Any, None, None]:
    ready: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue(maxsize=_AHEAD)
    stop = threading.Event()

    def put(item: tuple[Any, BaseException | None]) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.5)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for step in steps:
                if stop.is_set():
                    return
                put((make(step), None))
        except BaseException as error:  # handed over: it must end the run, not a thread
            put((None, error))

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    try:
        for _ in steps:
            batch, error = ready.get()
            if error is not None:
                raise error
            yield batch
    finally:
        stop.set()
        worker.join(timeout=60)
