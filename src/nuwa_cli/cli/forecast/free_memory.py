"""How much memory a process may still take: of the machine, of its control group, of its address space."""

from __future__ import annotations

import contextlib
from pathlib import Path


def available_memory() -> int | None:
    """Bytes that this process could still take: of the machine, of its group, of its address space.

    None where nothing says.
    """
    found = [_free_of_machine(), _free_of_group(), _free_address_space()]
    known = [size for size in found if size is not None]
    return min(known) if known else None


def _free_of_machine() -> int | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _free_of_group() -> int | None:
    """What the control group of this process may still take: version 2, then version 1."""
    free = []
    for line in _lines("/proc/self/cgroup"):
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            root, limit, used, cache = "/sys/fs/cgroup", "memory.max", "memory.current", "file"
        elif "memory" in controllers.split(","):
            root, limit = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
            used, cache = "memory.usage_in_bytes", "cache"
        else:
            continue
        folder = Path(f"{root}{name.rstrip()}")
        for group in (folder, *folder.parents):  # a group has no more than those around it
            if not group.is_relative_to(root):
                break
            sizes = [_number(group / limit), _number(group / used)]
            if sizes[0] is not None and sizes[1] is not None:
                free.append(max(sizes[0] - sizes[1] + _cached_pages(group, cache), 0))
    return min(free) if free else None


def _cached_pages(group: Path, name: str) -> int:
    """Bytes of files that are kept because there was room: they are given up when asked for."""
    for line in _lines(str(group / "memory.stat")):
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdecimal():
            return int(value)
    return 0


def _free_address_space() -> int | None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        if soft != resource.RLIM_INFINITY:
            return int(soft)
    return None


def _number(path: Path) -> int | None:
    text = "".join(_lines(str(path))).strip()
    return int(text) if text.isdecimal() else None  # "max" in version 2


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readlines()
    except OSError:
        return []
