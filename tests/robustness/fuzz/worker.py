"""Feed damaged files to one reader: `python worker.py FORM COUNT SEED FOLDER`; the counts as JSON.

FOLDER gets `case.bin`, the file that is being read, so that it is there when this process is killed: by
its alarm, which the system sends to a case that hangs in C too, or by a crash. Files that lead to anything
but a result or an InputError are kept there as `failed-….bin`.
"""

from __future__ import annotations

import collections
import io
import json
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
ADDRESS_SPACE = 1 << 30  # beyond what the libraries take

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


def reader(form: str) -> Callable[[Path], object]:
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
    kept = Path(folder)
    good = seeds(form, kept)
    read = reader(form)
    fast = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    path = kept / "case.bin"
    if fast.parent != kept.parent:
        path.symlink_to(fast / "case.bin")
    _warm(read, good, path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESS_SPACE, size + ADDRESS_SPACE))
    outcomes: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    started = time.process_time()
    for number in range(int(count)):
        luck = random.Random(f"{form}/{seed}/{number}")
        content = mutate(luck.choice(good), form, luck)
        (fast / "case.bin").write_bytes(content)
        signal.alarm(DEADLINE)  # its default action ends the process
        since = time.process_time()
        try:
            read(path)
            outcomes["read"] += 1
        except InputError:
            outcomes["refused"] += 1
        except BaseException as error:
            outcomes["failed"] += 1
            (kept / f"failed-{form}-{seed}-{number}.bin").write_bytes(content)
            sys.stderr.write(f"case {number}: {type(error).__name__}: {error}\n")
            traceback.print_exc()
        slowest = max(slowest, time.process_time() - since)
        signal.alarm(0)
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    seconds = round(time.process_time() - started, 1)
    facts = {"form": form, "seed": seed, "cases": int(count), **outcomes, "seconds": seconds}
    facts |= {"slowest_ms": round(slowest * 1000), "growth_mib": growth >> 10}
    (fast / "case.bin").unlink()
    fast.rmdir()
    print(json.dumps(facts))  # noqa: T201


def _warm(read: Callable[[Path], object], good: list[bytes], path: Path) -> None:
    """The good files are read, before anything is measured."""
    for content in good:
        path.resolve().write_bytes(content)
        read(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
