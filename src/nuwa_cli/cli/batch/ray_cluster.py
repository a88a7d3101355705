"""Jobs on a Ray cluster: one actor a processor or GPU, each with the model loaded once.

Inputs travel as bytes and so do results, which this machine writes, so hosts need nuwa and Ray but no
shared disk. What an actor held when it died is given to another, up to three times.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import nuwa_cli
from nuwa_cli.cli.batch.parcels import Delivery, Packer, Parcel, do_parcel
from nuwa_cli.cli.batch.running import Errand
from nuwa_cli.cli.batch.spreading import Event
from nuwa_cli.errors import EnvironmentFault

LOCAL = "local"

_PATIENCE = 5.0  # seconds to be answered in


class Host:
    """What runs on the cluster."""

    def do(self, parcel: Parcel, version: str) -> Delivery | str:
        """Do the jobs of a parcel; if this is another version, say which."""
        if nuwa_cli.__version__ != version:
            return nuwa_cli.__version__
        return do_parcel(parcel)


class Cluster:
    """`Hands` that are actors of a Ray cluster; `local` starts one on this machine.

    Raises EnvironmentFault when Ray is not installed or the cluster cannot be reached.
    """

    tries = 3

    def __init__(self, address: str, workers: int | None) -> None:
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(contextlib.redirect_stdout(_OnlyBytes(sys.stdout)))
        try:
            self._ray = _connect(address, workers)
        except BaseException:
            self._quiet.close()
            raise
        resources = self._ray.cluster_resources()
        gpus, processors = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        self.count = workers or max(1, gpus or processors)
        self._options: dict[str, Any] = {"num_cpus": 1, "max_restarts": 0}
        if gpus:
            self._options["num_gpus"] = 1
        self._actors: dict[int, Any] = {}
        self._pending: dict[Any, tuple[int, Packer, Parcel]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ray.shutdown()
        self._quiet.close()

    def give(self, hand: int, errands: Sequence[Errand]) -> None:
        """Hand over jobs; a dead actor is started again first. Raises EnvironmentFault for one that has
        another version of this program."""
        if hand not in self._actors:
            self._actors[hand] = self._ray.remote(Host).options(**self._options).remote()
        packer = Packer()
        parcel = packer.pack(errands)
        reference = self._actors[hand].do.remote(parcel, nuwa_cli.__version__)
        self._pending[reference] = (hand, packer, parcel)

    def wait(self) -> list[Event]:
        """What happened next, at least one event. Raises EnvironmentFault when hosts do not fit."""
        (reference, *_), _ = self._ray.wait(list(self._pending))
        hand, packer, parcel = self._pending.pop(reference)
        errors = self._ray.exceptions
        try:
            delivery = self._ray.get(reference)
        except errors.RayActorError:
            del self._actors[hand]
            return [Event(hand, death="was lost by the cluster")]
        except errors.RayError as error:
            raise EnvironmentFault(
                f"ray: {_last_line(error)}; see the logs of the cluster"
            ) from error
        if isinstance(delivery, str):
            raise EnvironmentFault(
                f"ray: a host has nuwa {delivery}, this is {nuwa_cli.__version__}; install the same"
            )
        return [Event(hand, number, outcome) for number, outcome in packer.unpack(parcel, delivery)]


def _connect(address: str, workers: int | None) -> Any:
    try:
        import ray
    except ImportError as error:
        raise EnvironmentFault(
            "ray: is not installed; add it with: pip install 'nuwa-cli[cluster]'"
        ) from error
    _check_reachable(address)
    local = {"num_cpus": max(workers or 2, 2)} if address == LOCAL else {"address": address}
    try:
        ray.init(
            **local,
            include_dashboard=False if address == LOCAL else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except (ray.exceptions.RayError, OSError, RuntimeError, ValueError) as error:
        raise EnvironmentFault(
            f"ray '{address}': {_last_line(error)}; give the address of a cluster, or local"
        ) from error
    return ray


def _check_reachable(address: str) -> None:
    """Ray itself goes on trying for minutes, and talks of it."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and port.isascii() and port.isdecimal()):
        return  # `local`, `auto`
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()
    except (OSError, OverflowError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise EnvironmentFault(
            f"ray '{address[:80]}': {why}; give the address of a running cluster, or local"
        ) from error


class _OnlyBytes(io.TextIOBase):
    """stdout for results, which are bytes; what Ray's threads print as text is dropped: outcomes say
    all of it."""

    def __init__(self, stdout: Any) -> None:
        super().__init__()
        self.buffer = getattr(stdout, "buffer", None)

    def write(self, text: str) -> int:
        return len(text)


def _last_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1][:120].rstrip(".")
