"""Feed damaged files to one reader: `python worker.py FORM COUNT SEED FOLDER`; the counts as JSON.

Cases run in forks of this process, with an alarm that the system sends to a case that hangs in C too, and
with little address space. Files that lead to anything but a result or an InputError, or to the end of the
process, are kept in FOLDER as `failed-….bin`.
"""

from __future__ import annotations

import io
import json
import mmap
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mutation import mutate

from nuwa_cli.errors import InputError

DEADLINE = 20  # seconds a case, on a machine that does other things as well
MAX_GROWTH = 300 << 10  # KiB
ADDRESS_SPACE = 1 << 30  # beyond what the libraries take …
CHILD_SPACE = 300 << 20  # … and what the decoding child has for a small file

PICTURES = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP"}
CLIPS = {
    "mp4": [("mp4", "mpeg4"), ("mp4", "libx264")],
    "webm": [("webm", "libvpx"), ("matroska", "mpeg4")],
    "mov": [("mov", "mpeg4"), ("mov", "libx264")],
}


def seeds(form: str, folder: Path) -> list[bytes]:
    """Small good files to begin with."""
    if form == "safetensors":
        from safetensors.numpy import save

        tensors = {"a.weight": np.ones((4, 3), np.float32), "b": np.zeros(5, np.int64)}
        return [save(tensors), save({**tensors, "c": np.ones(2, np.uint8)}, {"format": "pt"})]
    if form in PICTURES:
        return _pictures(PICTURES[form])
    return [_clip(folder, *kind, form) for kind in CLIPS[form]]


def _pictures(form: str) -> list[bytes]:
    from PIL import Image

    y, x = np.mgrid[:12, :14]
    pixels = np.stack([x * 16, y * 20, 255 - x * 9], axis=-1).astype(np.uint8)
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds: list[tuple[Any, dict[str, Any]]] = [(picture, {}), (picture.convert("L"), {})]
    if form in ("PNG", "GIF", "WEBP"):
        kinds.append((picture.convert("RGBA"), {}))
        kinds.append((picture, {"save_all": True, "append_images": [picture.rotate(90)]}))
    if form in ("PNG", "GIF", "BMP"):
        kinds.append((picture.quantize(16), {}))
    if form in ("PNG", "JPEG", "WEBP"):
        kinds.append((picture, {"exif": exif}))
    if form == "JPEG":
        kinds += [(picture.convert("CMYK"), {}), (picture, {"progressive": True})]
    found = []
    for image, settings in kinds:
        buffer = io.BytesIO()
        image.save(buffer, form, **settings)
        found.append(buffer.getvalue())
    return found


def _clip(folder: Path, container_format: str, codec: str, form: str) -> bytes:
    import av

    path = folder / "seed"
    options = {"movflags": "frag_keyframe+empty_moov"} if form == "mov" else {}
    with av.open(str(path), "w", format=container_format, options=options) as container:
        stream: Any = container.add_stream(codec, rate=6)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        for index in range(3):
            pixels = np.full((16, 16, 3), 60 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    path.unlink()
    return content


Reader = Callable[[Path], object]


def reader(form: str) -> Reader:
    """What is tried."""
    if form == "safetensors":
        return _read_weights
    from nuwa_cli.media import reading

    if form in PICTURES:
        return reading.read_picture
    options = reading.ClipOptions(fps=None, max_frames=4, start=0.0, from_end=False)

    def read(path: Path) -> object:
        reading.kind_of(path)
        return reading.read_clip_here(path, options)

    return read


def _read_weights(path: Path) -> None:
    """What we accept, the library must accept too; and both of our ways must agree."""
    from safetensors import deserialize

    from nuwa_cli.hub.header import check_header, read_header

    content = path.read_bytes()
    entries = check_header(content, path)
    with path.open("rb") as file:
        assert read_header(file, len(content), path) == entries
    if any(entry.count == 0 for entry in entries):
        return  # the library has an opinion of its own on empty tensors between others
    assert len(deserialize(content)) == len(entries)


def main(form: str, count: str, seed: str, folder: str) -> None:
    kept, total = Path(folder), int(count)
    read = reader(form)
    good = in_a_fork(lambda: seeds(form, kept))
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="nuwa-fuzz-", dir=memory) as fast:
        facts = conduct(Campaign(form, seed, good, read, Path(fast) / "case.bin", kept), total)
    print(json.dumps({"form": form, "seed": seed, "cases": total, **facts}))  # noqa: T201


def conduct(campaign: Campaign, total: int) -> dict[str, Any]:
    """All cases, in one fork after another; the counts."""
    form, good, read = campaign.form, campaign.good, campaign.read

    def warm() -> list[bytes]:
        for content in good:
            campaign.path.write_bytes(content)
            read(campaign.path)
        return [str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss).encode()]

    before = int(in_a_fork(warm)[0])
    started, growth, number = time.perf_counter(), 0, 0
    while number < total:
        pid = os.fork()
        if not pid:
            campaign.run(number, min(total, number + BATCH[form in CLIPS]))
        _, status, usage = os.wait4(pid, 0)
        growth = max(growth, usage.ru_maxrss - before)
        number = campaign.next_case()
        if os.waitstatus_to_exitcode(status):
            campaign.ended_badly(number, -os.waitstatus_to_exitcode(status))
            number += 1
    seconds = round(time.perf_counter() - started, 1)
    slowest = campaign.slowest_ms()
    return {
        **campaign.outcomes(),
        "seconds": seconds,
        "slowest_ms": slowest,
        "growth_mib": growth >> 10,
    }


def in_a_fork(make: Callable[[], list[bytes]]) -> list[bytes]:
    """What a forked process makes. Codecs start threads, and a process that has had some must not be
    forked: a lock may be held for ever."""
    with tempfile.TemporaryFile() as file:
        pid = os.fork()
        if not pid:
            try:
                file.write(json.dumps([part.hex() for part in make()]).encode())
                file.flush()
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        file.seek(0)
        return [bytes.fromhex(part) for part in json.load(file)]


OUTCOMES = ("read", "refused", "crashed", "failed")
BATCH = {True: 100, False: 5000}
"""Cases a fork. A clip whose reading ran out of memory leaves the rest to the system, as the decoding
child does, which reads one."""


class Campaign:
    """The cases of one format; what forked processes do is counted in memory that they share."""

    def __init__(
        self, form: str, seed: str, good: list[bytes], read: Reader, path: Path, kept: Path
    ) -> None:
        self.form, self.seed, self.good, self.read = form, seed, good, read
        self.path, self.kept = path, kept
        self._shared = mmap.mmap(-1, 8 * (len(OUTCOMES) + 2))
        self._numbers = memoryview(self._shared).cast("Q")

    def next_case(self) -> int:
        return self._numbers[-1]

    def slowest_ms(self) -> int:
        return self._numbers[-2]

    def outcomes(self) -> dict[str, int]:
        return {name: self._numbers[i] for i, name in enumerate(OUTCOMES) if self._numbers[i]}

    def run(self, first: int, last: int) -> None:
        """Read cases `first` to `last`, and end the process."""
        self._numbers[-1] = first
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        size += CHILD_SPACE if self.form in CLIPS else ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        for number in range(first, last):
            content = self.case(number)
            self.path.write_bytes(content)
            signal.alarm(DEADLINE)  # its default action ends the process
            since = time.process_time()
            outcome = self._try(number, content)
            taken = round(1000 * (time.process_time() - since))
            self._numbers[OUTCOMES.index(outcome)] += 1
            self._numbers[-2] = max(self._numbers[-2], taken)
            self._numbers[-1] = number + 1
        os._exit(0)

    def case(self, number: int) -> bytes:
        """The file of a case."""
        luck = random.Random(f"{self.form}/{self.seed}/{number}")
        return mutate(luck.choice(self.good), self.form, luck)

    def _try(self, number: int, content: bytes) -> str:
        try:
            self.read(self.path)
            return "read"
        except InputError:
            return "refused"
        except BaseException as error:
            if self.form in CLIPS and isinstance(error, MemoryError):
                return "refused"  # as the child does
            self._keep(number, content)
            sys.stderr.write(f"case {number}: {type(error).__name__}: {error}\n")
            traceback.print_exc()
            sys.stderr.flush()
            return "failed"

    def ended_badly(self, number: int, signal_number: int) -> None:
        """The process died in a case. For a clip that is what the child is for, unless it hung."""
        is_fine = self.form in CLIPS and signal_number != signal.SIGALRM
        self._keep(number, self.case(number))
        self._numbers[OUTCOMES.index("crashed" if is_fine else "failed")] += 1
        if not is_fine:
            sys.stderr.write(f"case {number}: ended by signal {signal_number}\n")

    def _keep(self, number: int, content: bytes) -> None:
        (self.kept / f"failed-{self.form}-{self.seed}-{number}.bin").write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
