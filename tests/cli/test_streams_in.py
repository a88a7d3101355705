"""`-` as input: pictures, clips, masks and prompts from a pipe, and what no pipe can be."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nuwa_cli.media.image import write_image
from nuwa_cli.media.video import write_video

Run = Callable[..., Any]
GOES_ON = ("predict", "-", "a dog", "--frames", "4", "-o", "a.mp4", "--json")


@contextlib.contextmanager
def stdin_from(content: bytes | int) -> Iterator[None]:
    """The bytes through a pipe, or a descriptor, as stdin of this process."""
    keep = os.dup(0)
    reading, writing = (content, -1) if isinstance(content, int) else os.pipe()

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb") as file:
            file.write(content)  # type: ignore[arg-type]

    feeder = threading.Thread(target=feed) if writing >= 0 else None
    os.dup2(reading, 0)
    if feeder is not None:
        os.close(reading)
        feeder.start()
    try:
        yield
    finally:
        os.dup2(keep, 0)
        os.close(keep)
        if feeder is not None:
            feeder.join(10)


@pytest.fixture
def picture(work: Path) -> Path:
    rng = np.random.default_rng(0)
    write_image(work / "dog.png", rng.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    return work / "dog.png"


@pytest.fixture(autouse=True)
def spools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Where pipes are stored; nothing of it stays."""
    folder = tmp_path / "spools"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert not list(folder.iterdir())


def outputs(done: Any) -> Any:
    assert (done.status, done.stderr) == (0, ""), done
    return json.loads(done.stdout)["outputs"]


def test_a_picture_from_a_pipe_is_the_picture(tiny: Run, picture: Path) -> None:
    with stdin_from(picture.read_bytes()):
        (piped,) = outputs(tiny(*GOES_ON))
    named = outputs(tiny("predict", "dog.png", *GOES_ON[2:], "--force"))[0]
    assert piped["recipe"]["inputs"][0]["name"] == "-"
    assert piped["recipe"]["inputs"][0]["sha256"] == named["recipe"]["inputs"][0]["sha256"]
    assert piped["recipe"]["tokens"] == named["recipe"]["tokens"]


def test_a_clip_from_a_pipe(tiny: Run, work: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    write_video(work / "c.mp4", frames, 6)
    with stdin_from((work / "c.mp4").read_bytes()):
        done = tiny("predict", "-", "a dog", "--frames", "5", "-o", "a.mp4")
    assert done.status == 0
    assert done.stderr == "nuwa: '-': goes on from the last 3 frames\n"


def test_a_mask_and_a_picture_by_descriptor(tiny: Run, work: Path, picture: Path) -> None:
    mask = np.zeros((32, 32, 3), dtype=np.uint8)
    mask[8:20, 8:20] = 255
    write_image(work / "mask.png", mask)
    by_name = outputs(
        tiny("edit", "dog.png", "a dog", "--mask", "mask.png", "-o", "a.png", "--json", "-q")
    )
    reading, writing = os.pipe()
    os.write(writing, picture.read_bytes())
    os.close(writing)
    try:
        with stdin_from((work / "mask.png").read_bytes()):
            words = (f"/dev/fd/{reading}", "a dog", "--mask", "-", "-o", "b.png", "--json", "-q")
            by_pipe = outputs(tiny("edit", *words))
    finally:
        os.close(reading)
    assert by_pipe[0]["recipe"]["tokens"] == by_name[0]["recipe"]["tokens"]
    assert [entry["name"] for entry in by_pipe[0]["recipe"]["inputs"]] == ["-", "-"]


def test_a_redirected_file_is_read_as_it_is(tiny: Run, picture: Path) -> None:
    for name in ("-", "/dev/stdin"):
        file = os.open(picture, os.O_RDONLY)
        with stdin_from(file):
            (output,) = outputs(tiny("predict", name, *GOES_ON[2:], "--force"))
        os.close(file)
        assert output["frames"] == 4


@pytest.mark.parametrize(
    ("words", "content", "status", "why"),
    [
        (("predict", "-", "-"), b"a dog\n", 2, "prompt '-': stdin is read once, by media '-'"),
        (("edit", "-", "a dog", "--mask", "-"), b"", 2, "stdin is read once, by"),
        (("predict", "-", "@/dev/stdin"), b"a dog\n", 2, "stdin is read once"),
        (("predict", "-"), b"", 3, "file '-': has 0 bytes"),
        (("predict", "-"), b"no picture", 3, "file '-': is neither picture nor clip"),
        (("predict", "-"), b"y\n" * (1 << 20), 3, "file '-': is neither picture nor clip"),
        (("predict", "-"), b"\x89PNG\r\n\x1a\nbroken", 3, "file '-': cannot be read"),
        (("predict", "-"), b"....ftypisom....", 3, "file '-'"),
        (("predict", "-", "--frames", "0"), b"", 2, "frames '0'"),
        (("t2v", "-"), b"", 2, "prompts '-': holds no text"),
        (("t2v", "-"), b"\n \r\n", 2, "holds no text"),
        (("t2v", "-"), b"a dog\n\xff\xfe\n", 2, "byte 6 is not UTF-8"),
        (("t2v", "-"), b"x" * (10 << 20), 2, "more than 4 MiB of text"),
        (("t2v", "-"), b"a\n" * 10_001, 2, "holds 10001 prompts"),
        (("t2v", "-"), b"a dog\n...\n", 2, "says nothing"),
        (("t2v", "-", "-"), b"a dog\n", 2, "stdin is read once, by prompt '-'"),
        (("t2v", "@missing.txt"), b"", 3, "prompts '@missing.txt': no such file"),
        (("t2v", "@."), b"", 3, "prompts '@.': is not a regular file"),
        (("t2v", "@"), b"", 3, "prompts '@': "),
        (("t2v", "@pipe"), b"", 3, "prompts '@pipe': is not a regular file"),
        (("predict", "pipe"), b"", 3, "file 'pipe': is not a regular file"),
        (("predict", "/dev/fd/999"), b"", 3, "file '/dev/fd/999': no such file"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_refusals(
    inside: Run, work: Path, words: tuple[str, ...], content: bytes, status: int, why: str
) -> None:
    os.mkfifo(work / "pipe")  # nobody will ever write to it
    with stdin_from(content):
        inside(*words, "-o", "a.mp4").check_refusal(status, why)


def test_a_terminal_is_not_read(inside: Run) -> None:
    ours, theirs = os.openpty()
    try:
        for words in (("predict", "-"), ("t2v", "-")):
            with stdin_from(theirs):
                inside(*words, "-o", "a.mp4").check_refusal(2, "is a terminal; send a file")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_file_that_is_too_long(
    inside: Run, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nuwa_cli.cli.work import spool
    from nuwa_cli.media import probe

    monkeypatch.setattr(spool, "_PIECE", 512)
    monkeypatch.setattr(probe, "MAX_PICTURE_BYTES", 1000)
    with stdin_from(picture.read_bytes()):
        inside("predict", "-", "-o", "a.mp4").check_refusal(3, "file '-': has more than 1000 bytes")


def test_a_disk_that_is_full(inside: Run, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = tempfile.TemporaryFile

    def fail(*, prefix: str | None = None, **options: Any) -> Any:
        if prefix == "nuwa-":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(prefix=prefix, **options)

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    with stdin_from(picture.read_bytes()):
        inside("predict", "-", "-o", "a.mp4").check_refusal(5, "temporary file: no space left")


def prompts_of(done: Any) -> list[str]:
    return [output["prompt"] for output in outputs(done)]


def test_prompts_from_a_pipe_and_from_files(inside: Run, work: Path) -> None:
    (work / "p.txt").write_bytes("\ufeffa dog\r\n\r\n  a red bus \r\n草地\n@home a cat".encode())
    words = ("-o", "a-%d.png", "--json", "--dry-run", "-q")
    lines = ["a dog", "a red bus", "草地", "@home a cat"]
    assert prompts_of(inside("t2i", "@p.txt", *words)) == lines
    with stdin_from((work / "p.txt").read_bytes()):
        got = prompts_of(inside("t2i", "a cat", "-", "@@p.txt is a file", *words))
    assert got == ["a cat", *lines, "@p.txt is a file"]


@pytest.mark.usefixtures("picture")
def test_a_file_of_prompts_for_one_picture(inside: Run, work: Path) -> None:
    (work / "p.txt").write_text("a dog\na cat\n")
    words = ("predict", "dog.png", "@p.txt", "-o", "a-%d.mp4", "--json", "--dry-run", "-q")
    assert prompts_of(inside(*words)) == ["a dog", "a cat"]
