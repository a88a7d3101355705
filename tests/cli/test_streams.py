"""`-o -`: media on stdout, and nothing else; what a reader that goes away or a Ctrl-C means."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

Run = Callable[..., Any]
CLIP = ("t2v", "a dog", "--frames", "4", "-o", "-")


@dataclass(frozen=True)
class Sent:
    """How a command ended whose stdout is media."""

    status: int
    media: bytes
    stderr: str


@pytest.fixture
def stream(
    work: Path,
    model_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> Callable[..., Sent]:
    """Run a command on the tiny model, inside this process."""
    from nuwa_cli.cli.app import run

    monkeypatch.chdir(work)

    def call(*words: str | Path) -> Sent:
        status = run([*map(str, words), "--model", str(model_folder)])
        shown = capfdbinary.readouterr()
        return Sent(status, shown.out, shown.err.decode())

    return call


def decode(media: bytes) -> list[np.ndarray[Any, Any]]:
    with av.open(io.BytesIO(media)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("form", [None, "jpg"])
def test_a_picture_is_what_a_file_would_be(stream: Run, work: Path, form: str | None) -> None:
    words = () if form is None else ("--format", form)
    sent = stream("t2i", "a dog", "--seed", "3", "-o", "-", *words)
    assert (sent.status, sent.stderr) == (0, "")
    assert not list(work.iterdir())
    stream("t2i", "a dog", "--seed", "3", "-o", f"a.{form or 'png'}")
    assert sent.media == (work / f"a.{form or 'png'}").read_bytes()


def test_a_clip_is_fragmented_mp4_with_its_recipe(stream: Run, inside: Run, work: Path) -> None:
    sent = stream(*CLIP, "--seed", "5")
    assert (sent.status, sent.stderr) == (0, "")
    assert sent.media.count(b"moof") == len(decode(sent.media)) == 4
    (work / "a.mp4").write_bytes(sent.media)
    facts = inside("info", "a.mp4").stdout
    assert "seed: 5" in facts and "prompt: a dog" in facts
    assert stream(*CLIP, "--seed", "5").media == sent.media
    bare = stream(*CLIP, "--seed", "5", "--no-metadata").media
    assert b"nuwa.recipe" in sent.media and b"nuwa.recipe" not in bare


@pytest.mark.parametrize("form", ["webm", "y4m", "gif"])
def test_other_formats_of_a_clip(stream: Run, form: str) -> None:
    sent = stream(*CLIP, "--format", form)
    assert (sent.status, sent.stderr) == (0, "")
    if form in ("webm", "y4m"):
        assert len(decode(sent.media)) == 4
    else:
        with Image.open(io.BytesIO(sent.media)) as picture:
            assert picture.n_frames >= 2


def test_raw_pictures_are_the_frames_bit_for_bit(stream: Run, work: Path) -> None:
    sent = stream(*CLIP, "--format", "png")
    assert stream(*CLIP[:-1], "f/%02d.png").status == 0
    with av.open(io.BytesIO(sent.media), format="png_pipe") as container:
        seen = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    files = [np.asarray(Image.open(path)) for path in sorted((work / "f").iterdir())]
    assert np.array_equal(seen, files)


def test_the_best_of_several_is_sent_when_it_is_chosen(stream: Run, work: Path) -> None:
    words = ("t2v", "a dog", "--frames", "3", "--best-of", "3", "-o")
    sent = stream(*words, "-", "--format", "png")
    assert sent.status == 0 and stream(*words, "f/%d.png").status == 0
    with av.open(io.BytesIO(sent.media), format="png_pipe") as container:
        seen = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.array_equal(seen[2], np.asarray(Image.open(work / "f" / "2.png")))


def test_a_clip_that_goes_on_is_sent(stream: Run, work: Path) -> None:
    (work / "a.mp4").write_bytes(stream(*CLIP).media)
    sent = stream("extend", "a.mp4", "--frames", "8", "-o", "-", "--quiet")
    assert (sent.status, sent.stderr) == (0, "")
    assert len(decode(sent.media)) == 8


def test_an_edit_is_sent(stream: Run, work: Path) -> None:
    (work / "a.png").write_bytes(stream("t2i", "a dog", "-o", "-").media)
    words = ("edit", "a.png", "a cat", "--box", "8,8,16,16", "-q", "-o")
    sent = stream(*words, "-")
    assert (sent.status, sent.stderr) == (0, "")
    assert stream(*words, "b.png").status == 0
    assert sent.media == (work / "b.png").read_bytes()
    (work / "a.mp4").write_bytes(stream(*CLIP).media)
    sent = stream("vedit", "a.mp4", "a cat", "--frames", "4", "-q", "-o", "-")
    assert (sent.status, sent.stderr, len(decode(sent.media))) == (0, "", 4)


REFUSED = [
    (("t2i", "a dog", "-o", "-", "-n", "2"), "holds one result, 2 are asked for"),
    (("t2v", "a dog", "a cat", "-o", "-", "--format", "y4m"), "holds one result"),
    ((*CLIP, "--json"), "not with --json"),
    ((*CLIP, "--json-stream"), "not with --json-stream"),
    ((*CLIP, "--depfile", "a.d"), "not with --depfile"),
    ((*CLIP, "--update"), "not with --update"),
    ((*CLIP, "--format", "avi"), "no clip is sent to a stream in it; use mp4 webm y4m"),
    (("t2i", "a dog", "-o", "-", "--format", "mp4"), "no picture is sent"),
    (("t2i", "a dog", "-o", "a.png", "--format", "jpg"), "format 'jpg': is for -o -"),
]


@pytest.mark.parametrize(("words", "why"), REFUSED, ids=lambda value: " ".join(value)[-30:])
def test_what_does_not_go_with_it(inside: Run, words: tuple[str, ...], why: str) -> None:
    inside(*words).check_refusal(2, why)


def test_a_terminal_is_refused(command: str, work: Path) -> None:
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [command, *CLIP], cwd=work, stdout=theirs, stderr=subprocess.PIPE, timeout=60
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert done.stderr == (
        b"nuwa: output '-': is a terminal; send it to a file or a program, or give --force\n"
    )


def test_a_dry_run_may_talk(stream: Run) -> None:
    sent = stream(*CLIP, "--dry-run", "--json")
    assert sent.status == 0
    assert b'"dry_run": true' in sent.media


@pytest.fixture
def started(command: str, work: Path, model_folder: Path) -> Callable[..., Any]:
    """The installed command on the tiny model, its stdout somewhere."""

    def start(stdout: int, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [command, *words, "--model", model_folder],
            cwd=work,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
        )

    return start


@pytest.mark.slow  # a picture meets the same in robustness/test_table_e_output.py
def test_a_reader_that_is_gone(started: Run) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = started(writing, *CLIP)
    os.close(writing)
    assert process.communicate(timeout=60)[1] == b""
    assert process.returncode == 141


@pytest.mark.slow  # a picture meets the same in robustness/test_table_e_output.py
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no such device")
def test_a_full_device(started: Run) -> None:
    with open("/dev/full", "r+b", buffering=0) as full:
        process = started(full.fileno(), *CLIP)
        said = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 4
    assert (
        said
        == "nuwa: output '-': no space left on device; send it elsewhere, or give a file name\n"
    )


def test_a_player_sees_the_first_frames_of_a_clip_without_end(started: Run) -> None:
    """They come while thousands are still to be drawn; a Ctrl-C leaves a clip of what was sent."""
    process = started(subprocess.PIPE, "t2v", "a dog", "--frames", "10000", "-o", "-", "-q")
    sent = bytearray()
    while sent.count(b"moof") < 6:
        sent += os.read(process.stdout.fileno(), 1 << 16)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (130, b"")
    fragments = (sent + rest).count(b"moof")
    assert 6 <= len(decode(bytes(sent + rest))) <= fragments < 1000
