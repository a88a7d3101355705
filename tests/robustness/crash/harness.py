"""Kill, starve and interrupt a writer: `python harness.py KIND SEED MODE=COUNT …`; a line of JSON for each mode.

A process of its own with few libraries, because forking it takes a millisecond, and forking a test run
with torch in it many.

    kill      the writer is killed with SIGKILL at a random moment, COUNT times
    full      files may not grow beyond a limit, COUNT different ones
    boundary  a system call of the writer fails, or is the last thing that happens: every one of them
    lossy     at the moment of publication only what was flushed to the disk exists
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from writers import WRITERS, Writer

from nuwa_cli.errors import OutputError

CALLS = ("open", "fsync", "replace", "link", "rename", "unlink", "chmod", "mkdir", "rmdir")


def contents(folder: Path) -> dict[str, str]:
    """Digest of every file under its name; hidden ones are temporary."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def orphans(folder: Path) -> int:
    return sum(1 for path in folder.iterdir() if path.name.startswith("."))


def child(action: Callable[[], None]) -> int:
    """Fork; the child runs `action` and ends with 0, 4 for OutputError, 1 for anything else."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    with contextlib.suppress(BaseException):
        try:
            action()
            status = 0
        except OutputError:
            status = 4
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
    os._exit(status)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class Bench:
    """A folder with an old output in it, and all that may be found there after a fault."""

    def __init__(self, write: Writer, folder: Path) -> None:
        self.write, self.folder = write, folder
        self.good: list[dict[str, str]] = []
        taken = []
        for version in (0, 1) * 4:
            started = time.process_time()
            write(folder, version)
            taken.append(time.process_time() - started)
            self.good.append(contents(folder))
        self.seconds = min(taken)

    def is_whole(self) -> bool:
        """Whether one of the two outputs stands there, untorn; of checkpoints the newest is read."""
        steps = sorted(self.folder.glob("step-*"))
        if steps:
            state = json.loads((steps[-1] / "state.json").read_text())
            tensors = (steps[-1] / "tensors.safetensors").read_bytes()
            return state["tensors"]["sha256"] == hashlib.sha256(tensors).hexdigest()
        return contents(self.folder) in self.good


def kill(bench: Bench, count: int, luck: random.Random) -> dict[str, Any]:
    torn = left = 0

    def forever() -> None:
        version = 0
        while True:
            version = 1 - version
            bench.write(bench.folder, version)

    for _ in range(count):
        pid = child(forever)
        time.sleep(luck.uniform(0, 2.5 * bench.seconds))
        os.kill(pid, signal.SIGKILL)
        ended(pid)
        torn += not bench.is_whole()
        left += orphans(bench.folder) > 0
    bench.write(bench.folder, 0)
    bench.write(bench.folder, 1)
    return {"cases": count, "torn": torn, "orphans": left, "after": orphans(bench.folder)}


def full(bench: Bench, count: int, luck: random.Random) -> dict[str, Any]:
    del luck
    # The largest file is what a limit can cut.
    largest = max(path.stat().st_size for path in bench.folder.rglob("*") if path.is_file())
    wrong = torn = left = 0
    for index in range(count):
        most = largest * index // count

        def limited(most: int = most, version: int = index % 2) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            bench.write(bench.folder, version)

        status = ended(child(limited))
        wrong += status not in (0, 4)
        torn += not bench.is_whole()
        left += orphans(bench.folder)
    return {"cases": count, "wrong status": wrong, "torn": torn, "left": left}


def boundary(bench: Bench, count: int, luck: random.Random) -> dict[str, Any]:
    """Call k fails with an error, or the process is killed just before it, or just after."""
    del count, luck
    cases = wrong = torn = left = 0
    for what in ("fails", "is never made", "is the last"):
        for number in range(1, 200):
            reached = os.pipe()

            def interrupted(number: int = number, what: str = what, out: int = reached[1]) -> None:
                count_calls(number, what, out)
                bench.write(bench.folder, number % 2)

            status = ended(child(interrupted))
            os.close(reached[1])
            was_reached = bool(os.read(reached[0], 1))
            os.close(reached[0])
            if not was_reached:
                break
            cases += 1
            torn += not bench.is_whole()
            if what == "fails":
                wrong += status not in (0, 4)
                left += orphans(bench.folder)
                for path in bench.folder.glob(".*"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            else:
                wrong += status != -signal.SIGKILL
    bench.write(bench.folder, 0)
    bench.write(bench.folder, 1)
    after = orphans(bench.folder)
    return {"cases": cases, "wrong status": wrong, "torn": torn, "left": left, "after": after}


def count_calls(number: int, what: str, out: int) -> None:
    """Let call `number` of all calls that change files fail or be the last."""
    made = [0]

    def wrap(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def wrapped(*words: Any, **options: Any) -> Any:
            if name == "open" and not (len(words) > 1 and words[1] & os.O_CREAT):
                return call(*words, **options)
            made[0] += 1
            if made[0] != number:
                return call(*words, **options)
            os.write(out, b"x")
            if what == "fails":
                raise OSError(errno.EIO, os.strerror(errno.EIO), *map(str, words[:1]))
            if what == "is the last":
                with contextlib.suppress(OSError):
                    call(*words, **options)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        return wrapped

    for name in CALLS:
        setattr(os, name, wrap(getattr(os, name), name))


def lossy(bench: Bench, count: int, luck: random.Random) -> dict[str, Any]:
    """A disk that forgets what was not flushed: at every publication of a name, what was flushed of
    that file must be what it holds, and its folder must be flushed after."""
    del luck
    flushed: dict[int, str] = {}
    state = {"torn": 0, "published": 0, "folder": 0}
    fsync, replace, link, rename = os.fsync, os.replace, os.link, os.rename

    def digest(path: Any) -> str:
        if os.path.isdir(path):
            return str(sorted(os.listdir(path)))
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()

    def noting_fsync(descriptor: int) -> None:
        fsync(descriptor)
        status = os.fstat(descriptor)
        flushed[status.st_ino] = digest(os.readlink(f"/proc/self/fd/{descriptor}"))
        state["folder"] -= state["folder"] > 0 and status.st_ino == os.stat(bench.folder).st_ino

    def publishing(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(source: Any, target: Any, **options: Any) -> None:
            state["torn"] += flushed.get(os.stat(source).st_ino) != digest(source)
            state["published"] += 1
            state["folder"] += 1
            call(source, target, **options)

        return wrapped

    os.fsync = noting_fsync
    os.replace, os.link, os.rename = map(publishing, (replace, link, rename))
    try:
        for index in range(count):
            bench.write(bench.folder, index % 2)
    finally:
        os.fsync, os.replace, os.link, os.rename = fsync, replace, link, rename
    return {
        "cases": state["published"],
        "torn": state["torn"],
        "folder never flushed": state["folder"],
    }


MODES = {"kill": kill, "full": full, "boundary": boundary, "lossy": lossy}


def main(kind: str, seed: str, *campaigns: str) -> None:
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    for campaign in campaigns:
        mode, _, count = campaign.partition("=")
        folder = Path(tempfile.mkdtemp(prefix="nuwa-crash-", dir=fast))
        try:
            bench = Bench(WRITERS[kind], folder)
            started = time.perf_counter()
            result = MODES[mode](bench, int(count), random.Random(seed))
            result["seconds"] = round(time.perf_counter() - started, 2)
            print(json.dumps({"mode": mode, "kind": kind, **result}))  # noqa: T201
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
